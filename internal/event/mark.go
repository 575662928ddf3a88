package event

import (
	"time"

	"fleet/scheduler"
)

// MarkKind says what happened to a run as a whole.
type MarkKind string

const (
	// BatchBegan: Batch of Batches begins, with Hosts.
	BatchBegan MarkKind = "batch"
	// GateBegan: Gate begins after Batch; Text says what it is.
	GateBegan MarkKind = "gate"
	// GateEnded: Gate has ended after Took. Cause is nil if the next batch may
	// begin. Output is what its command wrote, the last of it if Cut.
	GateEnded MarkKind = "gate_done"
	// StragglersLeft: Hosts are all that run, each for longer than Took. They go on.
	StragglersLeft MarkKind = "stragglers"
)

// GateKind is one of the things that can stand between two batches.
type GateKind string

const (
	GateCanary  GateKind = "canary"  // all of the first batch must be ok
	GatePause   GateKind = "pause"   // a time that passes
	GateCommand GateKind = "gate"    // a command that must exit with 0
	GateAsk     GateKind = "confirm" // somebody who must say yes
	// GateHalt stands between no batches: it is what was done, on this machine, when
	// the run had stopped before its end.
	GateHalt GateKind = "on-halt"
)

// Mark is something that happened to a run as a whole, between its hosts.
type Mark struct {
	Kind    MarkKind
	Batch   int // from 1
	Batches int
	Hosts   []string // not to be changed
	Gate    GateKind
	Text    string
	Host    string // on which a gate's command runs; empty: on this machine
	Output  []byte
	Cut     bool
	Cause   *scheduler.Cause
	Took    time.Duration
	Time    time.Time
}

// MarkSink is a Sink that wants to know of a run's batches and gates. Mark is
// called from the same goroutine as Started and Result. A sink that wraps
// another hands marks on.
type MarkSink interface{ Mark(Mark) }

// GateSink is a MarkSink that wants what a gate's command writes as it comes.
// GateOutput is called between the marks GateBegan and GateEnded, by one goroutine
// at a time, and must not keep p. A sink that wraps another hands it on.
type GateSink interface{ GateOutput(p []byte) }
