package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"fleet/internal/event"
	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/scheduler"
)

// Exit statuses. They are part of the command line's contract.
const (
	exitOK          = 0
	exitInternal    = 1   // fleet's own error
	exitUsage       = 2   // usage, inventory or configuration
	exitFailed      = 3   // some host failed
	exitUnreachable = 4   // some host unreachable or lost, none failed
	exitBoth        = 5   // some failed, and some unreachable or lost
	exitHalted      = 6   // stopped by --max-fail or between two batches
	exitDeadline    = 124 // --deadline passed
	exitInterrupted = 130 // stopped by Ctrl-C
)

const exitHelp = `
EXIT STATUS
  0  all hosts ok             4    some unreachable or lost, none failed
  1  an error of fleet's own  5    some failed, some unreachable or lost
  2  usage, inventory or      6    stopped by --max-fail or a gate
     configuration            124  --deadline passed
  3  some host failed         130  interrupted`

const exitHelpLocal = `
EXIT STATUS
  0  done
  1  an error of fleet's own
  2  usage, inventory or configuration`

// fault is an error with its exit status and, where there is a way out, hints.
type fault struct {
	code  int
	err   error // nil: nothing to say, only the status
	hints []string
}

func (f *fault) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.code)
	}
	return f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

func usage(err error, hints ...string) error { return &fault{exitUsage, err, hints} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// report tells err on w, in the program's voice, and gives the exit status.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	f := &fault{code: exitInternal, err: err}
	if errors.Is(err, record.ErrNoRun) || errors.Is(err, record.ErrNone) {
		f.code = exitUsage // of 'fleet diff', 1 says that there is a difference
	}
	if errors.Is(err, errInterrupted) || !errors.As(err, &f) && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if f.err != nil {
		for line := range strings.Lines(f.err.Error()) {
			tell(w, "fleet: ", strings.TrimRight(line, "\n"))
		}
	}
	hints := f.hints
	var way interface{ Hint() string }
	if errors.As(f.err, &way) {
		hints = append(hints[:len(hints):len(hints)], way.Hint())
	}
	for _, hint := range hints {
		if hint == "" {
			continue
		}
		tell(w, "fleet: hint: ", hint)
	}
	return f.code
}

// tell writes text behind prefix to w, on a terminal broken between words.
func tell(w io.Writer, prefix, text string) {
	line := prefix + text + "\n"
	if isTerminal(w) {
		line = render.Wrap(prefix, text, columns(w))
	}
	io.WriteString(w, line) //nolint:errcheck // there is nowhere else to tell it
}

// summaryStatus is the exit status of a finished run.
func summaryStatus(s event.Summary) int {
	failed := s.Counts[scheduler.Failed] > 0
	away := s.Counts[scheduler.Unreachable]+s.Counts[scheduler.Lost] > 0
	switch {
	case s.Interrupted:
		return exitInterrupted
	case s.Deadline:
		return exitDeadline
	case s.Halted:
		return exitHalted
	case failed && away:
		return exitBoth
	case failed:
		return exitFailed
	case away:
		return exitUnreachable
	}
	return exitOK
}
