package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/scheduler"
)

// gates checks that what stands between two batches does: it runs alone, once
// after each batch that another follows, and what it says is done.
func (c *checker) gates() {
	began, opened, running, refused, alive := 0, 0, false, false, 0
	canceled := false
	for _, e := range c.Events {
		switch {
		case e.Kind == scheduler.GateStart:
			if running || alive > 0 || e.Batch != began+1 || c.Options.Gate == Open {
				c.wrong("%v: the one before is of batch %d and runs: %v; %d hosts alive", e, began, running, alive)
			}
			began, running = e.Batch, true
		case e.Kind == scheduler.HostCancel && e.Gate:
			canceled = true
		case e.Kind == scheduler.GateDone:
			if !running || e.Batch != began || (e.Cause == nil) != (e.Outcome == scheduler.OK) {
				c.wrong("%v: gate %d runs: %v", e, began, running)
			}
			running = false
			if e.Outcome == scheduler.OK {
				opened = e.Batch
			} else {
				refused = !canceled
			}
			c.verdict(e, canceled)
		case e.Kind == scheduler.HostStart:
			alive++
			if running || refused || c.Options.Gate != Open && e.Batch != opened+1 {
				c.wrong("%v: gate %d runs: %v, refused: %v; opened up to %d", e, began, running, refused, opened)
			}
		case e.Kind == scheduler.HostDone && e.Outcome != scheduler.Skipped:
			alive--
		}
	}
	if running || refused != (c.Report.Gate != nil) {
		c.wrong("gate %d runs: %v, refused: %v, the report says %v", began, running, refused, c.Report.Gate)
	}
}

// verdict checks a gate's outcome against what the world did.
func (c *checker) verdict(e scheduler.Event, canceled bool) {
	switch {
	case canceled || c.left:
	case c.Options.Gate == Dragging:
		if e.Outcome != scheduler.Failed || e.Cause.Kind != scheduler.KindTimeout {
			c.wrong("%v: it waits until its limit", e)
		}
	case c.Options.Gate == Asking:
		for _, o := range c.gate.ops {
			if o.done != nil && o.done.At <= e.Since && (o.done.Fate != FateOK || o.limited) && e.Outcome == scheduler.OK {
				c.wrong("%v: op #%d ended with %s", e, o.id, o.done.Fate)
			}
		}
	case (e.Outcome == scheduler.OK) == c.Options.refuses(e.Batch):
		c.wrong("%v: it should say %v", e, !c.Options.refuses(e.Batch))
	}
}

// gateTime is how long gates ran.
func (c *checker) gateTime() (sum time.Duration) {
	var from time.Duration
	for _, e := range c.Events {
		switch e.Kind {
		case scheduler.GateStart:
			from = e.Since
		case scheduler.GateDone:
			took := e.Since - from
			sum += took
			if pause := c.Options.pause(e.Batch); c.Options.Gate == Pausing && e.Outcome == scheduler.OK && took < pause && !c.ended() {
				c.wrong("%v: it took %v, its pause is %v", e, took, pause)
			}
		}
	}
	return sum
}

// ended says that the run was told to end before its time.
func (c *checker) ended() bool { return len(c.stops) > 0 || c.Report.Deadline }

// delays checks that hosts start one by one.
func (c *checker) delays() {
	last := -c.Options.Delay
	for _, e := range c.Events {
		if e.Kind != scheduler.HostStart {
			continue
		}
		if e.Since-last < c.Options.Delay {
			c.wrong("%v: the host before started at %v, the delay is %v", e, last, c.Options.Delay)
		}
		last = e.Since
	}
}

// stragglers checks who is named, and that nobody is missed.
func (c *checker) stragglers() {
	alive, named := map[string]time.Duration{}, map[string]bool{}
	var times []time.Duration
	for i, e := range c.Events {
		switch {
		case e.Kind == scheduler.HostStart:
			alive[e.Host] = e.Since
		case e.Kind == scheduler.StragglerFound:
			if named[e.Host] || e.Since < alive[e.Host]+e.Took || e.Took == 0 || !c.threshold(e.Took, times) {
				c.wrong("%v: started at %v, named before: %v; times %v", e, alive[e.Host], named[e.Host], times)
			}
			named[e.Host] = true
			next := c.Events[i+1]
			if cut := next.Kind == scheduler.HostCancel && next.Host == e.Host; cut && !c.Options.Cut || !cut && c.Options.Cut && c.hosts[e.Host].cancelPlace == 0 {
				c.wrong("%v: cut: %v", e, cut)
			}
		case e.Kind == scheduler.OnlyStragglers:
			if c.Options.Cut || e.N != len(alive) || !every(alive, named) {
				c.wrong("%v: alive are %v, stragglers %v", e, alive, named)
			}
		case e.Kind == scheduler.HostDone && e.Outcome != scheduler.Skipped:
			took := e.Since - alive[e.Host]
			if d, err := time.ParseDuration(c.Options.Slow); err == nil && took > d && !named[e.Host] {
				c.wrong("%v: took %v and was not named", e, took)
			}
			if c.overlong(took, times) && !named[e.Host] {
				c.wrong("%v: took %v and was not named, the others %v", e, took, times)
			}
			delete(alive, e.Host)
			if e.Outcome == scheduler.OK {
				times = append(times, took)
			}
		}
	}
}

func every(alive map[string]time.Duration, named map[string]bool) bool {
	for host := range alive {
		if !named[host] {
			return false
		}
	}
	return true
}

// overlong says that a host took longer than any measure of the others allows.
func (c *checker) overlong(took time.Duration, times []time.Duration) bool {
	_, factor, percentile := strings.Cut(c.Options.Slow, "x")
	f, _ := strconv.ParseFloat(factor, 64)
	return percentile && len(times) > 4 && took > time.Duration(float64(slices.Max(times))*f*1.05)+1600*time.Millisecond
}

// threshold says whether a straggler may be one after so long, given the times
// of those that ended well.
func (c *checker) threshold(after time.Duration, times []time.Duration) bool {
	if d, err := time.ParseDuration(c.Options.Slow); err == nil {
		return after == d
	}
	percent, factor, _ := strings.Cut(strings.TrimPrefix(c.Options.Slow, "p"), "x")
	p, _ := strconv.Atoi(percent)
	f, _ := strconv.ParseFloat(factor, 64)
	if len(times) < 4 {
		return false
	}
	sorted := slices.Sorted(slices.Values(times))
	at := sorted[max(0, (len(sorted)*p+99)/100-1)]
	least := time.Duration(float64(at) * f)
	slack := least/20 + 600*time.Millisecond
	return after >= max(time.Second, least-slack) && after <= max(time.Second, least+slack)
}
