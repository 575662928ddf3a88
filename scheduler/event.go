package scheduler

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// EventKind says what happened.
type EventKind string

const (
	RunStart       EventKind = "run-start"   // N: the plan's Total
	BatchStart     EventKind = "batch-start" // Batch; N: its planned size, -1 for all hosts
	BatchEnd       EventKind = "batch-end"   // Batch
	GateStart      EventKind = "gate-start"  // Batch: the one that ended; Gate, Host
	GateDone       EventKind = "gate-done"   // Batch, Gate, Host, Outcome, Cause, Value, Stack
	HostStart      EventKind = "host-start"  // Host, Batch
	OpSubmit       EventKind = "op-submit"   // Host, ID, Op; with TraceOps
	OpDone         EventKind = "op-done"     // Host, ID, Op, Value, Err; with TraceOps
	LimitHit       EventKind = "limit"       // Took: the limit; Host and Op for an op's, Host for a host's, neither for the deadline
	StopAsked      EventKind = "stop"        // N: 1, or 2 for "now"
	HostCancel     EventKind = "cancel"      // Host: its op in flight is cancelled
	GraceOver      EventKind = "grace-over"  // Host: its next op unwinds it
	Halt           EventKind = "halt"        // N: failures that exceeded MaxFail
	StragglerFound EventKind = "straggler"   // Host, Took: the time after which it is one
	OnlyStragglers EventKind = "stragglers"  // N: so many run, all of them stragglers, and no other can start
	Slow           EventKind = "slow"        // Host, Took: its program held the loop
	Unknown        EventKind = "unknown"     // ID: the poller completed an op that is not in flight
	Fault          EventKind = "fault"       // Err, a *PanicError: hosts, poller or observer panicked
	HostDone       EventKind = "host-done"   // Host, Outcome, Cause, Value, Stack: exactly one for each host
	RunEnd         EventKind = "run-end"     // N: all hosts; Took: the wall time
)

// Event is one thing that happened in a run. Which fields are set depends on
// its kind.
type Event struct {
	Kind  EventKind
	Time  time.Time
	Since time.Duration // from the start of the run
	Host  string
	Batch int  // also of each event that has a Host, 0 for hosts never started
	Gate  bool // of the plan's gate: Host is then the plan's GateHost, and may be empty
	N     int
	ID    ID
	Op    Op
	Took  time.Duration

	Outcome Outcome // HostDone, GateDone
	Cause   *Cause  // of these: nil if and only if Outcome is ok
	Value   any     // HostDone, GateDone: what the program returned; OpDone: the completion's value
	Err     error
	Stack   []byte // HostDone, GateDone: of a program's panic
}

// String is the event's canonical text: one line without its end, the same for
// equal events. It leaves out Value and Stack.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", short(e.Since), e.Kind)
	switch {
	case e.Gate:
		b.WriteString(" gate(" + e.Host + ")")
	case e.Host != "":
		b.WriteString(" " + e.Host)
	}
	if e.Batch != 0 && e.Op == nil && e.Kind != HostDone {
		fmt.Fprintf(&b, " batch=%d", e.Batch)
	}
	switch e.Kind {
	case RunStart, BatchStart, StopAsked, Halt, OnlyStragglers, RunEnd:
		fmt.Fprintf(&b, " n=%d", e.N)
	}
	if e.ID != 0 {
		b.WriteString(" #" + strconv.FormatUint(uint64(e.ID), 10))
	}
	if e.Op != nil {
		b.WriteString(" " + e.Op.String())
	}
	switch e.Kind {
	case LimitHit, Slow, StragglerFound:
		b.WriteString(" after " + short(e.Took))
	case HostDone, GateDone:
		b.WriteString(" " + string(e.Outcome))
	}
	if e.Cause != nil {
		b.WriteString(" " + e.Cause.String())
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " error=%q", e.Err.Error())
	}
	return b.String()
}

// String is the cause's canonical text: kind(stage) "text".
func (c Cause) String() string {
	if c.Stage == "" {
		return fmt.Sprintf("%s %q", c.Kind, c.Text)
	}
	return fmt.Sprintf("%s(%s) %q", c.Kind, c.Stage, c.Text)
}

// short is d without the parts that say nothing: 5m for 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// emit tells the observer.
func (l *loop) emit(e Event) {
	if l.plan.Observe == nil {
		return
	}
	e.Time, e.Since = l.now, l.now.Sub(l.report.Began)
	l.outside = "observe"
	l.plan.Observe(e)
	l.outside = ""
}

// trace tells the observer of an op, if the plan wants it.
func (l *loop) trace(kind EventKind, r *Remote, id ID, op Op, c Completion) {
	if l.plan.TraceOps {
		l.emit(Event{Kind: kind, Host: r.host, Batch: r.batch, Gate: r.gate, ID: id, Op: op, Value: c.Value, Err: c.Err})
	}
}
