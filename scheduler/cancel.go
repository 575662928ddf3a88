package scheduler

import (
	"errors"
	"time"
)

// reason is why a host, or all of them, were cancelled.
type reason uint8

const (
	alive reason = iota // not cancelled
	byHostLimit
	byDeadline
	byStop
	byStraggler
	byFault
)

// fire does what a timer is for.
func (l *loop) fire(t *timer) {
	switch t.kind {
	case opLimit:
		l.limitOp(t.r)
	case sleepEnd:
		l.resume(t.r, answer{})
	case hostLimit:
		l.emit(Event{Kind: LimitHit, Host: t.r.host, Batch: t.r.batch, Took: l.plan.HostLimit})
		l.timers.set(t, hostGrace, t.r, l.now.Add(l.plan.Grace))
		l.cancel(t.r, byHostLimit)
	case hostGrace:
		l.expire(t.r)
	case runDeadline:
		if l.alive == 0 && (l.closed != "" || !l.draw()) {
			return // too late to end anything
		}
		l.emit(Event{Kind: LimitHit, Took: l.plan.Deadline})
		l.report.Deadline = true
		l.close("deadline of " + short(l.plan.Deadline) + " passed")
		l.cancelAll(byDeadline)
	case startDue: // hosts start at the end of each turn
	case stragglerDue:
		l.nameStragglers()
	case runGrace:
		for r := l.first; r != nil; {
			next := r.next
			l.expire(r)
			r = next
		}
	}
}

// limitOp cancels an op that has reached its limit; the program is told when
// the op has completed.
func (l *loop) limitOp(r *Remote) {
	if r.interrupted {
		return // cancelled before, for another reason
	}
	r.limited = true
	l.emit(Event{Kind: LimitHit, Host: r.host, Batch: r.batch, Gate: r.gate, ID: r.id, Op: r.inflight.op, Took: r.inflight.limit})
	l.interrupt(r)
}

// cancel is the first of two steps: the op in flight ends early, and the
// program has the grace time to clean up.
func (l *loop) cancel(r *Remote, why reason) {
	if r.why != alive {
		return
	}
	r.why = why
	l.emit(Event{Kind: HostCancel, Host: r.host, Batch: r.batch, Gate: r.gate})
	l.interrupt(r)
}

// cancelAll cancels the programs alive, in the order of their start.
func (l *loop) cancelAll(why reason) {
	if l.why != alive {
		return
	}
	l.why = why
	l.timers.set(&l.grace, runGrace, nil, l.now.Add(l.plan.Grace))
	for r := l.first; r != nil; {
		next := r.next
		l.cancel(r, why)
		r = next
	}
}

// expire is the second step: each op from now on unwinds the program.
func (l *loop) expire(r *Remote) {
	if r.expired {
		return
	}
	r.expired = true
	l.emit(Event{Kind: GraceOver, Host: r.host, Batch: r.batch, Gate: r.gate})
	l.interrupt(r)
}

// interrupt ends what the program waits for: a sleep now, an op when its
// completion comes.
func (l *loop) interrupt(r *Remote) {
	if r.id == 0 {
		l.timers.clear(&r.opTimer)
		r.told = true
		l.resume(r, answer{err: ErrCanceled})
		return
	}
	if !r.interrupted {
		r.interrupted = true
		l.cancelOp(r.id)
	}
}

// stopCompleted notes that the user asked to stop.
func (l *loop) stopCompleted(err error) {
	l.stopID = 0
	if err != nil {
		return
	}
	l.stops++
	if l.stops < 2 && !l.leaving {
		l.stopID = l.submit("", submitted{op: Stop{}})
	}
}

// stopped does what the user asked for: the first time cancel, the second time
// leave at once.
func (l *loop) stopped() {
	l.report.Interrupted = true
	l.emit(Event{Kind: StopAsked, N: l.stops})
	l.close("interrupted")
	l.cancelAll(byStop)
	if l.stops > 1 {
		l.unwindAll(byStop)
	}
}

// unwindAll ends all programs without waiting for their ops.
func (l *loop) unwindAll(why reason) {
	for l.first != nil {
		r := l.first
		if r.why == alive {
			r.why = why
		}
		r.expired = true
		if r.id != 0 && (!l.dead || l.fault.In == "observe") {
			l.interrupt(r)
		}
		delete(l.inflight, r.id)
		l.resume(r, answer{unwind: true})
	}
}

// completed is what the program is told about its op.
func (r *Remote) completed(c Completion) answer {
	err := c.Err
	if err == nil && !r.limited {
		if acts(r.inflight.op) != "" {
			r.lost = nil
		}
		return answer{value: c.Value}
	}
	if r.limited {
		err = r.timeout(err)
	}
	if e := asError(err); e != nil && e.Outcome == Lost {
		if acts(r.inflight.op) != "" {
			r.lost = e
		}
	}
	if r.why != alive && errors.Is(c.Err, ErrCanceled) && !r.limited {
		r.told = true
	}
	return answer{value: c.Value, err: err}
}

// timeout is the error of an op that was cancelled at its limit and completed
// with err. Where the poller knows that the connection went, or that nothing
// was sent, that stays the outcome.
func (r *Remote) timeout(err error) error {
	outcome, stage := Failed, StageCommand
	if e := asError(err); e != nil && (e.Outcome == Lost || e.Outcome == Unreachable) {
		if !errors.Is(err, ErrCanceled) {
			return err
		}
		if outcome = e.Outcome; outcome == Unreachable && e.Cause.Stage != "" {
			stage = e.Cause.Stage // where the time went
		}
	}
	what := string(stage)
	if _, ok := r.inflight.op.(Exec); !ok {
		stage, what = "", r.inflight.op.String()
	}
	if _, ok := r.inflight.op.(Connect); ok {
		outcome = Unreachable
	}
	return &Error{Outcome: outcome, Err: err, Cause: Cause{
		Kind: KindTimeout, Stage: stage, Text: timeoutText(what, r.inflight.limit)}}
}

func timeoutText(what string, limit time.Duration) string {
	return "timeout in " + what + " after " + short(limit)
}
