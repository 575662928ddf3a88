package scheduler

import (
	"context"
	"fmt"
	"io"
	"time"
)

// ID names one submitted op. The loop numbers ops from 1 in the order of
// submission; no two ops of a run share an ID.
type ID uint64

// Op is one thing that a program asks of the world outside the loop. The
// scheduler does not look inside an op: it hands it to the Poller and gives the
// completion back to the program that waits for it. String is the op's
// canonical text in transcripts and logs; it holds no secret and no line break.
type Op interface{ String() string }

// Connect asks for a connection to the host, made or taken from the pool.
// Its completion carries a ConnectResult.
type Connect struct{}

// Exec asks for one command on the host. Its completion carries an ExecResult
// (also beside an error, for what was known by then). Stdout and Stderr, where
// not nil, are written to by the poller from one goroutine each while the op is
// in flight and never after its completion; they must not block for long.
//
// A command is ended on its host with all that it started when the op is
// cancelled, and when the connection is lost; Raw has it sent as it is, which is
// for hosts without a POSIX shell, and leaves its end to the host.
type Exec struct {
	Command        string
	Stdout, Stderr io.Writer

	Raw         bool
	KillAfter   time.Duration // from TERM to KILL; 0 is 5 s
	KeepRunning bool          // a lost connection does not end the command
	Shell       string        // reads Command; empty is the user's login shell
	Dir         string        // to run in; empty is where the login begins
	Stdin       io.Reader     // what the command reads; nil is nothing
	TTY         bool          // the command gets a terminal of 80 columns; all output is Stdout's
	Become      *Become       // whom to run as; nil is the login user
	// Payload is shell text that is evaluated before the command and stands in no
	// list of processes on the host.
	Payload string
}

// Become is another user of the host. Password gives what is sent when the host
// asks, once; nil is none.
type Become struct {
	Method, User string // as in sshpool.Become
	Password     func() string
	Limit        time.Duration // as in sshpool.Become
}

// Do asks for F to be run beside the loop. It is the one way for a program to
// block on something that is no op of its own. F must return when ctx ends, as
// it does when the op is cancelled; the error that F returns then is wrapped
// together with ErrCanceled. A panic in F completes the op with an *Error of
// kind internal.
type Do struct {
	F func(ctx context.Context) error
}

// Release says that the program of a host has ended and that its connection is
// not needed any more by this run. The loop submits it by itself for each host
// whose program submitted any op but Do; a poller completes it at once and
// does slow closing on its own time.
type Release struct{}

// Stop completes when the user asks the run to stop (Ctrl-C, a cancelled
// context). The loop submits one at the start of a run and, when it has
// completed without error, one more: the second means "now".
type Stop struct{}

func (Connect) String() string { return "connect" }
func (e Exec) String() string  { return fmt.Sprintf("exec %q", e.Command) }
func (Do) String() string      { return "do" }
func (Release) String() string { return "release" }
func (Stop) String() string    { return "stop" }

// ConnectResult is the value of a completed Connect.
type ConnectResult struct {
	Attempts int           // connection attempts, the last one included
	Took     time.Duration // from submission to a usable connection
}

// ExecResult is the value of a completed Exec.
type ExecResult struct {
	ExitCode    int           // valid if HasExit
	HasExit     bool          // the host sent an exit status
	Signal      string        // name of the signal that ended the command, without SIG
	StdoutBytes int64         // all bytes that came, shown or not
	StderrBytes int64         //
	Lingering   bool          // the exit status came but the output stayed open past the drain time
	Took        time.Duration // from sending the command to its end
	Supervised  Supervised    // of a command that was not Raw
}

// Supervised is what is known of a command beside its end.
type Supervised struct {
	PID        int    // on the host; 0 where it did not begin
	Noise      string // the beginning of what the login shell wrote before, cut off the output
	NoiseBytes int64  // all of that
	Killed     bool   // the command was cancelled, and all of it is gone from the host
	Unkilled   bool   // it was cancelled, and is not gone, or that is not known
	Left       []int  // its processes that are still there, as far as is known
}

// Completion is the one answer to a submitted op.
type Completion struct {
	ID    ID
	Value any   // per op, see there; nil where the op has none
	Err   error // nil, or an *Error where the poller knows outcome and cause
}

// Poller is the world as the loop sees it.
//
// Every submitted op completes exactly once, cancelled or not, and soon after
// it was cancelled. All three methods are called from the loop's goroutine
// only; none but Poll blocks.
type Poller interface {
	// Submit starts op for host under the given new ID. Ops of the run itself
	// (Stop, and what a gate does beside the loop) have the empty host. An op of a type that the poller does not know
	// completes with an *Error, failed, of kind internal.
	Submit(id ID, host string, op Op)
	// Cancel asks for the op to end early. It still completes: with an error
	// that wraps ErrCanceled, or as if it had not been cancelled.
	// Cancelling a completed or unknown op does nothing.
	Cancel(id ID)
	// Poll waits until at least one op has completed or the time is until,
	// whichever is first, and returns the time and all completions that are
	// ready, in an order that the poller defines. A zero until waits for a
	// completion without limit; an until in the past does not wait. The
	// returned time never goes backwards. The slice is valid until the next Poll.
	Poll(until time.Time) (now time.Time, done []Completion)
}
