package sim

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/scheduler"
)

// Check says what is wrong with a run. It judges by the options, the events
// and the world's log alone.
func Check(r *Run) []string {
	c := &checker{Run: r, hosts: map[string]*hostView{}}
	if r.Err != nil {
		c.wrong("run: %v", r.Err)
	}
	c.gather()
	c.frame()
	c.ops()
	c.starts()
	c.batches()
	c.budget()
	c.gates()
	c.delays()
	c.stragglers()
	c.times()
	c.slow()
	for i := range c.Options.Hosts {
		c.host(c.hosts[c.Options.Host(i)])
	}
	return c.problems
}

type checker struct {
	*Run
	problems []string
	hosts    map[string]*hostView
	stops    []time.Duration // when the world completed Stop ops
	gate     *hostView       // its ops
	left     bool            // the run left at once, after a second stop
}

// hostView is what the events and the log say of one host.
type hostView struct {
	name        string
	kind        Kind
	start       *scheduler.Event
	done        *scheduler.Event
	dones       int
	cancel      *scheduler.Event
	cancelPlace int  // in the events
	byLimit     bool // it was its own limit that cancelled it
	graceOver   *scheduler.Event
	ops         []*opView
	releases    int
	releasedAt  int // place in the log
}

type opView struct {
	id         scheduler.ID
	op         string
	submitted  time.Duration
	place      int // in the log
	eventPlace int // in the events
	done       *Entry
	donePlace  int
	limited    bool
}

func (o *opView) exec() bool { return strings.HasPrefix(o.op, "exec ") }

