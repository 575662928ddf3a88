package sim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"fleet/scheduler"
)

// Kind is a sort of program.
type Kind int

const (
	Command   Kind = iota // connect, one command
	Two                   // connect, a command, a rest, another command
	Working               // something beside the loop, then a command
	Retrying              // connects up to three times
	Cleaning              // runs a command at the end, whatever happened
	Stubborn              // tries a command again whatever the error
	Panicking             // connects and panics
	Idle                  // needs nothing of its host
	Holding               // keeps the loop waiting
	Waiting               // waits beside the loop until told to stop
	kinds
)

// program is the work of a host whose program is of this kind.
func (k Kind) program(r *scheduler.Remote, o Options, w *World) (any, error) {
	switch k {
	case Idle:
		return "idle", nil
	case Stubborn:
		return nil, stubborn(r, o)
	case Working:
		if err := r.Do(func(context.Context) error { return nil }, 0); err != nil {
			return nil, err
		}
		return nil, execute(r, "true", o.OpLimit)
	case Waiting:
		return nil, r.Do(Block, cmp.Or(o.OpLimit, 30*time.Second))
	}
	if err := connect(r, k); err != nil {
		return nil, err
	}
	switch k {
	case Panicking:
		panic("sim: a fault of the program")
	case Holding:
		w.Hold(r.Host(), time.Duration(o.dice(r.Host(), 5)%200)*time.Millisecond)
	case Cleaning:
		defer r.Exec(scheduler.Exec{Command: "cleanup"}, o.OpLimit)
	case Two:
		if err := execute(r, "first", o.OpLimit); err != nil {
			return nil, err
		}
		if err := r.Sleep(time.Second); err != nil {
			return nil, err
		}
	}
	return k, execute(r, "true", o.OpLimit)
}

func connect(r *scheduler.Remote, k Kind) error {
	_, err := r.Connect()
	for try := 1; try < 3 && k == Retrying && err != nil && !errors.Is(err, scheduler.ErrCanceled); try++ {
		if err := r.Sleep(time.Duration(try) * time.Second); err != nil {
			return err
		}
		_, err = r.Connect()
	}
	return err
}

func stubborn(r *scheduler.Remote, o Options) (err error) {
	for range 12 {
		if err = execute(r, "again", o.OpLimit); err == nil {
			return nil
		}
		_ = r.Sleep(500 * time.Millisecond)
	}
	return err
}

// execute runs a command and judges its result.
func execute(r *scheduler.Remote, command string, limit time.Duration) error {
	var out bytes.Buffer
	res, err := r.Exec(scheduler.Exec{Command: command, Stdout: &out}, limit)
	switch {
	case err != nil:
		return err
	case int64(out.Len()) != res.StdoutBytes:
		return fmt.Errorf("%d bytes came, %d were counted", out.Len(), res.StdoutBytes)
	case res.Signal != "":
		return &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: scheduler.KindSignal, Text: "signal " + res.Signal}}
	case res.ExitCode != 0:
		return &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: scheduler.KindExit, Text: fmt.Sprintf("exit status %d", res.ExitCode)}}
	}
	return nil
}
