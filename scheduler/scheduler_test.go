package scheduler_test

import (
	"testing"

	"fleet/scheduler"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Two transcripts are about programs that cannot be ended.
		goleak.IgnoreAnyFunction("runtime.Goexit"),
		goleak.IgnoreAnyFunction("fleet/scheduler_test.swallow"))
}

// checkAccounts checks what holds for every run.
func checkAccounts(t *testing.T, events []scheduler.Event) {
	t.Helper()
	if len(events) == 0 {
		return
	}
	started, done := map[string]int{}, map[string]int{}
	for i, e := range events {
		switch e.Kind {
		case scheduler.HostStart:
			started[e.Host]++
		case scheduler.HostDone:
			done[e.Host]++
			if (e.Cause == nil) != (e.Outcome == scheduler.OK) {
				t.Errorf("%s: outcome %s with cause %v", e.Host, e.Outcome, e.Cause)
			}
			if (e.Outcome == scheduler.Skipped) != (started[e.Host] == 0) {
				t.Errorf("%s: %s, started %d times", e.Host, e.Outcome, started[e.Host])
			}
		}
		if (e.Kind == scheduler.RunStart) != (i == 0) || (e.Kind == scheduler.RunEnd) != (i == len(events)-1) {
			t.Errorf("event %d of %d: %v", i, len(events), e)
		}
	}
	for host, n := range done {
		if n != 1 {
			t.Errorf("%s: done %d times", host, n)
		}
	}
	for host, n := range started {
		if n != 1 || done[host] != 1 {
			t.Errorf("%s: started %d times, done %d times", host, n, done[host])
		}
	}
}
