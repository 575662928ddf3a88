//go:build unix

package lab

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/remote"
)

// TestRealShell runs commands of this machine, and sees that a closed channel
// leaves none.
func TestRealShell(t *testing.T) {
	l := start(t, Config{N: 1, RealShell: true})
	c := dial(t, l, l.Hosts()[0])
	if got, err := output(t, c, "for i in 1 2; do echo $i; done; exit 3"); got != "1\n2\n" || err == nil {
		t.Errorf("loop = %q, %v", got, err)
	}
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(`trap "" TERM HUP; sleep 1000 & echo $$; wait`); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	leader, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if !groupAlive(leader) {
		t.Errorf("process group %d is not there", leader)
	}
	s.Close()
	for deadline := time.Now().Add(far); groupAlive(leader); {
		if time.Now().After(deadline) {
			t.Fatalf("process group %d outlives its channel", leader)
		}
	}
}

// TestRealShellSupervised runs a command with what stands in front of it: its guard
// has the standard input and standard error until the first of these ends, and must
// not keep the channel open.
func TestRealShellSupervised(t *testing.T) {
	l := start(t, Config{N: 1, RealShell: true})
	c := dial(t, l, l.Hosts()[0])
	s, out := supervised(t, c, "echo x; cd /nonexistent 2>/dev/null; exit 3")
	ended := make(chan error, 1)
	go func() {
		out.Scan()
		if got := out.Text(); got != "x" {
			t.Errorf("output %q, want x", got)
		}
		ended <- s.Wait()
	}()
	select {
	case err := <-ended:
		var exit *ssh.ExitError
		if !errors.As(err, &exit) || exit.ExitStatus() != 3 {
			t.Errorf("%v, want exit status 3", err)
		}
	case <-time.After(far):
		c.Close()
		<-ended
		t.Fatal("no end of a command that has ended")
	}
}

// TestRealShellLifeline sees the guard of a supervised command end what left its
// process group when the channel is closed.
func TestRealShellLifeline(t *testing.T) {
	l := start(t, Config{N: 1, RealShell: true})
	c := dial(t, l, l.Hosts()[0])
	s, out := supervised(t, c, "setsid sh -c 'echo $$; sleep 1000' & wait")
	out.Scan()
	leader, err := strconv.Atoi(out.Text())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for deadline := time.Now().Add(far); groupAlive(leader); {
		if time.Now().After(deadline) {
			syscall.Kill(-leader, syscall.SIGKILL)
			t.Fatalf("process group %d outlives its channel", leader)
		}
	}
}

// supervised starts a command with a lifeline; out gives its output.
func supervised(t *testing.T, c *ssh.Client, command string) (s *ssh.Session, out *bufio.Scanner) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	stdout, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	spec := remote.Spec{Command: command, Grace: time.Second}
	if err := s.Start(spec.Line("nonce")); err != nil {
		t.Fatal(err)
	}
	out = bufio.NewScanner(stdout)
	if !out.Scan() || !strings.HasPrefix(out.Text(), "fleet-nonce ") {
		t.Fatalf("began with %q, %v", out.Text(), out.Err())
	}
	return s, out
}

// groupAlive reports whether a process group has a member.
func groupAlive(leader int) bool { return syscall.Kill(-leader, 0) == nil }
