package scheduler

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"time"
)

// Program is the work for one host, written straight through. It runs as a
// coroutine of the loop: each op parks it until the op has completed.
//
// The value is carried to the host's [HostDone] event, also beside an error.
// The error decides the outcome: nil is ok; an [*Error] brings its own outcome
// and cause; one that wraps [ErrCanceled] is canceled; any other is failed with
// the kind internal. A panic is that host's internal failure and nobody else's.
//
// When a host is cancelled, the op in flight (or else the next one) returns an
// error that wraps ErrCanceled, once. Ops after that run as before, so that a
// program can clean up, until the plan's grace time is over; from then on every
// op unwinds the program: deferred functions run, no statement after it does.
type Program func(r *Remote) (any, error)

// Remote is a program's hold on its host. It belongs to the program's own
// goroutine and is of no use after the program has ended; ops called from
// elsewhere return an error.
type Remote struct {
	loop       *loop
	host       string
	batch      int
	gate       bool // the plan's gate, of no host of the run
	began      time.Time
	prev, next *Remote // programs alive, in the order of their start

	step    func() (request, bool) // resumes the coroutine
	yield   func(request) bool     // parks it
	running bool
	answer  answer
	unwinds int // how often an op has unwound the program
	end     ending

	inflight request
	id       ID    // of the op in flight; 0 while asleep
	opTimer  timer // limit of the op, or the end of a sleep
	limited  bool  // the op in flight hit its limit
	// interrupted says that the op in flight was cancelled, for whatever reason.
	interrupted bool

	hostTimer timer         // host limit, then its grace
	slow      time.Duration // after which it was named as a straggler; 0 if it was not
	why       reason        // why the host was cancelled
	told      bool          // the program has seen ErrCanceled since
	expired   bool          // the grace time is over

	used bool   // an op other than Do was submitted: there may be a connection
	sent bool   // an op that acts on the host was submitted
	lost *Error // how such an op was lost, unless one after it completed
}

type request struct {
	op    Op
	limit time.Duration
	left  bool // the coroutine never comes back: do not resume it
}

type answer struct {
	value  any
	err    error
	unwind bool
}

// ending is how a program's coroutine came to its end.
type ending struct {
	value    any
	err      error
	panicked bool
	text     string // of the panic
	stack    []byte
}

// sleep is an op that the loop serves itself, by a timer.
type sleep time.Duration

func (s sleep) String() string { return "sleep " + short(time.Duration(s)) }

// unwind is the private panic that ends a program from outside. An error
// would be swallowed by the first retry loop.
type unwind struct{}

func (unwind) String() string { return "scheduler: program unwound" }

// maxUnwinds is how many ops of one program may unwind it (each deferred
// function can try one) before it counts as one that swallows panics.
const maxUnwinds = 1000

// Host is the name of the program's host.
func (r *Remote) Host() string { return r.host }

// Batch is the number of the batch that the host is of, from 1; for the plan's
// gate, of the batch that has ended.
func (r *Remote) Batch() int { return r.batch }

// Now is the loop's time: when the program was resumed.
func (r *Remote) Now() time.Time { return r.loop.now }

// Connect makes a connection to the host, or takes it from the pool.
func (r *Remote) Connect() (ConnectResult, error) {
	v, err := r.Op(Connect{}, 0)
	res, _ := v.(ConnectResult)
	return res, err
}

// Exec runs a command on the host. A limit of 0 is none. At the limit the op is
// cancelled and awaited, and the error is an [*Error] of kind timeout, stage
// command, beside what is known of the result.
func (r *Remote) Exec(e Exec, limit time.Duration) (ExecResult, error) {
	v, err := r.Op(e, limit)
	res, _ := v.(ExecResult)
	return res, err
}

// Do runs f beside the loop and returns its error. The context ends when the
// op is cancelled or its limit (0 is none) passes; f must return then.
func (r *Remote) Do(f func(ctx context.Context) error, limit time.Duration) error {
	_, err := r.Op(Do{F: f}, limit)
	return err
}

// Sleep parks the program for d of the loop's time; other programs run.
func (r *Remote) Sleep(d time.Duration) error {
	_, err := r.Op(sleep(d), 0)
	return err
}

// Op submits op, parks the program until it has completed and returns the
// completion's value and error. A limit of 0 is none. See [Program] for what
// happens when the host is cancelled.
func (r *Remote) Op(op Op, limit time.Duration) (any, error) {
	if !r.running {
		return nil, fmt.Errorf("op %v: remote used outside its program", op)
	}
	switch op.(type) {
	case nil, Stop, Release:
		panic(fmt.Sprintf("scheduler: op %v is not a program's to submit", op))
	}
	if r.expired {
		r.unwind()
	}
	if r.why != alive && !r.told {
		r.told = true
		return nil, ErrCanceled
	}
	r.yield(request{op: op, limit: limit})
	if r.answer.unwind {
		r.unwind()
	}
	return r.answer.value, r.answer.err
}

func (r *Remote) unwind() {
	r.unwinds++
	for r.unwinds > maxUnwinds { // it recovers whatever we throw: leave it parked
		r.end = ending{panicked: true, text: "program recovers the panic that unwinds it"}
		r.yield(request{left: true})
	}
	panic(unwind{})
}

// coroutine makes the program ready to be resumed by r.step. The sequence
// never lets a panic through, nor runtime.Goexit (it would end the loop's own
// goroutine), and the loop never stops it but by resuming it to unwind: so it
// is never left behind unless it refuses to go.
func (r *Remote) coroutine(p Program) {
	r.step, _ = iter.Pull(func(yield func(request) bool) {
		r.yield = yield
		returned := false
		defer func() {
			if returned {
				return
			}
			switch v := recover(); v {
			case unwind{}: // r.unwinds says so
			case nil:
				r.end = ending{panicked: true, text: "program called runtime.Goexit", stack: debug.Stack()}
				yield(request{left: true})
			default:
				r.end = ending{panicked: true, text: fmt.Sprintf("panic: %v", v), stack: debug.Stack()}
			}
		}()
		r.end.value, r.end.err = p(r)
		returned = true
	})
}
