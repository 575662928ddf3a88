package scheduler_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/scheduler"
)

// TestMaxFailOrders runs five hosts through all orders in which they can end,
// all choices of which of them fail, and all budgets and fanouts: no host
// starts once the budget is exceeded, so there are never more failures than
// the budget, the one over it, and what else was in flight.
func TestMaxFailOrders(t *testing.T) {
	const hosts = 5
	runs := 0
	for order := range permutations(hosts) {
		for failing := range 1 << hosts {
			for budget := range 3 {
				for fanout := 1; fanout <= hosts; fanout++ {
					runs++
					checkMaxFail(t, order, failing, budget, fanout)
					if t.Failed() {
						t.Fatalf("order %v failing %05b budget %d fanout %d", order, failing, budget, fanout)
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

func checkMaxFail(t *testing.T, order []int, failing, budget, fanout int) {
	w := newWorld()
	plan := scheduler.Plan{Total: len(order), Fanout: fanout, Program: func(r *scheduler.Remote) (any, error) {
		i, _ := strconv.Atoi(r.Host())
		if err := r.Sleep(time.Duration(order[i]+1) * time.Second); err != nil {
			return nil, err
		}
		if failing>>i&1 == 1 {
			return nil, scriptError([]string{"failed:exit", "unreachable:dns", "lost:conn_lost"}[i%3])
		}
		return nil, nil
	}}
	plan.MaxFail, _ = scheduler.ParseMaxFail(strconv.Itoa(budget))
	plan.Hosts = func(yield func(string) bool) {
		for i := range order {
			if !yield(strconv.Itoa(i)) {
				return
			}
		}
	}
	alive, failures, skipped := 0, 0, 0
	plan.Observe = func(e scheduler.Event) {
		switch {
		case e.Kind == scheduler.HostStart:
			alive++
			if failures > budget {
				t.Errorf("%s started after %d failures", e.Host, failures)
			}
		case e.Kind == scheduler.HostDone && e.Outcome == scheduler.Skipped:
			skipped++
		case e.Kind == scheduler.HostDone:
			alive--
			if e.Outcome != scheduler.OK {
				failures++
			}
		}
	}
	report, err := scheduler.Run(plan, w)
	switch {
	case err != nil:
		t.Error(err)
	case failures > budget+fanout:
		t.Errorf("%d failures", failures)
	case report.Halted != (failures > budget):
		t.Errorf("halted is %v after %d failures", report.Halted, failures)
	case !report.Halted && skipped > 0:
		t.Errorf("%d skipped without a halt", skipped)
	case report.Hosts != len(order) || report.Started+skipped != len(order):
		t.Errorf("report %+v", report)
	}
}

// permutations gives all orders of the numbers below n.
func permutations(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		order := make([]int, 0, n)
		var place func() bool
		place = func() bool {
			if len(order) == n {
				return yield(slices.Clone(order))
			}
			for i := range n {
				if slices.Contains(order, i) {
					continue
				}
				order = append(order, i)
				if !place() {
					return false
				}
				order = order[:len(order)-1]
			}
			return true
		}
		place()
	}
}

func TestParseMaxFail(t *testing.T) {
	for _, c := range []struct {
		text            string
		failures, total int
		exceeded        bool
	}{
		{"", 1000, 1000, false},
		{"0", 0, 10, false}, {"0", 1, 10, true},
		{"3", 3, 10, false}, {"3", 4, 10, true},
		{"10%", 2, 25, false}, {"10%", 3, 25, true},
		{"10%", 1, 10, false}, {"10%", 2, 10, true},
		{"0%", 1, 10, true}, {"100%", 10, 10, false},
		{"0.5%", 5, 1000, false}, {"0.5%", 6, 1000, true},
		{"12.25%", 49, 400, false}, {"12.25%", 50, 400, true},
		{"0.01%", 100, 1000000, false}, {"0.01%", 101, 1000000, true},
		{"10%", 1, 0, true},
	} {
		b, err := scheduler.ParseMaxFail(c.text)
		if err != nil || b.String() != c.text {
			t.Errorf("%q: parsed as %q, error %v", c.text, b, err)
		}
		if got := b.Exceeded(c.failures, c.total); got != c.exceeded {
			t.Errorf("%q: %d of %d exceed it: %v", c.text, c.failures, c.total, got)
		}
	}
	for _, text := range []string{"-1", "+1", "x", "%", "1.5", "1.%", "1.234%", ".5%", "101%", "100.01%", "99999999999", " 1", "1 %", "1%%", "1.x%"} {
		if b, err := scheduler.ParseMaxFail(text); err == nil {
			t.Errorf("%q: parsed as %q", text, b)
		} else if want := fmt.Sprintf("max-fail %q: ", text); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %q", text, err)
		}
	}
}

func TestParseSerial(t *testing.T) {
	for _, c := range []struct {
		text  string
		total int
		want  []int
	}{
		{"", 10, nil},
		{"1", 10, []int{1}},
		{"1,5%,25%,100%", 200, []int{1, 10, 50, 200}},
		{"1, 5%", 10, []int{1, 1}},
		{"0.01%,33%", 100, []int{1, 33}},
		{"33%", 10, []int{4}},
		{"1%", 0, []int{1}},
		{"100%", 2147483647, []int{2147483647}},
	} {
		batches, err := scheduler.ParseSerial(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		var got []int
		for _, b := range batches {
			got = append(got, b.Size(c.total))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q of %d hosts: %v, want %v", c.text, c.total, got, c.want)
		}
	}
	for _, text := range []string{",", "1,", "0", "0%", "5,0%", "-1", "x", "1;2", "101%"} {
		if b, err := scheduler.ParseSerial(text); err == nil {
			t.Errorf("%q: parsed as %v", text, b)
		}
	}
}

func TestInvalidPlans(t *testing.T) {
	valid := func() scheduler.Plan { return parseScript(t, "hosts a\nprogram\n  exec true\n").plan }
	for want, spoil := range map[string]func(*scheduler.Plan){
		"plan has no hosts":   func(p *scheduler.Plan) { p.Hosts = nil },
		"plan has no program": func(p *scheduler.Plan) { p.Program = nil },
		"fanout 0":            func(p *scheduler.Plan) { p.Fanout = 0 },
		"host limit -1s":      func(p *scheduler.Plan) { p.HostLimit = -time.Second },
		"deadline -1s":        func(p *scheduler.Plan) { p.Deadline = -time.Second },
		"grace -1s":           func(p *scheduler.Plan) { p.Grace = -time.Second },
		"delay -1s":           func(p *scheduler.Plan) { p.Delay = -time.Second },
		"straggler after -1s": func(p *scheduler.Plan) { p.Straggler.After = -time.Second },
		"straggler p95x0":     func(p *scheduler.Plan) { p.Straggler.Percent = 95 },
		"serial 0":            func(p *scheduler.Plan) { p.Serial = make([]scheduler.Batch, 1) },
	} {
		p := valid()
		spoil(&p)
		report, err := scheduler.Run(p, newWorld())
		var fault *scheduler.PanicError
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.As(err, &fault) || report.Counts != nil {
			t.Errorf("want %q: report %+v, error %v", want, report, err)
		}
	}
}
