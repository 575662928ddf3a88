package scheduler

import "fmt"

// openGate starts the plan's gate after a batch, if there is one. While it
// runs no host does, and none starts before it has ended well.
func (l *loop) openGate() {
	if l.plan.Gate == nil || l.closed != "" || !l.draw() {
		return
	}
	r := &Remote{loop: l, host: l.plan.GateHost, batch: l.batches.number, gate: true}
	l.gate = r
	l.enlist(r)
	l.emit(Event{Kind: GateStart, Host: r.host, Batch: r.batch, Gate: true})
	r.coroutine(l.plan.Gate)
	l.resume(r, answer{})
}

// gateEnded lets the next batch begin, or no host any more.
func (l *loop) gateEnded(r *Remote, outcome Outcome, cause *Cause) {
	l.gate = nil
	l.emit(Event{Kind: GateDone, Host: r.host, Batch: r.batch, Gate: true,
		Outcome: outcome, Cause: cause, Value: r.end.value, Stack: r.end.stack})
	if outcome == OK || l.closed != "" { // a gate that was cancelled has not judged
		return
	}
	l.report.Halted, l.report.Gate = true, cause
	l.close(fmt.Sprintf("gate after batch %d: %s", r.batch, cause.Text))
}
