package sshpool

import (
	"iter"
	"slices"
	"testing"
	"time"

	"fleet/scheduler"
)

// run plays a program on host h1 and gives what became of it.
func run(t *testing.T, p *Poller, program scheduler.Program, during func(scheduler.Event)) (done scheduler.Event) {
	t.Helper()
	_, err := scheduler.Run(scheduler.Plan{
		Hosts: iter.Seq[string](slices.Values([]string{"h1"})), Total: 1, Fanout: 1, Grace: time.Second, Program: program, TraceOps: true,
		Observe: func(ev scheduler.Event) {
			if ev.Kind == scheduler.HostDone {
				done = ev
			}
			during(ev)
		}}, p)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestUnsentIsNotFailed has a command that was never sent, as the host opens no
// session, reach its limit, and be stopped by the user.
func TestUnsentIsNotFailed(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit time.Duration
		want  scheduler.Outcome
		cause scheduler.Cause
	}{
		{"limit", 100 * time.Millisecond, scheduler.Unreachable,
			scheduler.Cause{Kind: scheduler.KindTimeout, Stage: scheduler.StageChannel, Text: "timeout in channel after 100ms"}},
		{"stop", 0, scheduler.Canceled,
			scheduler.Cause{Kind: scheduler.KindCanceled, Stage: scheduler.StageRun, Text: "canceled: interrupted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, target := one(t, "hang-channel")
			stops := make(chan struct{}, 1)
			p := NewPoller(newTestPool(t, PoolConfig{}), func(string) (Target, error) { return target, nil }, stops)
			t.Cleanup(func() { p.Close() })
			done := run(t, p, func(r *scheduler.Remote) (any, error) {
				_, err := r.Connect()
				if err == nil {
					_, err = r.Exec(scheduler.Exec{Command: "true"}, c.limit)
				}
				return nil, err
			}, func(ev scheduler.Event) {
				if _, ok := ev.Op.(scheduler.Exec); ok && ev.Kind == scheduler.OpSubmit && c.limit == 0 {
					stops <- struct{}{}
				}
			})
			if done.Outcome != c.want || done.Cause == nil || *done.Cause != c.cause {
				t.Errorf("%s, %+v; want %s, %+v", done.Outcome, done.Cause, c.want, c.cause)
			}
		})
	}
}
