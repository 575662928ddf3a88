package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/scheduler"
)

// gone waits until no process of that id is left.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for syscall.Kill(pid, 0) == nil {
		if stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil && strings.Contains(string(stat), ") Z ") {
			return // ended; whoever adopted it has not looked yet
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestLocalRuns(t *testing.T) {
	var out bytes.Buffer
	l := Local{Line: `read -r line || echo "no input"; echo "$GREETING" >&2`, Env: []string{"GREETING=hello"}, Out: &out}
	if err := l.Run(t.Context()); err != nil || out.String() != "no input\nhello\n" {
		t.Errorf("%q, %v", &out, err)
	}
	for line, want := range map[string]string{"exit 3": "exit status 3", "kill -9 $$": "signal: killed"} {
		if err := (Local{Line: line}).Run(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	// What a command leaves behind does not hold it up.
	if err := (Local{Line: "sleep 600 & echo $!", Out: &out}).Run(t.Context()); err != nil {
		t.Error(err)
	}
	words := strings.Fields(out.String())
	left, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(left, syscall.SIGKILL)
}

// A command that ignores TERM, and its children, end at the limit.
func TestLocalEndsAtItsLimit(t *testing.T) {
	var out bytes.Buffer
	l := Local{Line: `trap '' TERM; (trap '' TERM; sleep 600) & echo $$ $!; while :; do sleep 1; done`, Limit: time.Second, Out: &out}
	began := time.Now()
	if err := l.Run(t.Context()); err == nil || err.Error() != "timeout after 1s" {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took < time.Second || took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	for _, word := range strings.Fields(out.String()) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		gone(t, pid)
	}
}

func TestLocalEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := Local{Line: "echo; sleep 600", Out: writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })}
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestLastBytes(t *testing.T) {
	for _, size := range []int{1, 3, 10, 21, 1000} {
		l := &LastBytes{most: 10}
		all := []byte(strings.Repeat("0123456789abcdefghijk", 100))
		for rest := all; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			l.Write(rest[:min(size, len(rest))])
		}
		kept, cut := l.End()
		if string(kept) != string(all[len(all)-10:]) || !cut {
			t.Errorf("pieces of %d: %q, cut %v", size, kept, cut)
		}
		l.Write([]byte("late"))
		if again, _ := l.End(); string(again) != string(kept) {
			t.Errorf("took %q after the end", again)
		}
	}
	l := &LastBytes{most: 10}
	l.Write([]byte("0123456789"))
	if kept, cut := l.End(); string(kept) != "0123456789" || cut {
		t.Errorf("%q, cut %v", kept, cut)
	}
}

func TestCountsEnv(t *testing.T) {
	got := strings.Join(CountsEnv("ID", map[scheduler.Outcome]int{scheduler.OK: 2, scheduler.Lost: 1}), " ")
	if want := "FLEET_RUN=ID FLEET_OK=2 FLEET_FAILED=0 FLEET_UNREACHABLE=0 FLEET_LOST=1 FLEET_CANCELED=0 FLEET_SKIPPED=0"; got != want {
		t.Errorf("%s", got)
	}
}
