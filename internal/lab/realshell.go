//go:build unix

package lab

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fleet/internal/remote"
)

// guardTime is what the guard of a supervised command has, above its grace, until
// the whole group is killed.
const guardTime = 5 * time.Second

// realShell runs the command by /bin/sh of this machine, in a session of its
// own. As with OpenSSH, a signal request reaches the process group, and the
// command's standard input ends with the command: its guard, which holds standard
// error, waits for that. When the client closes the channel a guard may end the
// command first; then the whole process group is killed.
func realShell(ctx context.Context, c *Command) Exit {
	cmd := exec.Command("/bin/sh", "-c", c.Line)
	if c.Line == "" {
		cmd = exec.Command("/bin/sh")
	}
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	cmd.Err = errors.Join(err1, err2, err3) // Start gives it back, and closes what there is
	if err := cmd.Start(); err != nil {
		io.WriteString(c.Stderr, err.Error()+"\n")
		return Exit{Status: 126}
	}
	go func() {
		io.Copy(stdin, c.Stdin)
		stdin.Close()
	}()
	var copied, reaped sync.WaitGroup
	copied.Go(func() { pass(c.Stdout, stdout) })
	copied.Go(func() { pass(c.Stderr, stderr) })
	ended := make(chan struct{})
	reaped.Go(func() { endGroup(ctx, c.Line, cmd.Process.Pid, stdin, ended) })
	state, err := cmd.Process.Wait()
	stdin.Close()
	copied.Wait()
	close(ended)
	reaped.Wait()
	if err != nil {
		return Exit{Status: 126}
	}
	return exitOf(state)
}

// pass writes until either side ends.
func pass(to io.Writer, from io.ReadCloser) {
	io.Copy(to, from)
	from.Close()
}

// endGroup ends what runs, once ctx has ended, unless that is over before.
func endGroup(ctx context.Context, line string, leader int, stdin io.Closer, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	var limit time.Duration
	var sig signalError
	if errors.As(context.Cause(ctx), &sig) {
		syscall.Kill(-leader, unix.SignalNum("SIG"+string(sig)))
		limit = 500 * time.Millisecond
	}
	if sent, ok := remote.ParseLine(line); ok && !sent.Spec.Stdin && !sent.Spec.TTY && !sent.Spec.Keep {
		stdin.Close()
		limit = sent.Spec.Grace + guardTime
	}
	select {
	case <-ended:
	case <-time.After(limit):
		syscall.Kill(-leader, syscall.SIGKILL)
	}
}

func exitOf(state *os.ProcessState) Exit {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		name := unix.SignalName(ws.Signal())
		return Exit{Signal: name[len("SIG"):]}
	}
	return Exit{Status: state.ExitCode()}
}
