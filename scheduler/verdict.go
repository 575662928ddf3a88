package scheduler

import (
	"errors"
	"fmt"
)

// verdict is what became of a host whose program has ended; the cause is nil
// if and only if the outcome is ok.
func (l *loop) verdict(r *Remote) (outcome Outcome, cause *Cause) {
	defer func() {
		if v := recover(); v != nil { // the error's own methods
			outcome, cause = internal(fmt.Sprintf("program returned a %T that panics: %v", r.end.err, v))
		}
	}()
	switch {
	case r.end.panicked:
		return internal(r.end.text)
	case r.unwinds > 0:
		return l.unwound(r)
	case r.end.err == nil:
		return OK, nil
	}
	e := asError(r.end.err)
	switch {
	case e == nil && errors.Is(r.end.err, ErrCanceled):
		return l.canceled(r)
	case e == nil:
		return internal(r.end.err.Error())
	case e.Outcome != Failed && e.Outcome != Unreachable && e.Outcome != Lost && e.Outcome != Canceled:
		return internal(fmt.Sprintf("program returned an error of outcome %q", e.Outcome))
	case r.why == alive || e.Cause.Kind != KindCanceled:
		kept := e.Cause
		return e.Outcome, &kept
	}
	outcome, cause = l.canceled(r) // failed at a limit, unless nothing was sent
	if e.Outcome == Lost || e.Outcome == Unreachable && outcome == Failed {
		outcome = e.Outcome
	}
	return outcome, cause
}

func internal(text string) (Outcome, *Cause) {
	return Failed, &Cause{Kind: KindInternal, Text: text}
}

// asError finds the *Error in err; nil if there is none.
func asError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}

// unwound is the verdict on a program that did not end by itself.
func (l *loop) unwound(r *Remote) (Outcome, *Cause) {
	outcome, cause := l.canceled(r)
	act := acts(r.inflight.op)
	switch {
	case r.lost != nil:
		kept := r.lost.Cause
		return Lost, &kept
	case r.id != 0 && act != "":
		cause.Text += " with " + act + " in flight"
		return Lost, cause
	case r.id == 0 && l.stops < 2 && r.why != byFault && l.plan.Grace > 0:
		cause.Text += "; still busy after a grace of " + short(l.plan.Grace)
	}
	return outcome, cause
}

// canceled is the verdict on a program that ended because it was cancelled.
func (l *loop) canceled(r *Remote) (Outcome, *Cause) {
	switch r.why {
	case byHostLimit:
		cause := &Cause{Kind: KindTimeout, Stage: StageHost, Text: timeoutText(string(StageHost), l.plan.HostLimit)}
		if !r.sent {
			return Unreachable, cause
		}
		return Failed, cause
	case byStraggler:
		cause := &Cause{Kind: KindTimeout, Stage: StageHost, Text: "cut as a straggler after " + short(r.slow)}
		if !r.sent {
			return Unreachable, cause
		}
		return Failed, cause
	case byDeadline:
		return Canceled, &Cause{Kind: KindCanceled, Stage: StageRun, Text: "canceled at the deadline of " + short(l.plan.Deadline)}
	case byStop:
		return Canceled, &Cause{Kind: KindCanceled, Stage: StageRun, Text: "canceled: interrupted"}
	case byFault:
		return internal("abandoned: internal fault")
	default:
		return Canceled, &Cause{Kind: KindCanceled, Text: "canceled"}
	}
}
