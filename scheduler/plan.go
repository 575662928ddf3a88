package scheduler

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Plan is one run: a program for each of some hosts, and the rules for all.
type Plan struct {
	// Hosts gives the names, each once. It is drawn from as hosts start (one
	// ahead), by the loop's goroutine, so it must not block; it must end. At
	// the end of a run that stopped early the rest is drawn and skipped.
	Hosts iter.Seq[string]
	// Total is how many names Hosts gives, negative if unknown; percentages in
	// Serial and MaxFail are taken of it and need it.
	Total   int
	Program Program

	Fanout  int     // programs alive at once, at least 1
	Serial  []Batch // see ParseSerial; each batch starts when the one before has ended
	MaxFail Budget  // see ParseMaxFail; over the whole run, not per batch

	// Gate, where not nil, runs after each batch that another follows: hosts
	// start again once it has returned nil; any other end of it halts the run.
	// It is a program like those of hosts, of GateHost (which may be empty, for
	// one that asks nothing of a host), but counts as none: neither fanout nor
	// HostLimit nor MaxFail are about it. [Remote.Batch] is the batch that ended.
	Gate     Program
	GateHost string
	Delay    time.Duration // from the start of one host to that of the next; 0 is none

	Straggler Straggler // see ParseStraggler

	HostLimit time.Duration // for a host's whole program; 0 is none
	Deadline  time.Duration // for the run, from its start; 0 is none
	Grace     time.Duration // for cleaning up after a host was cancelled; 0: its next op unwinds it

	// Observe, where not nil, is told all events of the run in order, by the
	// loop's goroutine. It must not block.
	Observe func(Event)
	// TraceOps adds the events of each op: submitted, done.
	TraceOps bool
}

// check returns what is wrong with the plan, if anything.
func (p *Plan) check() error {
	switch {
	case p.Hosts == nil:
		return errors.New("plan has no hosts")
	case p.Program == nil:
		return errors.New("plan has no program")
	case p.Fanout < 1:
		return fmt.Errorf("fanout %d: must be at least 1", p.Fanout)
	case p.HostLimit < 0:
		return fmt.Errorf("host limit %v: must not be negative", p.HostLimit)
	case p.Deadline < 0:
		return fmt.Errorf("deadline %v: must not be negative", p.Deadline)
	case p.Grace < 0:
		return fmt.Errorf("grace %v: must not be negative", p.Grace)
	case p.Delay < 0:
		return fmt.Errorf("delay %v: must not be negative", p.Delay)
	case p.MaxFail.percent && p.Total < 0:
		return fmt.Errorf("max-fail %v: number of hosts is not known", p.MaxFail)
	}
	if err := p.Straggler.check(); err != nil {
		return err
	}
	for _, b := range p.Serial {
		if b.percent && p.Total < 0 {
			return fmt.Errorf("serial %v: number of hosts is not known", b)
		}
		if b.n < 1 {
			return fmt.Errorf("serial %v: empty batch", b)
		}
	}
	return nil
}

// sizes are the batch sizes in hosts.
func (p *Plan) sizes() []int {
	var sizes []int
	for _, b := range p.Serial {
		sizes = append(sizes, b.Size(p.Total))
	}
	return sizes
}
