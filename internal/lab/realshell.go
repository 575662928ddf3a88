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
)

// realShell runs the command by /bin/sh of this machine, in a session of its
// own. When the client closes the channel the whole process group is killed; a
// signal request reaches the group, as with OpenSSH.
func realShell(ctx context.Context, c *Command) Exit {
	cmd := exec.Command("/bin/sh", "-c", c.Line)
	if c.Line == "" {
		cmd = exec.Command("/bin/sh")
	}
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Exit{Status: 126}
	}
	if err := cmd.Start(); err != nil {
		io.WriteString(c.Stderr, err.Error()+"\n")
		return Exit{Status: 126}
	}
	group := -cmd.Process.Pid
	go func() {
		io.Copy(stdin, c.Stdin)
		stdin.Close()
	}()
	var reaped sync.WaitGroup
	ended := make(chan struct{})
	reaped.Go(func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		var sig signalError
		if errors.As(context.Cause(ctx), &sig) {
			syscall.Kill(group, unix.SignalNum("SIG"+string(sig)))
			select {
			case <-ended:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
		syscall.Kill(group, syscall.SIGKILL)
	})
	err = cmd.Wait()
	close(ended)
	reaped.Wait()
	return exitOf(err)
}

func exitOf(err error) Exit {
	if err == nil {
		return Exit{}
	}
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return Exit{Status: 126}
	}
	if ws, ok := e.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		name := unix.SignalName(ws.Signal())
		return Exit{Signal: name[len("SIG"):]}
	}
	return Exit{Status: e.ExitCode()}
}
