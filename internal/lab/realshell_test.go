//go:build unix

package lab

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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

// groupAlive reports whether a process group has a member.
func groupAlive(leader int) bool { return syscall.Kill(-leader, 0) == nil }
