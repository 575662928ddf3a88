// Package sim runs a whole fleet from a seed, on a virtual clock, and checks
// what every run must keep.
//
//   - options.go: a seed becomes [Options]: hosts, rules, faults, stops.
//   - world.go, do.go: [World], a [scheduler.Poller] that plays the hosts and
//     keeps a log of its own.
//   - program.go: the programs that the hosts run; gate.go: what stands between batches.
//   - check.go, checkhost.go, checkrollout.go: [Check] knows only options, events and the world's
//     log, and shares no code with the scheduler.
//
// The same seed gives the same run, to the byte. A failure prints the line
// that replays it.
package sim

import (
	"fmt"
	"strings"

	"fleet/scheduler"
)

// Run is one run of a fleet and what it left to look at.
type Run struct {
	Options Options
	Events  []scheduler.Event
	Log     []Entry
	Report  scheduler.Report
	Err     error
}

// Play runs a fleet and keeps its events and the world's log.
func Play(o Options) *Run {
	run := &Run{Options: o}
	w := NewWorld(o)
	w.Logging = true
	plan := o.Plan(w)
	plan.TraceOps = true
	plan.Observe = func(e scheduler.Event) { run.Events = append(run.Events, e) }
	run.Report, run.Err = scheduler.Run(plan, w)
	run.Log = w.Log()
	w.Close()
	return run
}

// String is the run as text: the same for equal runs.
func (r *Run) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", r.Options)
	for _, e := range r.Events {
		b.WriteString(e.String() + "\n")
	}
	for _, e := range r.Log {
		b.WriteString(e.String() + "\n")
	}
	fmt.Fprintf(&b, "%v %v %v %v error %v\n", r.Report.Counts, r.Report.Halted, r.Report.Deadline, r.Report.Interrupted, r.Err)
	return b.String()
}
