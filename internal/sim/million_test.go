package sim

import (
	"os"
	"runtime"
	"testing"
	"time"

	"fleet/scheduler"
)

// TestManyHosts plays one large fleet, three ops and a sleep a host, and holds
// it to a time and an amount of memory: 100,000 hosts, a million with -million
// or when soaking.
func TestManyHosts(t *testing.T) {
	hosts := 100_000
	if *million || os.Getenv("FLEET_SOAK_SEEDS") != "" {
		hosts = 1_000_000
	}
	o := Options{Seed: 1, Hosts: hosts, Fanout: 1000, Faulty: 5, Calm: true, Tick: time.Microsecond,
		OpLimit: time.Minute, Kinds: []Kind{Two}}
	w := NewWorld(o)
	plan := o.Plan(w)
	done, goroutines := 0, 0
	var early, memory runtime.MemStats
	plan.Observe = func(e scheduler.Event) {
		if e.Kind != scheduler.HostDone {
			return
		}
		switch done++; done {
		case hosts / 10:
			runtime.ReadMemStats(&early)
		case hosts / 10 * 9:
			runtime.ReadMemStats(&memory)
			goroutines = runtime.NumGoroutine()
		}
	}
	began := time.Now()
	report, err := scheduler.Run(plan, w)
	took := time.Since(began)
	w.Close()
	t.Logf("%d hosts in %v (%v a host), %d MB from the system after a tenth, %d MB near the end, %d goroutines; virtual wall %v, %v",
		hosts, took.Round(time.Millisecond), took/time.Duration(hosts), early.Sys>>20, memory.Sys>>20, goroutines, report.Wall, report.Counts)
	if err != nil || report.Hosts != hosts || done != hosts {
		t.Errorf("report %+v, error %v", report, err)
	}
	// A host takes about 8 µs on an idle machine, and much longer on a busy one.
	if limit := 2*time.Minute + time.Duration(hosts)*100*time.Microsecond; took > limit {
		t.Errorf("took %v, limit %v", took, limit)
	}
	if memory.Sys > 1<<30 || memory.Sys > 2*early.Sys {
		t.Errorf("%d bytes from the system, after a tenth %d", memory.Sys, early.Sys)
	}
	if goroutines > o.Fanout+50 {
		t.Errorf("%d goroutines at fanout %d", goroutines, o.Fanout)
	}
}
