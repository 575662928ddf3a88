package sshpool

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/scheduler"
)

// play submits the ops one after the other for host h1 and gives the last completion.
func play(t *testing.T, p *Poller, ops ...scheduler.Op) scheduler.Completion {
	t.Helper()
	var last scheduler.Completion
	for i, op := range ops {
		id := scheduler.ID(time.Now().UnixNano() + int64(i))
		p.Submit(id, "h1", op)
		for got := false; !got; {
			_, done := p.Poll(time.Now().Add(time.Minute))
			if len(done) == 0 {
				t.Fatalf("%s does not complete", op)
			}
			if i := slices.IndexFunc(done, func(c scheduler.Completion) bool { return c.ID == id }); i >= 0 {
				last, got = done[i], true
			}
		}
	}
	return last
}

func newTestPoller(t *testing.T, target Target) (*Poller, *Pool) {
	pool := newTestPool(t, PoolConfig{})
	p := NewPoller(pool, func(string) (Target, error) { return target, nil }, nil)
	t.Cleanup(func() { p.Close() })
	return p, pool
}

// TestOutcomes maps each trouble to what became of the host.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		fault   lab.Fault
		outcome scheduler.Outcome
		cause   scheduler.Cause
	}{
		{"refuse", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindRefused, Stage: scheduler.StageTCP, Text: "connection refused"}},
		{"hang", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindTimeout, Stage: scheduler.StageBanner, Text: "timeout in banner after 500ms"}},
		{"penalty", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindThrottled, Stage: scheduler.StageBanner, Text: `throttled: "Not allowed at this time"`}},
		{"wrong-key", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindHostKeyChanged, Stage: scheduler.StageKex, Text: "host key changed"}},
		{"refuse-channel", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindSessionLimit, Stage: scheduler.StageChannel, Text: ""}},
		{"hang-channel", scheduler.Unreachable, scheduler.Cause{Kind: scheduler.KindTimeout, Stage: scheduler.StageChannel, Text: "timeout in channel after 500ms"}},
		{"refuse-exec", scheduler.Failed, scheduler.Cause{Kind: scheduler.KindPermission, Stage: scheduler.StageChannel, Text: "command refused by the host"}},
		{"no-status", scheduler.Failed, scheduler.Cause{Kind: scheduler.KindNoStatus, Stage: scheduler.StageCommand, Text: "channel closed without an exit status"}},
		{"cut=3", scheduler.Lost, scheduler.Cause{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: ""}},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			w, target := one(t, c.fault)
			target.Limits.Total = 500 * time.Millisecond
			if c.cause.Kind != scheduler.KindTimeout {
				target.Limits.Total = 10 * time.Second
			}
			p, _ := newTestPoller(t, target)
			var out bytes.Buffer
			done := play(t, p, scheduler.Exec{Command: "echo hello", Stdout: &out})
			var e *scheduler.Error
			if !errors.As(done.Err, &e) || e.Outcome != c.outcome {
				t.Fatalf("error %#v, want outcome %s", done.Err, c.outcome)
			}
			got := e.Cause
			if c.cause.Text == "" {
				got.Text = ""
			}
			if got != c.cause {
				t.Errorf("cause %+v, want %+v", e.Cause, c.cause)
			}
			if r, ok := done.Value.(scheduler.ExecResult); !ok || r.HasExit || r.StdoutBytes != int64(out.Len()) {
				t.Errorf("value %+v beside %d bytes", done.Value, out.Len())
			}
			if n := w.Stats().CommandsRun; n > 1 {
				t.Errorf("the command was sent %d times", n)
			}
		})
	}
}

// TestDeadConnectionIsReplacedOnce runs a command after the connection of a
// program has gone.
func TestDeadConnectionIsReplacedOnce(t *testing.T) {
	w, target := one(t, "")
	p, pool := newTestPoller(t, target)
	if c := play(t, p, scheduler.Connect{}); c.Err != nil || c.Value.(scheduler.ConnectResult).Attempts != 1 {
		t.Fatalf("%+v", c)
	}
	conn, release, err := pool.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	conn.wire.Close()
	<-conn.Done()
	release()
	c := play(t, p, scheduler.Exec{Command: "exit 3"})
	if r := c.Value.(scheduler.ExecResult); c.Err != nil || r.ExitCode != 3 {
		t.Errorf("%+v", c)
	}
	if s := w.Stats(); s.Accepted != 2 || s.CommandsRun != 1 {
		t.Errorf("%d connections, %d commands", s.Accepted, s.CommandsRun)
	}
	play(t, p, scheduler.Release{})
}

// TestUnresolvedHost passes on what the caller says about a host without a target.
func TestUnresolvedHost(t *testing.T) {
	known := &scheduler.Error{Outcome: scheduler.Unreachable, Cause: scheduler.Cause{Kind: scheduler.KindDNS, Text: "no address"}}
	for _, c := range []struct {
		err  error
		kind scheduler.Kind
	}{{known, scheduler.KindDNS}, {errors.New("no such host in the inventory"), scheduler.KindInternal}} {
		p := NewPoller(newTestPool(t, PoolConfig{}), func(string) (Target, error) { return Target{}, c.err }, nil)
		defer p.Close()
		done := play(t, p, scheduler.Connect{})
		var e *scheduler.Error
		if !errors.As(done.Err, &e) || e.Cause.Kind != c.kind || e.Outcome != scheduler.Unreachable {
			t.Errorf("error %#v, want kind %s", done.Err, c.kind)
		}
	}
}
