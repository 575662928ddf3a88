package tasks

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleet/scheduler"
)

// scripted is a Poller on a clock of its own, over one host whose connects and
// commands end as a list says: "ok", "refused" or "auth" (connecting), "exit N",
// "lost", "timeout", "unkilled" (a timeout after which it may go on), "hang" (until
// canceled).
type scripted struct {
	now  time.Time
	list []string
	sent int
	stop time.Duration // when the user says stop, 0: never
	stopID,
	hanging scheduler.ID
	done []scheduler.Completion
}

func (s *scripted) Submit(id scheduler.ID, _ string, op scheduler.Op) {
	c := scheduler.Completion{ID: id}
	switch op.(type) {
	case scheduler.Stop:
		s.stopID = id
		return
	case scheduler.Connect:
		c.Value = scheduler.ConnectResult{Attempts: 1}
		switch s.list[0] {
		case "refused":
			c.Err = s.fails(scheduler.Unreachable, scheduler.KindRefused, "connection refused")
		case "throttled":
			c.Err = s.fails(scheduler.Unreachable, scheduler.KindThrottled, "throttled")
		case "auth":
			c.Err = s.fails(scheduler.Unreachable, scheduler.KindAuth, "login refused")
		}
	case scheduler.Exec:
		s.sent++
		c.Value = scheduler.ExecResult{HasExit: true}
		switch word := s.list[0]; word {
		case "ok":
		case "lost":
			c.Err = s.fails(scheduler.Lost, scheduler.KindConnLost, "connection lost")
		case "timeout":
			c.Err = s.fails(scheduler.Failed, scheduler.KindTimeout, "timeout in command after 1s")
		case "unkilled":
			c.Value = scheduler.ExecResult{Supervised: scheduler.Supervised{Unkilled: true}}
			c.Err = s.fails(scheduler.Failed, scheduler.KindTimeout, "timeout in command after 1s")
		case "hang":
			s.hanging = id
			return
		default:
			res := scheduler.ExecResult{HasExit: true}
			fmt.Sscanf(word, "exit %d", &res.ExitCode)
			c.Value = res
			s.list = s.list[1:]
		}
	}
	s.done = append(s.done, c)
}

func (s *scripted) fails(o scheduler.Outcome, k scheduler.Kind, text string) error {
	s.list = s.list[1:]
	return &scheduler.Error{Outcome: o, Cause: scheduler.Cause{Kind: k, Text: text}}
}

func (s *scripted) Cancel(id scheduler.ID) {
	if id == s.hanging || id == s.stopID {
		s.done = append(s.done, scheduler.Completion{ID: id, Err: scheduler.ErrCanceled})
	}
}

func (s *scripted) Poll(until time.Time) (time.Time, []scheduler.Completion) {
	if len(s.done) == 0 {
		if stop := epoch.Add(s.stop); s.stop > 0 && s.stopID != 0 && (until.IsZero() || !until.Before(stop)) {
			s.now = stop
			s.done = append(s.done, scheduler.Completion{ID: s.stopID})
			s.stop, s.stopID = 0, 0
		} else if until.After(s.now) {
			s.now = until
		}
	}
	done := s.done
	s.done = nil
	return s.now, done
}

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// try runs a command with retries on a host that answers as list says.
func try(t *testing.T, r Retry, stop time.Duration, list ...string) (scheduler.Event, *scripted) {
	t.Helper()
	s := &scripted{now: epoch, list: list, stop: stop}
	var end scheduler.Event
	_, err := scheduler.Run(scheduler.Plan{
		Hosts: func(yield func(string) bool) { yield("web01") }, Total: 1, Fanout: 1, Grace: time.Second,
		Program: r.Program(Command{Exec: scheduler.Exec{Command: "true"}}.Program()),
		Observe: func(e scheduler.Event) {
			if e.Kind == scheduler.HostDone {
				end = e
			}
		},
	}, s)
	if err != nil {
		t.Fatal(err)
	}
	return end, s
}

