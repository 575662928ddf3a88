package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/lab"
)

// fleetCommand is the built command as a process of its own, its inventory a lab.
func fleetCommand(t *testing.T, cfg lab.Config, args ...string) *exec.Cmd {
	t.Helper()
	cfg.Dir = t.TempDir()
	l, err := startLab(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+l.InventoryFile(), "TERM=xterm-256color", "HOME="+cfg.Dir)
	return cmd
}

func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

// TestInterrupt presses Ctrl-C while two of five hosts run: no other host
// starts, and the summary accounts for all five.
func TestInterrupt(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 5}, "run", "-f", "2", "all", "--", "sleep 600")
	pressed := false
	screen, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		if !pressed && bytes.Contains(seen, []byte("running 2")) {
			pressed = true
			person.Write([]byte{3}) //nolint:errcheck // the read that follows fails too
		}
	})
	text := strings.Join(screen, "\n")
	if got := status(t, err); got != exitInterrupted {
		t.Errorf("status %d, want %d\n%s", got, exitInterrupted, text)
	}
	for _, want := range []string{"canceled 2", "skipped 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen does not say %q:\n%s", want, text)
		}
	}
}

// TestSecondInterrupt has nobody read the output, so that the first Ctrl-C
// cannot end the process in order; the second must.
func TestSecondInterrupt(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 3}, "run", "all", "--", "lines 200000; sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // the run is under way
		t.Fatal(err)
	}
	begin := time.Now()
	ended := make(chan error, 1)
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if waitTaken(cmd.Process.Pid) != nil {
			t.Fatal("signal not taken")
		}
	}
	go func() {
		_, err := cmd.Process.Wait()
		ended <- err
	}()
	select {
	case <-ended:
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("ended after %v", d)
		}
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		t.Fatal("still running 20 s after the second interrupt")
	}
	if code := cmd.ProcessState; code != nil && code.ExitCode() != exitInterrupted {
		t.Errorf("status %v", code)
	}
}

// waitTaken waits until no SIGINT is pending for the process, so that a second
// one is not merged with the first (signal(7): standard signals do not queue).
func waitTaken(pid int) error {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil {
			return nil // gone: it was taken
		}
		pending := false
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "ShdPnd:"); ok {
				pending = strings.TrimSpace(rest) != "0000000000000000"
			}
		}
		if !pending {
			return nil
		}
	}
	return errors.New("signal still pending")
}
