package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Local is a command of this machine, beside a run: a gate, or what is done
// after a halt.
type Local struct {
	Line  string        // read by /bin/sh
	Env   []string      // NAME=value, above this process's own
	Limit time.Duration // 0 is none
	// Out gets what it writes, both streams as they come.
	Out io.Writer
}

// localGrace is how long a local command has to end by itself when its time is
// over, and how long what it left behind may hold its output open.
const localGrace = time.Second

// Run runs the command with an empty standard input, without a terminal, in a
// process group of its own. It ends with ctx or at the limit: TERM to the whole group, KILL after
// localGrace. The error is nil if it exited with 0.
func (l Local) Run(ctx context.Context) error {
	timeout := fmt.Errorf("timeout after %v", l.Limit)
	if l.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, l.Limit, timeout)
		defer cancel()
	}
	cmd := exec.Command("/bin/sh", "-c", l.Line)
	cmd.Env = append(os.Environ(), l.Env...)
	cmd.Stdout, cmd.Stderr = l.Out, l.Out
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		endGroup(cmd, false)
		grace := time.NewTimer(localGrace)
		defer grace.Stop()
		select {
		case <-ended:
		case <-grace.C:
		}
		endGroup(cmd, true) // also what outlived its parent
	}()
	cmd.WaitDelay = localGrace
	err := cmd.Wait()
	close(ended)
	<-gone
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && context.Cause(ctx) == timeout:
		return timeout
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it exited with 0, and left somebody who holds its output
	case errors.As(err, &exit):
		return errors.New(exit.Error())
	}
	return err
}
