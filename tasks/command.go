// Package tasks holds what can be done on a host: each task is a Program for
// the scheduler, straight-line code that asks for one thing after the other.
//
// Command runs one shell command. A task knows neither connections nor screens:
// what it asks for is done by the poller behind the scheduler, what it finds out
// is its result value.
package tasks

import (
	"fmt"
	"io"
	"time"

	"fleet/scheduler"
)

// Command is one shell command, run once on each host.
type Command struct {
	// Exec is what each host is asked for, but for its streams: Stdout and Stderr
	// are set by Output. Its Command is read by the login shell of the host's user,
	// as ssh does, unless it says otherwise.
	Exec scheduler.Exec
	// For, where not nil, changes that for one host. It is called once a host, just
	// before the command is sent, on the scheduler's loop, and sends nothing itself;
	// after an error the command is not sent.
	For func(host string, e *scheduler.Exec) error
	// Limit is the longest that the command may take once it was sent; 0 is no limit.
	Limit time.Duration
	// Output says where a host's output goes. It is called on the scheduler's loop
	// just before the command is sent, so more than once only where it is sent again.
	Output func(host string) (stdout, stderr io.Writer)
}

// CommandResult is the result value of a Command, also of one that failed.
type CommandResult struct {
	Connect scheduler.ConnectResult
	Exec    scheduler.ExecResult
	Sent    bool  // the command was handed to the connection
	Err     error // why there is no connection; nil if there was one
}

// Program is the command for one host. Its value is a *CommandResult, never nil.
// Its error is nil only if the command ended with exit status 0.
func (c Command) Program() scheduler.Program {
	return func(r *scheduler.Remote) (any, error) {
		res := new(CommandResult)
		var err error
		if res.Connect, err = r.Connect(); err != nil {
			res.Err = err
			return res, err
		}
		e := c.Exec
		if c.For != nil {
			if err := c.For(r.Host(), &e); err != nil {
				return res, err
			}
		}
		if c.Output != nil {
			e.Stdout, e.Stderr = c.Output(r.Host())
		}
		res.Sent = true
		res.Exec, err = r.Exec(e, c.Limit)
		if err != nil {
			return res, err
		}
		return res, Ended(res.Exec)
	}
}

// Ended is how a command that ended by itself counts: nil for exit status 0,
// else a failure whose cause is the status or the signal.
func Ended(e scheduler.ExecResult) error {
	switch {
	case e.Signal != "":
		return failed(scheduler.KindSignal, "ended by signal "+e.Signal)
	case !e.HasExit:
		return failed(scheduler.KindNoStatus, "the host sent no exit status")
	case e.ExitCode != 0:
		return failed(scheduler.KindExit, fmt.Sprintf("exit status %d", e.ExitCode))
	}
	return nil
}

func failed(kind scheduler.Kind, text string) error {
	return &scheduler.Error{
		Outcome: scheduler.Failed,
		Cause:   scheduler.Cause{Kind: kind, Stage: scheduler.StageCommand, Text: text},
	}
}
