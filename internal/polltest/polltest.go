// Package polltest is the conformance suite that every [scheduler.Poller]
// passes: the real one over SSH and the simulated one.
//
// [Run] is the way in; polltest.go holds it and the driver, ops.go the checks of
// single ops, cancel.go those of cancelling, time.go those of Poll's time.
// All waiting is on the poller's own clock, so that a virtual one passes as fast
// as it can.
package polltest

import (
	"errors"
	"testing"
	"time"

	"fleet/scheduler"
)

// World is a fresh poller and the hosts it can reach.
type World struct {
	Poller scheduler.Poller
	// Host answers. It runs the commands "true", "exit 3", "echo hi" and
	// "sleep 1000" as a POSIX shell would.
	Host string
	// Silent accepts connections and never says a word; empty if there is none.
	Silent string
	// Stop makes the Stop op in flight complete, as the user's Ctrl-C does.
	Stop func()
	// Close frees everything. Ops may still be in flight.
	Close func()
}

// patience is how long, on the poller's clock, anything may take that is
// meant to end soon.
const patience = 30 * time.Second

// Run runs the suite, each check as a subtest over a world of its own.
func Run(t *testing.T, open func(t *testing.T) World) {
	checks := []struct {
		name  string
		check func(*driver)
	}{
		{"connect", checkConnect},
		{"exec", checkExec},
		{"exec without connect", checkExecAlone},
		{"two commands at once", checkTwoCommands},
		{"do", checkDo},
		{"do that panics", checkDoPanic},
		{"do of no host", checkDoOfNone},
		{"use", checkUse},
		{"use that panics", checkUsePanic},
		{"release", checkRelease},
		{"unknown op", checkUnknownOp},
		{"stop", checkStop},
		{"many at once", checkMany},
		{"cancel at once", checkCancelAtOnce},
		{"cancel in flight", checkCancelInFlight},
		{"cancel after completion", checkCancelAfter},
		{"cancel of unknown ops", checkCancelUnknown},
		{"cancel ends the context of do", checkCancelDo},
		{"cancel ends the context of use", checkCancelUse},
		{"cancel of a silent host", checkCancelSilent},
		{"cancel races completion", checkCancelRace},
		{"cancel of stop", checkCancelStop},
		{"no writes after completion", checkNoLateWrites},
		{"past until does not wait", checkPast},
		{"until is honoured", checkUntil},
		{"zero until waits", checkZeroUntil},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			w := open(t)
			t.Cleanup(w.Close)
			d := &driver{t: t, World: w, ops: map[scheduler.ID]string{}, done: map[scheduler.ID]scheduler.Completion{}}
			d.poll(past)
			c.check(d)
			d.settle()
		})
	}
}

// past is an until that does not wait.
var past = time.Unix(0, 0)

// driver plays the loop's part: it numbers ops, and checks of every Poll what
// holds for all of them.
type driver struct {
	t *testing.T
	World
	lastID scheduler.ID
	ops    map[scheduler.ID]string // submitted
	done   map[scheduler.ID]scheduler.Completion
	now    time.Time
}

func (d *driver) submit(host string, op scheduler.Op) scheduler.ID {
	d.lastID++
	d.ops[d.lastID] = op.String()
	d.Poller.Submit(d.lastID, host, op)
	return d.lastID
}

// poll polls once and returns how many ops completed.
func (d *driver) poll(until time.Time) int {
	d.t.Helper()
	now, done := d.Poller.Poll(until)
	if now.Before(d.now) {
		d.t.Errorf("time went from %v back to %v", d.now, now)
	}
	if len(done) == 0 && until.IsZero() {
		d.t.Errorf("poll without until returned without a completion")
	}
	if len(done) == 0 && now.Before(until) {
		d.t.Errorf("poll returned %v early without a completion", until.Sub(now))
	}
	d.now = now
	for _, c := range done {
		op, ok := d.ops[c.ID]
		if !ok {
			d.t.Errorf("completion of op #%d, which was never submitted", c.ID)
		}
		if _, twice := d.done[c.ID]; twice {
			d.t.Errorf("op #%d (%s) completed twice", c.ID, op)
		}
		d.done[c.ID] = c
	}
	return len(done)
}

// await polls until the ops have completed and returns the last one's completion.
func (d *driver) await(ids ...scheduler.ID) scheduler.Completion {
	d.t.Helper()
	deadline := d.now.Add(patience)
	for _, id := range ids {
		for {
			if _, ok := d.done[id]; ok {
				break
			}
			if !d.now.Before(deadline) {
				d.t.Fatalf("op #%d (%s) did not complete within %v", id, d.ops[id], patience)
			}
			d.poll(deadline)
		}
	}
	return d.done[ids[len(ids)-1]]
}

// idle lets d pass on the poller's clock.
func (d *driver) idle(dur time.Duration) {
	d.t.Helper()
	for until := d.now.Add(dur); d.now.Before(until); {
		d.poll(until)
	}
}

// settle cancels what is still in flight: each op completes exactly once, and
// then nothing does.
func (d *driver) settle() {
	d.t.Helper()
	for id := scheduler.ID(1); id <= d.lastID; id++ {
		if _, ok := d.done[id]; !ok {
			d.Poller.Cancel(id)
		}
	}
	for id := scheduler.ID(1); id <= d.lastID; id++ {
		d.await(id)
	}
	if n := d.poll(past); n > 0 {
		d.t.Errorf("%d completions after the last op", n)
	}
}

// inFlight fails the test if the op has completed.
func (d *driver) inFlight(id scheduler.ID) {
	d.t.Helper()
	if c, ok := d.done[id]; ok {
		d.t.Errorf("op #%d (%s) completed by itself: %+v", id, d.ops[id], c)
	}
}

// ok checks that a completion has no error.
func (d *driver) ok(c scheduler.Completion) {
	d.t.Helper()
	if c.Err != nil {
		d.t.Errorf("op #%d (%s): %v", c.ID, d.ops[c.ID], c.Err)
	}
}

// canceled checks that a completion says so.
func (d *driver) canceled(c scheduler.Completion) {
	d.t.Helper()
	if !errors.Is(c.Err, scheduler.ErrCanceled) {
		d.t.Errorf("op #%d (%s), cancelled: error %v, want one that wraps ErrCanceled", c.ID, d.ops[c.ID], c.Err)
	}
}

// okOrCanceled checks a completion that a cancel may have come too late for.
func (d *driver) okOrCanceled(c scheduler.Completion) {
	d.t.Helper()
	if c.Err != nil {
		d.canceled(c)
	}
}
