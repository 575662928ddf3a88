package scheduler

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that is no program's: in the plan's Hosts or Observe,
// or in the Poller.
type PanicError struct {
	In    string // "hosts", "observe", "poller" or "scheduler"
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("%s: panic: %v", e.In, e.Value) }

// guard calls f and turns a panic of code that is not ours into the run's
// fault; an observer that panics is not called again.
func (l *loop) guard(f func()) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		in := l.outside
		l.outside = ""
		switch in {
		case "":
			in = "scheduler"
		case "observe":
			l.plan.Observe = nil
		}
		if l.fault == nil {
			l.fault = &PanicError{In: in, Value: v, Stack: debug.Stack()}
		}
	}()
	f()
}

// abandon ends a run whose surroundings have panicked, without the poller.
func (l *loop) abandon() {
	if !l.begun {
		l.begin()
	}
	if !l.dead {
		l.dead = true
		l.close("internal fault")
		l.emit(Event{Kind: Fault, Err: l.fault})
	}
	l.unwindAll(byFault)
	l.start() // ends the batch
	l.skipRest()
	l.end()
}
