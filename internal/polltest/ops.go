package polltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"fleet/scheduler"
)

// result checks that a completion carries an ExecResult.
func (d *driver) result(c scheduler.Completion) scheduler.ExecResult {
	d.t.Helper()
	res, ok := c.Value.(scheduler.ExecResult)
	if !ok {
		d.t.Errorf("op #%d (%s): value %T, want ExecResult; error %v", c.ID, d.ops[c.ID], c.Value, c.Err)
	}
	return res
}

// exited checks the result of a command that ended by itself. An exit status
// other than 0 is no error, or one that says so.
func (d *driver) exited(c scheduler.Completion, code int) {
	d.t.Helper()
	res := d.result(c)
	if !res.HasExit || res.ExitCode != code || res.Signal != "" {
		d.t.Errorf("op #%d (%s): %+v, error %v, want exit status %d", c.ID, d.ops[c.ID], res, c.Err, code)
	}
	var e *scheduler.Error
	switch {
	case c.Err == nil:
	case code != 0 && errors.As(c.Err, &e) && e.Outcome == scheduler.Failed && e.Cause.Kind == scheduler.KindExit:
	default:
		d.t.Errorf("op #%d (%s): %v", c.ID, d.ops[c.ID], c.Err)
	}
}

func checkConnect(d *driver) {
	for range 2 { // anew, then from the pool
		c := d.await(d.submit(d.Host, scheduler.Connect{}))
		d.ok(c)
		if res, ok := c.Value.(scheduler.ConnectResult); !ok || res.Attempts < 1 || res.Took < 0 {
			d.t.Errorf("value %+v, want a ConnectResult of at least one attempt", c.Value)
		}
	}
}

func checkExec(d *driver) {
	d.ok(d.await(d.submit(d.Host, scheduler.Connect{})))
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "exit 3"})), 3)

	var stdout, stderr bytes.Buffer
	c := d.await(d.submit(d.Host, scheduler.Exec{Command: "echo hi", Stdout: &stdout, Stderr: &stderr}))
	d.exited(c, 0)
	if stdout.String() != "hi\n" || stderr.Len() != 0 {
		d.t.Errorf("echo hi wrote %q and %q", &stdout, &stderr)
	}
	if res := d.result(c); res.StdoutBytes != 3 || res.StderrBytes != 0 {
		d.t.Errorf("echo hi counted as %d and %d bytes", res.StdoutBytes, res.StderrBytes)
	}
	if res := d.result(d.await(d.submit(d.Host, scheduler.Exec{Command: "echo hi"}))); res.StdoutBytes != 3 {
		d.t.Errorf("echo hi without a writer counted as %d bytes", res.StdoutBytes)
	}
}

func checkExecAlone(d *driver) {
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
}

func checkTwoCommands(d *driver) {
	long := d.submit(d.Host, scheduler.Exec{Command: "sleep 1000"})
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	d.inFlight(long)
}

