package scheduler_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleet/scheduler"
)

// observe runs a script with a program written in Go.
func observe(t *testing.T, text string, p scheduler.Program) (events []scheduler.Event, report scheduler.Report, err error) {
	t.Helper()
	s := parseScript(t, text)
	s.plan.Program = p
	s.plan.Observe = func(e scheduler.Event) { events = append(events, e) }
	report, err = scheduler.Run(s.plan, s.world)
	checkAccounts(t, events)
	return events, report, err
}

func only(events []scheduler.Event, kind scheduler.EventKind) (found []scheduler.Event) {
	for _, e := range events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func TestValueIsCarriedBesideAnError(t *testing.T) {
	events, _, _ := observe(t, "hosts a b\n", func(r *scheduler.Remote) (any, error) {
		if r.Host() == "a" {
			return 7, nil
		}
		return 8, errors.New("bad")
	})
	done := only(events, scheduler.HostDone)
	if done[0].Value != 7 || done[1].Value != 8 {
		t.Errorf("values %v and %v", done[0].Value, done[1].Value)
	}
}

func explode() { panic(errors.New("deep trouble")) }

func TestPanicKeepsItsOwnStack(t *testing.T) {
	events, _, err := observe(t, "hosts a\n", func(*scheduler.Remote) (any, error) {
		explode()
		return nil, nil
	})
	if err != nil {
		t.Error(err)
	}
	e := only(events, scheduler.HostDone)[0]
	if e.Cause.Text != "panic: deep trouble" || !bytes.Contains(e.Stack, []byte("scheduler_test.explode")) {
		t.Errorf("%v, stack:\n%s", e, e.Stack)
	}
}

func TestRemoteOutsideItsProgram(t *testing.T) {
	var first *scheduler.Remote
	events, _, _ := observe(t, "hosts a b c\nplan fanout=2\n", func(r *scheduler.Remote) (any, error) {
		switch r.Host() {
		case "a":
			first = r
			return nil, r.Sleep(time.Second)
		case "b": // a is parked
			return nil, first.Sleep(time.Second)
		}
		_, err := first.Connect() // a has ended
		return nil, err
	})
	for i, e := range only(events, scheduler.HostDone) {
		if outside := e.Cause != nil && strings.HasSuffix(e.Cause.Text, "remote used outside its program"); outside != (e.Host != "a") {
			t.Errorf("%d: %v", i, e)
		}
	}
}

func TestObserverPanics(t *testing.T) {
	s := parseScript(t, "hosts a b c\nplan fanout=2\nprogram\n  exec true\nworld\n  b exec never\n")
	calls := 0
	s.plan.Observe = func(e scheduler.Event) {
		calls++
		if e.Kind == scheduler.HostDone {
			panic("cannot write")
		}
	}
	report, err := scheduler.Run(s.plan, s.world)
	var fault *scheduler.PanicError
	if !errors.As(err, &fault) || fault.In != "observe" || fault.Value != "cannot write" || len(fault.Stack) == 0 {
		t.Errorf("error %v", err)
	}
	if calls != 5 {
		t.Errorf("called %d times, want none after the panic", calls)
	}
	if report.Hosts != 3 || report.Counts[scheduler.OK] != 1 || report.Counts[scheduler.Lost] != 1 || report.Counts[scheduler.Skipped] != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestRemoteTellsTheLoopsTime(t *testing.T) {
	observe(t, "hosts a\n", func(r *scheduler.Remote) (any, error) {
		from := r.Now()
		_ = r.Sleep(time.Minute)
		if took := r.Now().Sub(from); took != time.Minute {
			t.Errorf("a sleep of a minute took %v", took)
		}
		return nil, nil
	})
}

// TestOnlyFanoutProgramsLive runs many hosts and looks at what is alive.
func TestOnlyFanoutProgramsLive(t *testing.T) {
	const hosts, fanout = 100_000, 1000
	s := parseScript(t, "hosts a\n")
	before := runtime.NumGoroutine()
	alive, peak, drawn, ahead := 0, 0, 0, 0
	started := 0
	s.plan.Hosts = func(yield func(string) bool) {
		for drawn = range hosts {
			ahead = max(ahead, drawn-started)
			if !yield("h") {
				return
			}
		}
	}
	s.plan.Fanout = fanout
	s.plan.Program = func(r *scheduler.Remote) (any, error) {
		if alive++; alive%500 == 0 {
			peak = max(peak, runtime.NumGoroutine()-before)
		}
		started++
		defer func() { alive-- }()
		return nil, r.Sleep(time.Duration(started%97) * time.Millisecond)
	}
	report, err := scheduler.Run(s.plan, s.world)
	if err != nil || report.Counts[scheduler.OK] != hosts {
		t.Errorf("report %+v, error %v", report, err)
	}
	if peak < fanout/2 || peak > fanout+10 {
		t.Errorf("%d goroutines at most, want about %d", peak, fanout)
	}
	if ahead > 1 {
		t.Errorf("%d hosts drawn ahead of their start", ahead)
	}
}

// TestStopIsHeardWhileHostsStart runs programs that never park.
func TestStopIsHeardWhileHostsStart(t *testing.T) {
	s := parseScript(t, "hosts 10000\nplan fanout=1\nprogram\n  hold 1ms\nworld\n  stop 1s\n")
	report, err := scheduler.Run(s.plan, s.world)
	if err != nil || report.Started < 1000 || report.Started > 2000 || report.Hosts != 10000 || !report.Interrupted {
		t.Errorf("report %+v, error %v", report, err)
	}
}

// TestPollerThatGoesBack is about a poller that breaks its contract: the loop's
// time stands still then.
func TestPollerThatGoesBack(t *testing.T) {
	w := &backwards{world: newWorld()}
	s := parseScript(t, "hosts 5\nplan fanout=2\n")
	last := time.Duration(0)
	s.plan.Program = func(r *scheduler.Remote) (any, error) { return nil, r.Sleep(time.Second) }
	s.plan.Observe = func(e scheduler.Event) {
		if e.Since < last {
			t.Errorf("time goes back: %v after %v", e, last)
		}
		last = e.Since
	}
	if report, err := scheduler.Run(s.plan, w); err != nil || report.Counts[scheduler.OK] != 5 {
		t.Errorf("report %+v, error %v", report, err)
	}
}

type backwards struct {
	*world
	polls int
}

func (b *backwards) Poll(until time.Time) (time.Time, []scheduler.Completion) {
	now, done := b.world.Poll(until)
	if b.polls++; b.polls%2 == 0 {
		now = now.Add(-time.Minute)
	}
	return now, done
}
