package sim

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/polltest"
	"fleet/scheduler"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var (
	oneSeed = flag.Uint64("seed", 0, "play this seed alone")
	seeds   = flag.Uint64("seeds", 0, "play the seeds from 1 to this one (default 500, or $FLEET_SOAK_SEEDS)")
	million = flag.Bool("million", false, "play a million hosts instead of 100,000")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	polltest.Run(t, func(t *testing.T) polltest.World {
		o := Options{Seed: 1, Calm: true, Tick: time.Microsecond, Hosts: 2, Faulty: 50}
		host, silent := "", ""
		for i := 0; host == "" || silent == ""; i++ {
			switch name := o.Host(i); o.Fault(name) {
			case Sound:
				host = name
			case Silent:
				silent = name
			}
		}
		w := NewWorld(o)
		return polltest.World{Poller: w, Host: host, Silent: silent, Stop: w.Stop, Close: w.Close}
	})
}

// TestSeeds plays many fleets, each twice.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), *seeds
	if env := os.Getenv("FLEET_SOAK_SEEDS"); last == 0 && env != "" {
		n, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			t.Fatalf("FLEET_SOAK_SEEDS: %v", err)
		}
		last = n
	}
	if last == 0 {
		last = 500
	}
	if *oneSeed > 0 {
		first, last = *oneSeed, *oneSeed
	}
	var mu sync.Mutex
	seen := map[string]int{}
	next := make(chan uint64)
	var players sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for seed := range next {
				run := playSeed(t, seed)
				mu.Lock()
				run.tally(seen)
				mu.Unlock()
			}
		})
	}
	for seed := first; seed <= last; seed++ {
		next <- seed
	}
	close(next)
	players.Wait()
	t.Logf("%d seeds: %v", last-first+1, seen)
	if last-first < 499 {
		return
	}
	// A fleet in which nothing happens proves nothing.
	for _, what := range []string{"ok", "failed", "unreachable", "lost", "canceled", "skipped", "halted", "deadline", "interrupted", "left", "grace-over", "limit", "slow", "gate", "gate refused", "straggler", "stragglers", "cut"} {
		if seen[what] < 10 {
			t.Errorf("%s: seen %d times", what, seen[what])
		}
	}
}

func playSeed(t *testing.T, seed uint64) *Run {
	run := Play(FromSeed(seed))
	problems := Check(run)
	if again := Play(FromSeed(seed)).String(); again != run.String() {
		problems = append(problems, "the second run differs:\n"+firstDifference(run.String(), again))
	}
	if len(problems) > 0 {
		if len(problems) > 10 {
			problems = append(problems[:10], "...")
		}
		t.Errorf("%s\n\treplay: go test ./internal/sim -run TestSeeds -seed=%d", strings.Join(problems, "\n\t"), seed)
		if *oneSeed == seed {
			t.Log(run)
		}
	}
	return run
}

func firstDifference(a, b string) string {
	one, two := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(one), len(two)) {
		if one[i] != two[i] {
			return cmp.Diff(one[max(0, i-3):i+1], two[max(0, i-3):i+1])
		}
	}
	return "one is longer"
}

// tally counts what a run was about.
func (r *Run) tally(seen map[string]int) {
	for _, o := range scheduler.Outcomes {
		seen[string(o)] += r.Report.Counts[o]
	}
	for what, is := range map[string]bool{"halted": r.Report.Halted, "deadline": r.Report.Deadline, "interrupted": r.Report.Interrupted, "gate refused": r.Report.Gate != nil} {
		if is {
			seen[what]++
		}
	}
	for _, e := range r.Events {
		switch e.Kind {
		case scheduler.GateDone:
			seen["gate"]++
		case scheduler.StragglerFound:
			seen["straggler"]++
			if r.Options.Cut {
				seen["cut"]++
			}
		case scheduler.GraceOver, scheduler.LimitHit, scheduler.Slow, scheduler.OnlyStragglers:
			seen[string(e.Kind)]++
		case scheduler.StopAsked:
			if e.N == 2 {
				seen["left"]++
			}
		}
	}
}
