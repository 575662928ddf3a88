package polltest

import (
	"context"
	"time"

	"fleet/scheduler"
)

func checkCancelAtOnce(d *driver) {
	ops := []scheduler.Op{
		scheduler.Connect{},
		scheduler.Exec{Command: "true"},
		scheduler.Exec{Command: "sleep 1000"},
		scheduler.Do{F: func(ctx context.Context) error { return ctx.Err() }},
		scheduler.Use{What: "look", F: func(ctx context.Context, _ any) error { return ctx.Err() }},
		scheduler.Release{},
	}
	for _, op := range ops {
		id := d.submit(d.Host, op)
		d.Poller.Cancel(id)
		d.okOrCanceled(d.await(id))
	}
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0) // the host is none the worse
}

func checkCancelInFlight(d *driver) {
	d.ok(d.await(d.submit(d.Host, scheduler.Connect{})))
	id := d.submit(d.Host, scheduler.Exec{Command: "sleep 1000"})
	d.idle(100 * time.Millisecond)
	d.inFlight(id)
	d.Poller.Cancel(id)
	d.Poller.Cancel(id) // once more is the same
	c := d.await(id)
	d.canceled(c)
	if res := d.result(c); res.HasExit && res.ExitCode == 0 {
		d.t.Errorf("a cancelled command counts as exited well: %+v", res)
	}
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
}

func checkCancelAfter(d *driver) {
	id := d.submit(d.Host, scheduler.Exec{Command: "true"})
	d.await(id)
	d.Poller.Cancel(id)
	other := d.submit(d.Host, scheduler.Exec{Command: "exit 3"})
	d.Poller.Cancel(id)
	d.exited(d.await(other), 3)
}

func checkCancelUnknown(d *driver) {
	for _, id := range []scheduler.ID{0, 7, 1 << 60} {
		d.Poller.Cancel(id)
	}
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "exit 3"})), 3)
	for range 6 { // up to the ID that was cancelled before it was there
		d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
	}
}

func checkCancelDo(d *driver) {
	running := make(chan struct{})
	id := d.submit(d.Host, scheduler.Do{F: func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-running
	d.poll(past)
	d.inFlight(id)
	d.Poller.Cancel(id)
	d.canceled(d.await(id))

	// An op that ends well all the same has ended well.
	id = d.submit(d.Host, scheduler.Do{F: func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}})
	d.Poller.Cancel(id)
	d.okOrCanceled(d.await(id))
}

func checkCancelSilent(d *driver) {
	if d.Silent == "" {
		d.t.Log("this world has no silent host")
		return
	}
	connect := d.submit(d.Silent, scheduler.Connect{})
	exec := d.submit(d.Silent, scheduler.Exec{Command: "true"})
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0) // nobody waits for it
	d.inFlight(connect)
	d.inFlight(exec)
	from := d.now
	d.Poller.Cancel(connect)
	d.Poller.Cancel(exec)
	d.canceled(d.await(connect))
	d.canceled(d.await(exec))
	if took := d.now.Sub(from); took > 5*time.Second {
		d.t.Errorf("a cancelled connect took %v to end", took)
	}
	d.ok(d.await(d.submit(d.Silent, scheduler.Release{})))
}

// checkCancelRace cancels ops about when they complete.
func checkCancelRace(d *driver) {
	d.ok(d.await(d.submit(d.Host, scheduler.Connect{})))
	for i := range 60 {
		id := d.submit(d.Host, scheduler.Exec{Command: "true"})
		d.idle(time.Duration(i) * time.Millisecond / 10)
		d.Poller.Cancel(id)
		c := d.await(id)
		if c.Err == nil {
			d.exited(c, 0)
		}
		d.okOrCanceled(c)
	}
}

func checkCancelStop(d *driver) {
	stop := d.submit("", scheduler.Stop{})
	d.Poller.Cancel(stop)
	d.canceled(d.await(stop))
	stop = d.submit("", scheduler.Stop{})
	d.Stop()
	d.ok(d.await(stop))
}

func checkCancelUse(d *driver) {
	running := make(chan struct{})
	id := d.submit(d.Host, scheduler.Use{What: "look", F: func(ctx context.Context, _ any) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-running
	d.poll(past)
	d.inFlight(id)
	d.Poller.Cancel(id)
	d.canceled(d.await(id))
	d.exited(d.await(d.submit(d.Host, scheduler.Exec{Command: "true"})), 0)
}