func (c *checker) wrong(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// gather sorts events and log by host.
func (c *checker) gather() {
	for i := range c.Options.Hosts {
		name := c.Options.Host(i)
		c.hosts[name] = &hostView{name: name, kind: c.Options.Kind(name)}
	}
	c.gate = &hostView{name: GateHost}
	ops := c.gatherLog()
	for i := range c.Events {
		e := &c.Events[i]
		if e.Host == "" || e.Gate {
			continue
		}
		h := c.hosts[e.Host]
		if h == nil {
			c.wrong("event of a host that is none: %v", e)
			continue
		}
		switch e.Kind {
		case scheduler.HostStart:
			if h.start != nil {
				c.wrong("%s: started twice", e.Host)
			}
			h.start = e
		case scheduler.HostDone:
			h.done = e
			h.dones++
		case scheduler.HostCancel:
			h.cancel, h.cancelPlace = e, i
			before := c.Events[i-1]
			h.byLimit = (before.Kind == scheduler.LimitHit || before.Kind == scheduler.StragglerFound) &&
				before.Host == e.Host && before.Op == nil
		case scheduler.GraceOver:
			h.graceOver = e
		case scheduler.OpSubmit:
			if o := ops[e.ID]; o != nil {
				o.eventPlace = i
			}
		case scheduler.LimitHit:
			if o := ops[e.ID]; o != nil {
				o.limited = true
			}
		}
	}
}

func (c *checker) gatherLog() map[scheduler.ID]*opView {
	ops := map[scheduler.ID]*opView{}
	last := scheduler.ID(0)
	for i := range c.Log {
		e := &c.Log[i]
		switch e.What {
		case "submit":
			if last++; e.ID != last {
				c.wrong("op #%d follows #%d", e.ID, last-1)
			}
			o := &opView{id: e.ID, op: e.Op, submitted: e.At, place: i}
			ops[e.ID] = o
			h := c.hosts[e.Host]
			if e.Host == GateHost || e.Host == "" && e.Op == "do" {
				h = c.gate
			}
			switch {
			case h == nil && e.Op != "stop":
				c.wrong("op for a host that is none: %v", e)
			case h != nil && e.Op == "release":
				h.releases++
				h.releasedAt = i
			case h != nil:
				h.ops = append(h.ops, o)
			}
		case "done":
			o := ops[e.ID]
			if o.done != nil {
				c.wrong("op #%d completed twice", e.ID)
			}
			o.done, o.donePlace = e, i
			if e.Op == "stop" && e.Fate == FateOK {
				c.stops = append(c.stops, e.At)
			}
		}
	}
	c.left = len(c.stops) > 1
	for id, o := range ops {
		if o.done == nil && !c.left {
			c.wrong("op #%d (%s) never completed", id, o.op)
		}
	}
	return ops
}

// frame checks the first and last event, the order of time, and the report.
func (c *checker) frame() {
	counts := map[scheduler.Outcome]int{}
	var at time.Duration
	for i, e := range c.Events {
		if (i == 0) != (e.Kind == scheduler.RunStart) || (i == len(c.Events)-1) != (e.Kind == scheduler.RunEnd) {
			c.wrong("event %d of %d: %v", i, len(c.Events), e)
		}
		if e.Since < at {
			c.wrong("time goes back: %v", e)
		}
		at = e.Since
		switch e.Kind {
		case scheduler.HostDone:
			counts[e.Outcome]++
		case scheduler.Unknown, scheduler.Fault:
			c.wrong("event %v", e)
		}
	}
	for _, o := range scheduler.Outcomes {
		if counts[o] != c.Report.Counts[o] {
			c.wrong("report counts %d %s, events %d", c.Report.Counts[o], o, counts[o])
		}
	}
	if c.Report.Hosts != c.Options.Hosts || c.Report.Started != c.Options.Hosts-counts[scheduler.Skipped] {
		c.wrong("report of %d hosts, %d started", c.Report.Hosts, c.Report.Started)
	}
}

// ops checks that the loop hears of each completion once, and no program is
// resumed before.
func (c *checker) ops() {
	submitted, done := map[scheduler.ID]int{}, map[scheduler.ID]int{}
	for _, e := range c.Events {
		switch e.Kind {
		case scheduler.OpSubmit:
			submitted[e.ID]++
		case scheduler.OpDone:
			done[e.ID]++
		}
	}
	for _, e := range c.Log {
		switch {
		case e.Op == "stop":
		case e.What == "submit" && submitted[e.ID] != 1:
			c.wrong("op #%d: %d events of its submission", e.ID, submitted[e.ID])
		case e.What == "done" && done[e.ID] != 1:
			c.wrong("op #%d: %d events of its completion", e.ID, done[e.ID])
		}
	}
	for _, h := range append(slices.Collect(maps.Values(c.hosts)), c.gate) {
		for i := 1; i < len(h.ops); i++ {
			if before := h.ops[i-1]; before.done == nil || before.donePlace > h.ops[i].place {
				c.wrong("%s: op #%d was submitted before #%d had completed", h.name, h.ops[i].id, before.id)
			}
		}
	}
}

// starts checks fanout, and that nothing starts after the run was closed.
func (c *checker) starts() {
	alive, closed := 0, ""
	for _, e := range c.Events {
		switch e.Kind {
		case scheduler.HostStart:
			if alive++; alive > c.Options.Fanout {
				c.wrong("%d hosts at once, fanout %d", alive, c.Options.Fanout)
			}
			if closed != "" {
				c.wrong("%s started after %s", e.Host, closed)
			}
			if len(c.stops) > 0 && e.Since > c.stops[0] {
				c.wrong("%s started at %v, the user said stop at %v", e.Host, e.Since, c.stops[0])
			}
			if d := c.Options.Deadline; d > 0 && e.Since >= d {
				c.wrong("%s started at %v, the deadline was at %v", e.Host, e.Since, d)
			}
		case scheduler.HostDone:
			if e.Outcome == scheduler.Skipped {
				if closed == "" {
					c.wrong("%s skipped though nothing had happened", e.Host)
				}
				continue
			}
			alive--
		case scheduler.Halt, scheduler.StopAsked:
			closed = string(e.Kind)
		case scheduler.GateDone:
			if e.Outcome != scheduler.OK {
				closed = "a gate"
			}
		case scheduler.LimitHit:
			if e.Host == "" && !e.Gate {
				closed = "the deadline"
			}
		}
	}
}

// batches checks sizes, and that a batch starts after the one before.
func (c *checker) batches() {
	sizes := c.sizes()
	current, started, alive := 0, 0, 0
	full := func() bool { return len(sizes) > 0 && started == sizes[min(current, len(sizes))-1] }
	for _, e := range c.Events {
		switch {
		case e.Kind == scheduler.HostStart && e.Batch != current:
			if e.Batch != current+1 || alive > 0 || current > 0 && !full() {
				c.wrong("%s starts batch %d after %d, %d alive, %d started", e.Host, e.Batch, current, alive, started)
			}
			current, started, alive = e.Batch, 1, 1
		case e.Kind == scheduler.HostStart:
			started++
			alive++
		case e.Kind == scheduler.HostDone && e.Outcome != scheduler.Skipped:
			alive--
		}
		if current > 0 && len(sizes) > 0 && started > sizes[min(current, len(sizes))-1] {
			c.wrong("batch %d has %d hosts", current, started)
		}
	}
	if len(sizes) == 0 && current > 1 {
		c.wrong("%d batches without sizes", current)
	}
}

// sizes works the batch sizes out from the text.
func (c *checker) sizes() (sizes []int) {
	if c.Options.Serial == "" {
		return nil
	}
	for word := range strings.SplitSeq(c.Options.Serial, ",") {
		n, err := strconv.Atoi(strings.TrimSuffix(word, "%"))
		if err != nil {
			c.wrong("serial %q: %v", c.Options.Serial, err)
		}
		if strings.HasSuffix(word, "%") {
			whole := n * c.Options.Hosts
			n = whole / 100
			if whole%100 > 0 {
				n++
			}
		}
		sizes = append(sizes, max(n, 1))
	}
	return sizes
}

// budget counts failures as they come.
func (c *checker) budget() {
	failures, halted := 0, false
	for i, e := range c.Events {
		if e.Kind == scheduler.HostStart && c.exceeded(failures) {
			c.wrong("%s started after %d failures, max-fail %s", e.Host, failures, c.Options.MaxFail)
		}
		if e.Kind != scheduler.HostDone {
			continue
		}
		switch e.Outcome {
		case scheduler.Failed, scheduler.Unreachable, scheduler.Lost:
			failures++
		}
		if c.exceeded(failures) && !halted {
			halted = true
			if c.Events[i+1].Kind != scheduler.Halt {
				c.wrong("failure %d did not halt the run, max-fail %s", failures, c.Options.MaxFail)
			}
		}
	}
	if (halted || c.Report.Gate != nil) != c.Report.Halted {
		c.wrong("halted %v after %d failures, max-fail %s", c.Report.Halted, failures, c.Options.MaxFail)
	}
}

func (c *checker) exceeded(failures int) bool {
	text, percent := strings.CutSuffix(c.Options.MaxFail, "%")
	if text == "" {
		return false
	}
	allowed, ok := new(big.Rat).SetString(text)
	if !ok {
		c.wrong("max-fail %q", c.Options.MaxFail)
		return false
	}
	if percent {
		allowed.Mul(allowed, big.NewRat(int64(c.Options.Hosts), 100))
	}
	return big.NewRat(int64(failures), 1).Cmp(allowed) > 0
}
