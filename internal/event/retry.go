package event

import (
	"time"

	"fleet/scheduler"
)

// Retry says that a host was tried and is tried again.
type Retry struct {
	Host  string
	Try   int // that ended, from 1
	Of    int // at most
	Cause scheduler.Cause
	Wait  time.Duration // until the next
	Time  time.Time
}

// RetrySink is a Sink that wants to know of hosts that are tried more than
// once. Both are called from the same goroutine as Result. A sink that wraps
// another hands them on.
type RetrySink interface {
	// Retry comes when a try has ended and another follows.
	Retry(Retry)
	// Resent comes when the command is sent to host again: what Output told of
	// it before belongs to an earlier try. Its Result holds the last one's.
	Resent(host string)
}
