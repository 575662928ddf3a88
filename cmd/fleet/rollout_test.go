package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
)

// TestPauseAsks has somebody asked between batches: yes goes on, no halts.
func TestPauseAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answers []string
		status  int
		asked   int // 0: any times, as a line feed follows the Ctrl-C
		want    []string
	}{
		{[]string{"y", "yes"}, exitOK, 2, []string{"ok 5", "go on with web[02-03]? [y/n] y", "go on with web[04-05]? [y/n] yes"}},
		{[]string{"perhaps", "", "n"}, exitHalted, 3, []string{"ok 1 · skipped 4", "as the answer was not yes", "the answer was no"}},
		// A key too many answers no question that is yet to be asked.
		{[]string{"y\ny", "n"}, exitHalted, 2, []string{"ok 3 · skipped 2", "the answer was no"}},
		{[]string{"\x03"}, exitInterrupted, 0, []string{"ok 1 · skipped 4", "interrupted"}},
	} {
		cmd := fleetCommand(t, lab.Config{N: 5, Prefix: "web"}, "run", "--canary", "1", "--serial", "2", "--pause", "ask", "all", "--", "true")
		screen, status, err := onTerminal(cmd, 100, answer("[y/n]", c.answers...))
		text := strings.Join(screen, "\n")
		if err != nil || status != c.status {
			t.Errorf("%q: status %d, want %d; %v\n%s", c.answers, status, c.status, err, text)
		}
		if n := strings.Count(text, "[y/n]"); c.asked > 0 && n != c.asked {
			t.Errorf("%q: asked %d times, want %d\n%s", c.answers, n, c.asked, text)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q: no %q on the screen\n%s", c.answers, want, text)
			}
		}
	}
}

// TestGateHasNoTerminal has a gate ask on the terminal: it is told at once that
// it has none, instead of being stopped.
func TestGateHasNoTerminal(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 2, Prefix: "web"}, "run", "--canary", "1", "--gate-timeout", "5m", "--gate", "read -r answer < /dev/tty", "all", "--", "true")
	began := time.Now()
	screen, status, err := onTerminal(cmd, 100, nil)
	text := strings.Join(screen, "\n")
	if err != nil || status != exitHalted || !strings.Contains(text, "gate not passed") || time.Since(began) > time.Minute {
		t.Errorf("status %d after %v, %v\n%s", status, time.Since(began), err, text)
	}
}

// TestGateIsShownAsItComes has a gate that waits until fleet has shown what it
// wrote.
func TestGateIsShownAsItComes(t *testing.T) {
	t.Parallel()
	shown := filepath.Join(t.TempDir(), "shown")
	gate := "echo first; while [ ! -e " + shown + " ]; do sleep 0.05; done; echo last"
	for _, where := range [][]string{nil, {"--gate-host", "web02"}} {
		args := append(append([]string{"run", "--canary", "1", "--gate", gate}, where...), "all", "--", "true")
		screen, status, err := onTerminal(fleetCommand(t, lab.Config{N: 2, Prefix: "web", RealShell: true}, args...), 100, func(_ *os.File, seen []byte) {
			if bytes.Contains(seen, []byte("gate: first\r\n")) {
				os.WriteFile(shown, nil, 0o600) //nolint:errcheck // the gate then waits for its limit
			}
		})
		text := strings.Join(screen, "\n")
		if err != nil || status != exitOK || strings.Count(text, "gate: first") != 1 || strings.Count(text, "gate: last") != 1 {
			t.Errorf("%v: status %d, %v\n%s", where, status, err, text)
		}
		if err := os.Remove(shown); err != nil {
			t.Error(err)
		}
	}
}
