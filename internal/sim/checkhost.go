package sim

import (
	"slices"
	"time"

	"fleet/scheduler"
)

// times checks limits, and that the run took as long as its hosts say.
func (c *checker) times() {
	var held time.Duration
	for _, e := range c.Log {
		held += e.Held
	}
	slack := held + MaxDeaf // each cancel may be answered late
	var sum, longest time.Duration
	for _, h := range c.hosts {
		if h.start == nil || h.done == nil {
			continue
		}
		took := h.done.Since - h.start.Since
		sum, longest = sum+took, max(longest, took)
		if d := c.Options.HostLimit; d > 0 && took > d+max(c.Options.Grace, MaxDeaf)+slack {
			c.wrong("%s took %v, its limit was %v", h.name, took, d)
		}
		for _, o := range h.ops {
			if d := c.Options.OpLimit; d > 0 && o.exec() && o.done != nil && o.done.At-o.submitted > d+slack {
				c.wrong("%s: op #%d took %v, its limit was %v", h.name, o.id, o.done.At-o.submitted, d)
			}
		}
	}
	between := c.gateTime() + time.Duration(c.Options.Hosts)*c.Options.Delay
	wall := c.Report.Wall
	if wall < longest || wall*time.Duration(c.Options.Fanout) < sum || wall > sum+held+between {
		c.wrong("wall time %v, hosts took %v at most, %v in sum, fanout %d", wall, longest, sum, c.Options.Fanout)
	}
	over := func(what string, at time.Duration) {
		if wall > at+max(c.Options.Grace, MaxDeaf)+slack {
			c.wrong("run ended at %v, %s was at %v", wall, what, at)
		}
	}
	if d := c.Options.Deadline; d > 0 {
		over("the deadline", d)
		if passed := c.anyEvent(func(e scheduler.Event) bool { return e.Kind == scheduler.LimitHit && e.Host == "" && !e.Gate }); passed != c.Report.Deadline || passed && wall < d {
			c.wrong("report says deadline %v, wall %v", c.Report.Deadline, wall)
		}
	}
	if len(c.stops) > 0 {
		over("the stop", c.stops[0])
	}
	if len(c.stops) > 1 && wall > c.stops[1]+held {
		c.wrong("run ended at %v, the second stop was at %v", wall, c.stops[1])
	}
	if c.Report.Interrupted && len(c.stops) == 0 {
		c.wrong("interrupted without a stop")
	}
}

func (c *checker) anyEvent(is func(scheduler.Event) bool) bool {
	return slices.ContainsFunc(c.Events, is)
}

// slow checks that who holds the loop is named, and nobody else.
func (c *checker) slow() {
	want, got := map[string]time.Duration{}, map[string]time.Duration{}
	for _, e := range c.Log {
		if e.Held >= scheduler.SlowResume {
			want[e.Host] = e.Held
		}
	}
	for _, e := range c.Events {
		if e.Kind == scheduler.Slow {
			got[e.Host] = e.Took
		}
	}
	for _, h := range c.hosts {
		if want[h.name] != got[h.name] {
			c.wrong("%s held the loop for %v, reported %v", h.name, want[h.name], got[h.name])
		}
	}
}

// host checks one host's account and its outcome against what the world did.
func (c *checker) host(h *hostView) {
	if h.dones != 1 {
		c.wrong("%s: %d outcomes", h.name, h.dones)
		return
	}
	outcome := h.done.Outcome
	if (h.done.Cause == nil) != (outcome == scheduler.OK) {
		c.wrong("%s: outcome %s with cause %v", h.name, outcome, h.done.Cause)
	}
	if h.start == nil {
		if outcome != scheduler.Skipped || len(h.ops) > 0 {
			c.wrong("%s: %s after %d ops, never started", h.name, outcome, len(h.ops))
		}
		return
	}
	c.released(h)
	if c.left || len(h.ops) == 0 || h.ops[len(h.ops)-1].done != nil {
		if allowed := c.allowed(h); !slices.Contains(allowed, outcome) {
			c.wrong("%s: outcome %s, the world says %v", h.name, outcome, allowed)
		}
	}
	if h.cancel != nil && h.kind != Stubborn && h.kind != Cleaning {
		for _, o := range h.ops {
			if o.eventPlace > h.cancelPlace {
				c.wrong("%s: op #%d submitted after the cancel", h.name, o.id)
			}
		}
	}
	if h.graceOver != nil && h.cancel == nil {
		c.wrong("%s: grace over without a cancel", h.name)
	}
	if h.graceOver != nil && h.cancel != nil && h.graceOver.Since < h.cancel.Since+c.Options.Grace && !h.byLimit && !c.Report.Deadline {
		c.wrong("%s: canceled at %v, grace over at %v", h.name, h.cancel.Since, h.graceOver.Since)
	}
}

