// Package event holds what one run tells the world: that it started, what
// hosts wrote, how each ended, and the summary. The engine sends events to a
// Sink; renderers, and later the record and the web page, are sinks.
package event

import (
	"time"

	"fleet/internal/output"
	"fleet/scheduler"
)

// Stream is one of a command's two output streams.
type Stream string

const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Run says what is about to be done.
type Run struct {
	ID      string // ULID
	Command string // what is sent to each host, or what else is done there: "push app.conf /etc/"
	Hosts   int
	Time    time.Time
	Guarded bool // it may halt before all hosts have run
}

// Output is a piece of what a host wrote, exact bytes, cut where they came in
// (not at line ends). Data is valid during the call only.
type Output struct {
	Host   string
	Stream Stream
	Data   []byte
	Time   time.Time
}

// Kill says what became of a command that was given up: by a limit, a deadline, a
// stop. It is empty for all others.
type Kill string

const (
	Killed          Kill = "killed"           // it is gone from its host, with all that it started
	KillUnconfirmed Kill = "kill_unconfirmed" // it is not, or that is not known
)

// WholeSink is a Sink that wants all that hosts write, also what is beyond the
// limit of what is shown and kept. Whole is called as Output is, and before it; of a
// run that is left at once it may come beside or after the host's Result, and then
// counts for nothing. It may wait for the disk, but must return soon. A sink that
// wraps another hands it on.
type WholeSink interface{ Whole(Output) }

// Result is how one host ended. Each host of a run has exactly one.
type Result struct {
	Host        string
	Outcome     scheduler.Outcome
	Cause       *scheduler.Cause // nil if and only if Outcome is ok
	Detail      string           // what Cause leaves out, as it differs from host to host; may be empty
	ExitCode    *int             // nil where the host sent none
	Signal      string           // without SIG; empty if none
	StdoutBytes int64            // all that the host wrote, kept or not
	StderrBytes int64
	Truncated   bool   // more was written than was kept
	Unstored    bool   // Truncated, by a fault in keeping it and not by the limit
	Lingering   bool   // a background child kept the output open past the drain time
	Kill        Kill   // of a command that was given up
	PID         int    // of the command on its host; 0 where that is not known
	Left        []int  // its processes that are still there, with KillUnconfirmed and as far as is known
	Noise       string // the beginning of what the login shell wrote before the command, which is no output; safe to show
	NoiseBytes  int64  // all of that
	Attempts    int    // connection attempts
	Tries       int    // how often the host was tried; above 1 only where retries were asked for
	Connect     time.Duration
	Run         time.Duration
	Time        time.Time
	Transfer    *Transfer // of a push or pull, as far as it came; nil for a command
	Batch       int       // of a recorded result: its batch, from 1; 0 where the run had none
	Kept        *Kept     // of a recorded result whose output is not all there; else nil
	// What was kept; nil if nothing was. The sink that is given the result owns
	// the captures and discards them when it needs them no more.
	Stdout, Stderr *output.Capture
}

// Kept is how many bytes the record has of each stream.
type Kept struct {
	Stdout, Stderr int64
	// Partial says that fleet died before the host's end: that is what had come to
	// the record by then, and nobody knows how much more there was.
	Partial bool
}

// Summary closes a run. Counts hold every host of the run exactly once.
type Summary struct {
	Run    string
	Counts map[scheduler.Outcome]int
	Wall   time.Duration
	// How the run ended early, if it did; at most one is set.
	Halted      bool // by max-fail, or by what Refused says
	Deadline    bool
	Interrupted bool

	Refused GateKind // the part of a gate that halted the run; empty for max-fail
	// Recorded says that the run can be found by its id later.
	Recorded bool
	// RecordCut says that the record has not all that hosts wrote.
	RecordCut bool
}

// Sink takes a run's events. Start comes first, Finish last. Started and
// Result are called from one goroutine; Output is called from many at once,
// for one host and stream in order, and before that host's Result. No method
// but Finish may block for long: a slow reader must not slow the run down.
type Sink interface {
	Start(Run)
	Started(host string, at time.Time)
	Output(Output)
	Result(Result)
	// Finish flushes all, waiting for slow readers, and returns the first
	// error met in writing.
	Finish(Summary) error
}
