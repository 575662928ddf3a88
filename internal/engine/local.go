package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
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

// gateOutput is how much of a gate's output is kept, the end of it.
const gateOutput = 32 << 10

// LastBytes keeps the end of what is written to it, from several goroutines, and
// passes all of it on.
type LastBytes struct {
	most int
	pass func(p []byte) // nil: to nobody

	mu   sync.Mutex
	kept []byte
	cut  bool
	over bool
}

// NewLastBytes keeps as much as is kept of a gate's output. What is written goes on
// to pass, which must not keep it; nil is nobody.
func NewLastBytes(pass func(p []byte)) *LastBytes { return &LastBytes{most: gateOutput, pass: pass} }

// Write implements io.Writer.
func (l *LastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return len(p), nil
	}
	if l.pass != nil {
		l.pass(p)
	}
	l.kept = append(l.kept, p[max(0, len(p)-2*l.most):]...)
	if len(l.kept) > 2*l.most {
		l.kept = append(l.kept[:0], l.kept[len(l.kept)-l.most:]...)
		l.cut = true
	}
	return len(p), nil
}

// End gives what was kept, of which there was more before if cut, and lets nothing
// more in.
func (l *LastBytes) End() (kept []byte, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if n := len(l.kept); n > l.most {
		return l.kept[n-l.most:], true
	}
	return l.kept, l.cut
}