// released checks that a host's connection was given back once, at the end.
func (c *checker) released(h *hostView) {
	used, last := false, 0
	for _, o := range h.ops {
		used = used || o.op != "do"
		last = max(last, o.donePlace)
	}
	want := 0
	if used {
		want = 1
	}
	if c.left && h.releases < want {
		return // nobody waited
	}
	if h.releases != want || used && h.releasedAt < last {
		c.wrong("%s: released %d times, want %d", h.name, h.releases, want)
	}
}

// allowed are the outcomes that a host's ops allow.
func (c *checker) allowed(h *hostView) []scheduler.Outcome {
	straight := c.straight(h)
	switch {
	case h.kind == Stubborn && h.cancel != nil:
		for _, o := range h.ops {
			if o.done != nil && o.done.Fate == FateLost {
				straight = append(straight, scheduler.Lost)
			}
		}
		return append(straight, c.canceled(h))
	case h.kind == Cleaning && h.graceOver != nil, h.kind == Cleaning && c.left:
		return append(straight, c.canceled(h), scheduler.Lost)
	}
	return straight
}

// straight walks the ops of a program that ends at its first error.
func (c *checker) straight(h *hostView) []scheduler.Outcome {
	connects, last := 0, (*opView)(nil)
	for i, o := range h.ops {
		if o.op == "connect" {
			connects++
		}
		if o.op == `exec "cleanup"` {
			continue
		}
		last = o
		failed := o.done == nil || o.done.Fate != FateOK || o.limited
		again := h.kind == Stubborn && i < len(h.ops)-1 ||
			h.kind == Retrying && o.op == "connect" && connects < 3 && o.done != nil && o.done.Fate == FateUnreachable
		if failed && !again {
			return []scheduler.Outcome{c.fate(h, o)}
		}
	}
	complete := last != nil && last.done.Fate == FateOK
	switch h.kind {
	case Idle:
		complete = true
	case Panicking:
		if complete {
			return []scheduler.Outcome{scheduler.Failed}
		}
	case Waiting:
	case Stubborn:
		complete = complete && last.exec()
	default:
		complete = complete && last.op == `exec "true"`
	}
	if complete {
		return []scheduler.Outcome{scheduler.OK}
	}
	if h.cancel == nil {
		c.wrong("%s: ended after %d ops without a cause", h.name, len(h.ops))
	}
	return []scheduler.Outcome{c.canceled(h)}
}

// fate is the outcome of a host whose program ends with a failed op.
func (c *checker) fate(h *hostView, o *opView) scheduler.Outcome {
	switch {
	case o.done == nil && o.exec():
		return scheduler.Lost
	case o.done == nil:
		return c.canceled(h)
	case o.done.Fate == FateUnreachable:
		return scheduler.Unreachable
	case o.done.Fate == FateLost:
		return scheduler.Lost
	case o.done.Fate == FateCanceled && !o.limited:
		if h.cancel == nil {
			c.wrong("%s: op #%d canceled without a cause", h.name, o.id)
		}
		return c.canceled(h)
	}
	return scheduler.Failed
}

// canceled is the outcome of a host that was cancelled.
func (c *checker) canceled(h *hostView) scheduler.Outcome {
	switch {
	case !h.byLimit:
		return scheduler.Canceled
	case slices.ContainsFunc(h.ops, (*opView).exec):
		return scheduler.Failed
	}
	return scheduler.Unreachable
}
