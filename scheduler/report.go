package scheduler

import "time"

// Report is what became of a run. Counts hold every host exactly once.
type Report struct {
	Counts  map[Outcome]int
	Hosts   int // all, the skipped ones too
	Started int // hosts whose program ran
	Batches int // batches begun
	Began   time.Time
	Wall    time.Duration

	// How the run ended early, if it did. More than one may be true: a user
	// may interrupt a run whose deadline has passed.
	Halted      bool // by MaxFail or Gate; Counts[Skipped] says what that spared
	Deadline    bool // the deadline passed before the last host had ended
	Interrupted bool // the user asked to stop before the last host had ended

	Gate   *Cause // of the gate that halted the run; nil if it was not a gate
	Closed string // why no more hosts started, the first reason; empty if nothing kept them
}

// failures are the hosts that count against the budget.
func (r *Report) failures() int {
	return r.Counts[Failed] + r.Counts[Unreachable] + r.Counts[Lost]
}