func on(t *testing.T, s string) RetryOn {
	t.Helper()
	if s == "" {
		return RetryOn{}
	}
	o, err := ParseRetryOn(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRetry(t *testing.T) {
	for _, c := range []struct {
		on          string
		list        string
		tries, sent int
		want        string // outcome: cause
	}{
		{"", "ok", 1, 1, "ok"},
		{"", "refused,refused,ok", 3, 1, "ok"},
		{"", "refused,refused,refused,refused", 4, 0, "unreachable: connection refused"},
		// By default nothing that may have run is sent again.
		{"", "exit 1", 1, 1, "failed: exit status 1"},
		{"", "lost", 1, 1, "lost: connection lost"},
		{"", "timeout", 1, 1, "failed: timeout in command after 1s"},
		{"", "refused,lost", 2, 1, "lost: connection lost"},
		{"exit", "exit 1,exit 2,ok", 3, 3, "ok"},
		{"exit=75", "exit 75,exit 1,ok", 2, 2, "failed: exit status 1"},
		{"exit=75,lost", "exit 75,lost,ok", 3, 3, "ok"},
		{"timeout", "timeout,ok", 2, 2, "ok"},
		// What may still run is not begun again beside it.
		{"timeout,failed", "unkilled,ok", 1, 1, "failed: timeout in command after 1s"},
		{"timeout", "refused,ok", 1, 0, "unreachable: connection refused"},
		{"failed", "timeout,exit 1,lost", 3, 3, "lost: connection lost"},
		{"refused", "refused,ok", 2, 1, "ok"},
		// What is wrong with the login is never tried again.
		{"unreachable", "auth,ok", 1, 0, "unreachable: login refused"},
		// A try that ran is not forgotten for one that could not be sent.
		{"exit,unreachable", "exit 7,refused,refused,refused", 4, 1, "failed: exit status 7 (the try after it could not be sent: connection refused)"},
		{"lost", "lost,refused", 2, 1, "lost: connection lost (the try after it could not be sent: connection refused)"},
		{"lost,unreachable", "lost,refused,exit 3", 3, 2, "failed: exit status 3"},
	} {
		end, s := try(t, Retry{Times: 3, On: on(t, c.on), Wait: time.Second}, 0, strings.Split(c.list, ",")...)
		got := string(end.Outcome)
		if end.Cause != nil {
			got += ": " + end.Cause.Text
		}
		res := end.Value.(*Retried)
		if got != c.want || res.Tries != c.tries || s.sent != c.sent {
			t.Errorf("on %q, %s: %s after %d tries, %d sent; want %+v", c.on, c.list, got, res.Tries, s.sent, c)
		}
		if v := res.Value.(*CommandResult); end.Outcome == scheduler.Failed && strings.Contains(c.want, "status 7") && v.Exec.ExitCode != 7 {
			t.Errorf("%s: the value is %+v", c.list, v)
		}
	}
}

// Waits double, up to a bound, and jitter keeps hosts apart.
func TestRetryWaits(t *testing.T) {
	var waits []time.Duration
	r := Retry{Times: 8, Wait: time.Second, Told: func(_ string, try int, cause *scheduler.Cause, wait time.Duration) {
		if try != len(waits)+1 || cause.Kind != scheduler.KindRefused {
			t.Errorf("try %d: %v", try, cause)
		}
		waits = append(waits, wait)
	}}
	_, s := try(t, r, 0, strings.Split(strings.Repeat("refused,", 8)+"ok", ",")...)
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	var sum time.Duration
	for i, w := range waits {
		sum += w
		if w != want[i]*time.Second {
			t.Errorf("wait %d is %v, want %v s", i+1, w, want[i])
		}
	}
	if passed := s.now.Sub(epoch); len(waits) != 8 || passed != sum {
		t.Errorf("%d waits, %v passed, want %v", len(waits), passed, sum)
	}
	end, s := try(t, Retry{Times: 1, Wait: time.Second}, 0, "throttled", "ok")
	if passed := s.now.Sub(epoch); end.Outcome != scheduler.OK || passed < 15*time.Second {
		t.Errorf("a server that was busy was tried again after %v: %v", passed, end)
	}
	for _, j := range []float64{0, 0.25, 0.999} {
		r := Retry{Wait: time.Second, Jitter: func() float64 { return j }}
		if w := r.wait(1); w < time.Second/2 || w >= 3*time.Second/2 {
			t.Errorf("jitter %v: %v", j, w)
		}
	}
}

// A stop in the wait, or in a try, ends it all.
func TestRetryStops(t *testing.T) {
	r := Retry{Times: 3, On: on(t, "exit,unreachable,lost,failed"), Wait: 10 * time.Second}
	end, s := try(t, r, time.Second, "exit 1", "ok")
	if end.Outcome != scheduler.Failed || end.Cause.Text != "exit status 1" || s.sent != 1 {
		t.Errorf("stopped in the wait: %v, %d sent", end, s.sent)
	}
	end, s = try(t, r, time.Minute, "exit 1", "hang")
	if end.Outcome != scheduler.Canceled || s.sent != 2 {
		t.Errorf("stopped in the second try: %v, %d sent", end, s.sent)
	}
}

func TestRetryOfOtherErrors(t *testing.T) {
	n := 0
	own := errors.New("my own")
	r := Retry{Times: 3, Wait: time.Second}
	_, err := scheduler.Run(scheduler.Plan{
		Hosts: func(yield func(string) bool) { yield("web01") }, Total: 1, Fanout: 1,
		Program: r.Program(func(*scheduler.Remote) (any, error) { n++; return nil, own }),
	}, &scripted{now: epoch})
	if err != nil || n != 1 {
		t.Errorf("%d tries, %v", n, err)
	}
}

func TestParseRetryOn(t *testing.T) {
	for _, text := range []string{"", "often", "exit=0", "exit=256", "exit=x", "unreachable,", "auth", "hostkey_changed"} {
		if o, err := ParseRetryOn(text); err == nil || !strings.HasPrefix(err.Error(), "retry-on ") {
			t.Errorf("%q: %+v, %v", text, o, err)
		}
	}
	if _, err := ParseRetryOn("unreachable, lost,exit=1,exit=2,throttled"); err != nil {
		t.Error(err)
	}
}

// FuzzParseRetryOn checks that what is read holds known words alone, and that
// nothing that must not be repeated ever is.
func FuzzParseRetryOn(f *testing.F) {
	for _, s := range []string{"", "unreachable", "exit=1,exit=255", "exit=256", "lost, timeout", ",", "auth", "exit=-1", "exit=0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		on, err := ParseRetryOn(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "retry-on ") {
				t.Errorf("%q: error %q", s, err)
			}
			return
		}
		for _, kind := range retryNever {
			for _, o := range []scheduler.Outcome{scheduler.Failed, scheduler.Unreachable, scheduler.Lost} {
				if on.matches(&scheduler.Error{Outcome: o, Cause: scheduler.Cause{Kind: kind}}, nil) {
					t.Errorf("%q: tries again after %s, %s", s, o, kind)
				}
			}
		}
		if len(on.words)+len(on.codes) != strings.Count(s, ",")+1 {
			t.Errorf("%q: %+v", s, on)
		}
	})
}