func checkDo(d *driver) {
	want := errors.New("my own error")
	if c := d.await(d.submit(d.Host, scheduler.Do{F: func(context.Context) error { return want }})); !errors.Is(c.Err, want) {
		d.t.Errorf("error %v, want that of F", c.Err)
	}
	d.ok(d.await(d.submit(d.Host, scheduler.Do{F: func(ctx context.Context) error { return ctx.Err() }})))

	// F runs beside the loop: it may wait for what comes after it was submitted.
	gate := make(chan struct{})
	waiting := d.submit(d.Host, scheduler.Do{F: func(ctx context.Context) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	d.poll(past)
	d.inFlight(waiting)
	close(gate)
	d.ok(d.await(waiting))
}

func checkDoPanic(d *driver) {
	c := d.await(d.submit(d.Host, scheduler.Do{F: func(context.Context) error { panic("boom") }}))
	d.internal(c)
}

// checkDoOfNone runs what a gate between two batches does: a Do without a
// host, beside the commands of hosts.
func checkDoOfNone(d *driver) {
	want := errors.New("the gate says no")
	d.ok(d.await(d.submit("", scheduler.Do{F: func(ctx context.Context) error { return ctx.Err() }})))
	if c := d.await(d.submit("", scheduler.Do{F: func(context.Context) error { return want }})); !errors.Is(c.Err, want) {
		d.t.Errorf("error %v, want that of F", c.Err)
	}
	running := make(chan struct{})
	waiting := d.submit("", scheduler.Do{F: func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-running
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	d.inFlight(waiting)
	d.Poller.Cancel(waiting)
	d.canceled(d.await(waiting))
}

// internal checks an error of fleet itself.
func (d *driver) internal(c scheduler.Completion) {
	d.t.Helper()
	var e *scheduler.Error
	if !errors.As(c.Err, &e) || e.Outcome != scheduler.Failed || e.Cause.Kind != scheduler.KindInternal {
		d.t.Errorf("op #%d (%s): error %#v, want a failed *Error of kind internal", c.ID, d.ops[c.ID], c.Err)
	}
}

func checkRelease(d *driver) {
	d.ok(d.await(d.submit(d.Host, scheduler.Release{}))) // of nothing
	d.ok(d.await(d.submit(d.Host, scheduler.Connect{})))
	d.ok(d.await(d.submit(d.Host, scheduler.Release{})))
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	d.ok(d.await(d.submit(d.Host, scheduler.Release{})))
}

type unknownOp struct{}

func (unknownOp) String() string { return "unknown" }

func checkUnknownOp(d *driver) {
	d.internal(d.await(d.submit(d.Host, unknownOp{})))
}

func checkStop(d *driver) {
	for range 2 {
		stop := d.submit("", scheduler.Stop{})
		d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
		d.inFlight(stop)
		d.Stop()
		d.ok(d.await(stop))
	}
}

// checkMany submits a thousand ops at once and cancels a third of them.
func checkMany(d *driver) {
	stop := d.submit("", scheduler.Stop{})
	var ids []scheduler.ID
	for i := range 1000 {
		op := scheduler.Op(scheduler.Do{F: func(context.Context) error { return nil }})
		if i%5 == 0 {
			op = scheduler.Exec{Command: "true"}
		}
		ids = append(ids, d.submit(d.Host, op))
	}
	d.poll(past)
	for i, id := range ids {
		if i%3 == 0 {
			d.Poller.Cancel(id)
		}
	}
	for i, id := range ids {
		c := d.await(id)
		switch {
		case i%3 == 0:
			d.okOrCanceled(c)
		case i%5 == 0:
			d.exited(c, 0)
		default:
			d.ok(c)
		}
	}
	d.inFlight(stop)
}

// lateWriter notices writes after its op has completed, and two at once.
type lateWriter struct {
	mu     sync.Mutex
	bytes  int
	closed bool
	late   int
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if !w.mu.TryLock() {
		panic(fmt.Sprintf("polltest: two writes at once, one of %q", p))
	}
	defer w.mu.Unlock()
	if w.closed {
		w.late += len(p)
	}
	w.bytes += len(p)
	return len(p), nil
}

func (w *lateWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

// checkNoLateWrites cancels commands at all moments of their short lives.
func checkNoLateWrites(d *driver) {
	const commands = 40
	writers := make([]lateWriter, commands)
	ids := make([]scheduler.ID, commands)
	for i := range ids {
		ids[i] = d.submit(d.Host, scheduler.Exec{Command: "echo hi", Stdout: &writers[i], Stderr: io.Discard})
		d.idle(time.Duration(i) * time.Millisecond / 4)
		if i%2 == 0 {
			d.Poller.Cancel(ids[i])
		}
		c := d.await(ids[i])
		writers[i].close()
		if i%2 == 1 {
			d.exited(c, 0)
		}
		if c.Err == nil && writers[i].bytes != 3 {
			d.t.Errorf("op #%d completed without error after %d bytes", c.ID, writers[i].bytes)
		}
	}
	d.idle(200 * time.Millisecond)
	for i := range writers {
		w := &writers[i]
		w.mu.Lock()
		if w.late > 0 {
			d.t.Errorf("op #%d wrote %d bytes after its completion", ids[i], w.late)
		}
		w.mu.Unlock()
	}
}

func checkUse(d *driver) {
	want := errors.New("my own error")
	use := func(f func(ctx context.Context, conn any) error) scheduler.ID {
		return d.submit(d.Host, scheduler.Use{What: "look", F: f})
	}
	for range 2 { // with a connection of its own, then with the same
		var conn any
		d.ok(d.await(use(func(ctx context.Context, c any) error { conn = c; return ctx.Err() })))
		if conn == nil {
			d.t.Error("use got no connection")
		}
	}
	if c := d.await(use(func(context.Context, any) error { return want })); !errors.Is(c.Err, want) {
		d.t.Errorf("error %v, want that of F", c.Err)
	}

	gate := make(chan struct{})
	waiting := use(func(ctx context.Context, _ any) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0) // beside it
	d.inFlight(waiting)
	close(gate)
	d.ok(d.await(waiting))
}

func checkUsePanic(d *driver) {
	c := d.await(d.submit(d.Host, scheduler.Use{What: "look", F: func(context.Context, any) error { panic("boom") }}))
	d.internal(c)
}
