// Package record keeps what runs were asked to do and what came of it, in an
// SQLite file that belongs to one user.
//
// A [Recorder] takes the events of one run (recorder.go), and all that its hosts
// write (tape.go, recent.go). A goroutine of its own writes them, many in one transaction
// (writer.go, rows.go, outputs.go), so that the run does not wait for the disk, but
// for one rule, which [Recorder.Begun] keeps: no host is sent its command before
// the file durably says that it was begun. So what a crash leaves behind can be
// told without a guess (settle.go): a host that was begun and has no result is
// lost, and has what of its output had come to the file (partial.go); one that was
// not is skipped.
// While a run lives it holds a lock that the kernel drops with the process
// (live.go).
//
// A [Store] is the open file (store.go); read.go, find.go and prune.go look
// things up and let them go. Secrets do not get in: see package redact.
//
// A store that cannot be written to, for whatever reason, never stops a run: it
// is told once, and what can be kept is kept.
package record

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

// Run is one run as the store has it.
type Run struct {
	ID         string
	Kind       string // the command of fleet that it is: run, push, ...
	Command    string
	Pattern    string
	Argv       []string // the words behind "fleet"
	Dir        string   // where it was started
	Environ    map[string]string
	User       string
	Controller string // the machine that it was started on
	Version    string
	RerunOf    string // id of a run, or empty
	Detached   bool
	Redacted   bool // Argv or Command held a secret, which is not kept
	Hosts      int
	Began      time.Time
	Ended      time.Time // zero while Running
	Wall       time.Duration
	Ending     Ending
	Counts     map[scheduler.Outcome]int // of the hosts that have a result
	Missing    string                    // what could not be kept, in words

	seq     int64
	summary event.Summary // only what Run does not have
}

// Running says that the run has not ended and its process lives.
func (r *Run) Running() bool { return r.Ending == Running }

// Ending is how a run ended.
type Ending string

const (
	Running     Ending = ""            // not yet
	Done        Ending = "done"        // each host had its turn
	Halted      Ending = "halted"      // by the failure budget or a gate
	Deadline    Ending = "deadline"    // --deadline passed
	Interrupted Ending = "interrupted" // by the user
	Crashed     Ending = "crashed"     // the process died
)

// Flags of a result.
const (
	flagTruncated = 1 << iota // the store has not all of its output
	flagUnstored              // by a fault, and not by a limit
	flagLingering
	flagDropped // of older schemas: none of its output is in the store, for want of room
	flagPartial // the process died before the host's end: its output is as far as it came
)

// Dir is the folder of the store: $XDG_STATE_HOME/fleet, else
// ~/.local/state/fleet (XDG Base Directory Specification).
func Dir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) { // others are to be ignored
		return filepath.Join(dir, "fleet"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "fleet"), nil
	}
	return "", errors.New("find the folder of the record: neither $XDG_STATE_HOME nor $HOME is set")
}

// hinted is an error with a way out; the command line shows it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is the way out.
func (h *hinted) Hint() string { return h.hint }

// opening is the error of a store that cannot be used, with the operation.
func opening(path string, err error) error {
	return fmt.Errorf("open record %s: %w", path, err)
}
