package scheduler_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/scheduler"
)

// rollout is one way in which a run in batches can go.
type rollout struct {
	order    []int // in which hosts end
	failing  int   // bits: which of them fail
	budget   int   // -1: none
	size     int   // of a batch
	badGate  int   // the batch after which the gate says no; 0: never
	gateAsks bool  // the gate parks before it says so
}

// TestRolloutOrders runs hosts in batches through all orders in which they can
// end, all choices of which fail, all budgets, batch sizes and verdicts of the
// gate: a host starts only in a batch whose gate has said yes, and never after
// the budget was exceeded.
func TestRolloutOrders(t *testing.T) {
	const hosts = 4
	runs := 0
	for order := range permutations(hosts) {
		for failing := range 1 << hosts {
			for budget := -1; budget < 3; budget++ {
				for size := 1; size <= hosts; size++ {
					for badGate := range hosts {
						runs++
						ro := rollout{order, failing, budget, size, badGate, runs%2 == 0}
						if problem := ro.play(); problem != "" {
							t.Fatalf("%+v: %s", ro, problem)
						}
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

func (ro rollout) play() string {
	plan := scheduler.Plan{Total: len(ro.order), Fanout: len(ro.order)}
	plan.Serial, _ = scheduler.ParseSerial(strconv.Itoa(ro.size))
	if ro.budget >= 0 {
		plan.MaxFail, _ = scheduler.ParseMaxFail(strconv.Itoa(ro.budget))
	}
	plan.Hosts = func(yield func(string) bool) {
		for i := range ro.order {
			if !yield(strconv.Itoa(i)) {
				return
			}
		}
	}
	plan.Program = func(r *scheduler.Remote) (any, error) {
		i, _ := strconv.Atoi(r.Host())
		if err := r.Sleep(time.Duration(ro.order[i]+1) * time.Second); err != nil {
			return nil, err
		}
		if ro.failing>>i&1 == 1 {
			return nil, scriptError([]string{"failed:exit", "unreachable:dns", "lost:conn_lost"}[i%3])
		}
		return nil, nil
	}
	plan.Gate = func(r *scheduler.Remote) (any, error) {
		if ro.gateAsks {
			if err := r.Sleep(time.Second); err != nil {
				return nil, err
			}
		}
		if r.Batch() == ro.badGate {
			return nil, errors.New("no")
		}
		return nil, nil
	}
	w := watcher{rollout: ro, open: 1}
	plan.Observe = w.see
	report, err := scheduler.Run(plan, newWorld())
	if err != nil {
		return err.Error()
	}
	return w.judge(report)
}

// watcher sees a rollout's events go by.
type watcher struct {
	rollout
	alive, failures, skipped int
	open                     int // the batch that may start
	gates                    int
	gating, refused, over    bool
	problems                 []string
}

func (w *watcher) wrong(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *watcher) see(e scheduler.Event) {
	switch e.Kind {
	case scheduler.HostStart:
		w.alive++
		if w.gating || w.refused || w.over || e.Batch != w.open {
			w.wrong("%v: gating %v, refused %v, over budget %v, batch %d may start", e, w.gating, w.refused, w.over, w.open)
		}
	case scheduler.GateStart:
		if w.alive > 0 || w.over || e.Batch != w.open {
			w.wrong("%v: %d alive, over budget %v", e, w.alive, w.over)
		}
		w.gates++
		w.gating = true
	case scheduler.GateDone:
		w.gating = false
		if e.Outcome == scheduler.OK {
			w.open++
		} else {
			w.refused = true
		}
	case scheduler.HostDone:
		if e.Outcome == scheduler.Skipped {
			w.skipped++
			return
		}
		w.alive--
		if e.Outcome != scheduler.OK {
			w.failures++
		}
		w.over = w.over || w.budget >= 0 && w.failures > w.budget
	}
}

func (w *watcher) judge(r scheduler.Report) string {
	hosts := len(w.order)
	switch {
	case w.failures > w.budget+w.size && w.budget >= 0:
		w.wrong("%d failures", w.failures)
	case w.refused != (r.Gate != nil):
		w.wrong("gate refused %v, report says %v", w.refused, r.Gate)
	case r.Halted != (w.refused || w.over):
		w.wrong("halted is %v, gate refused %v, over budget %v", r.Halted, w.refused, w.over)
	case w.skipped > 0 && !r.Halted:
		w.wrong("%d skipped without a halt", w.skipped)
	case r.Started+w.skipped != hosts || r.Hosts != hosts:
		w.wrong("report %+v", r)
	case !w.refused && !w.over && w.gates != (hosts-1)/w.size:
		w.wrong("%d gates", w.gates)
	case w.badGate > 0 && w.badGate <= (hosts-1)/w.size && !w.over && !w.refused:
		w.wrong("the gate after batch %d was not heard", w.badGate)
	}
	return strings.Join(w.problems, "; ")
}

func TestParseStraggler(t *testing.T) {
	for text, want := range map[string]scheduler.Straggler{
		"":           {},
		"30s":        {After: 30 * time.Second},
		"1m30s":      {After: 90 * time.Second},
		"p95x3":      {Percent: 95, Factor: 3},
		"p95×3":      {Percent: 95, Factor: 3},
		"p50x1.5":    {Percent: 50, Factor: 1.5},
		"p100x1000":  {Percent: 100, Factor: 1000},
		"p1x1.00000": {Percent: 1, Factor: 1},
	} {
		got, err := scheduler.ParseStraggler(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := scheduler.ParseStraggler(got.String()); err != nil || again != got {
			t.Errorf("%q: written as %q, read as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"0", "0s", "-5s", "x", "p95", "p95x", "px3", "p0x3", "p101x3", "p95x0", "p95x0.5", "p95xNaN", "p95xInf", "p95x1e2", "p95x-3", "p95xx3", "p-5x3", "95x3", "p95x1001"} {
		if s, err := scheduler.ParseStraggler(text); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("straggler-after %q: ", text)) {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}
