package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/lab"
)

// shellCommand is fleet shell as a process of its own on a lab, whose folder is
// its home.
func shellCommand(t *testing.T, cfg lab.Config, args ...string) (*exec.Cmd, *lab.Lab) {
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
	cmd := exec.Command(exe, append([]string{"shell"}, args...)...)
	cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+l.InventoryFile(), "TERM=xterm-256color", "HOME="+cfg.Dir, "XDG_STATE_HOME=")
	return cmd, l
}

// turn is one turn of a talk with a program: what it shows, and what a person
// types then.
type turn struct{ shown, keys string }

// talk types as the turns say, each after what it waits for came up anew.
func talk(turns ...turn) func(*os.File, []byte) {
	from := 0
	return func(person *os.File, seen []byte) {
		for len(turns) > 0 {
			i := bytes.Index(seen[from:], []byte(turns[0].shown))
			if i < 0 {
				return
			}
			from += i + len(turns[0].shown)
			person.Write([]byte(turns[0].keys)) //nolint:errcheck // the read that follows fails too
			turns = turns[1:]
		}
	}
}

// sitAt has a person talk to a shell, which must end with that status, within
// a minute; it gives the screen.
func sitAt(t *testing.T, cmd *exec.Cmd, status int, turns ...turn) string {
	t.Helper()
	var late *time.Timer
	said := talk(turns...)
	screen, got, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		if late == nil {
			late = time.AfterFunc(time.Minute, func() { person.Write([]byte("\x03\x03\x04")) }) //nolint:errcheck // the test fails by its status
		}
		said(person, seen)
	})
	if late != nil && !late.Stop() {
		t.Error("the shell took a minute")
	}
	text := strings.Join(screen, "\n")
	if err != nil || got != status {
		t.Errorf("status %d, %v, want %d; the screen:\n%s", got, err, status, text)
	}
	return text
}

func holds(t *testing.T, screen string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen does not hold %q:\n%s", want, screen)
		}
	}
}

var (
	webs = []string{"web01", "web02", "web03"}
	lab3 = lab.Config{Names: webs}
)

const prompt3 = "web[01-03] (3)> "

// TestShellCancel cancels a command by Ctrl-C: the next one runs, on the same
// connections.
func TestShellCancel(t *testing.T) {
	cmd, l := shellCommand(t, lab3, "web")
	screen := sitAt(t, cmd, exitOK,
		turn{prompt3, "echo first\r"},
		turn{prompt3, "sleep 600\r"},
		turn{"running 3", "\x03"},
		turn{"interrupted", ""},
		turn{prompt3, "echo again\r"},
		turn{prompt3, "\x04"},
	)
	holds(t, screen, "fleet: each line runs on 3 hosts", "── web[01-03] (3 hosts) ──\nfirst", "canceled 3", "fleet: canceling", "── web[01-03] (3 hosts) ──\nagain", "ok 3")
	for _, h := range l.Hosts() {
		if n := h.Stats().Accepted; n != 1 {
			t.Errorf("%s was connected %d times, want once", h.Name, n)
		}
	}
}

// TestShellEditing edits a line, clears one, recalls one, completes one and
// pastes several.
func TestShellEditing(t *testing.T) {
	cmd, l := shellCommand(t, lab3, "web")
	screen := sitAt(t, cmd, exitOK,
		turn{prompt3, "echo helo\x1b[Dl\r"},
		turn{prompt3, "rm -rf \x03"},
		turn{prompt3, " echo hidden\r"},
		turn{prompt3, "\x1b[A\r"},
		turn{prompt3, "\x1b[200~echo one\r\necho two\r\n\x1b[201~"},
		turn{"echo two", "\r"},
		turn{prompt3, ":sta\t\r"},
		turn{"connected: 3", ""},
		turn{prompt3, "echo a \\\r"},
		turn{"> ", "b\r"},
		turn{prompt3, "exit\r"},
	)
	holds(t, screen, "rm -rf ^C", "echo one␤echo two", "── web[01-03] (3 hosts) ──\none\ntwo", prompt3+":status", "last command: echo one", "connected: 3, web[01-03]")
	var commands []string
	for _, c := range l.Host("web01").Stats().Commands {
		commands = append(commands, strconv.Quote(c))
	}
	want := `"echo hello" "echo hidden" "echo hello" "echo one\necho two" "echo a \\\nb"`
	if got := strings.Join(commands, " "); got != want {
		t.Errorf("the hosts were sent %s, want %s\n%s", got, want, screen)
	}
	file := filepath.Join(filepath.Dir(l.InventoryFile()), ".local/state/fleet/shell_history")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "echo hello\necho one␤echo two\n:status\necho a \\\nb\nexit\n"; string(kept) != want {
		t.Errorf("history is %q, want %q", kept, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("history: %v, %v", info.Mode(), err)
	}
}

// TestShellTargets changes the target set: prompt and commands follow.
func TestShellTargets(t *testing.T) {
	cmd, l := shellCommand(t, lab.Config{Names: append(webs, "db1"), Faults: map[string]lab.Fault{"web03": "refuse"}}, "web")
	screen := sitAt(t, cmd, exitUsage,
		turn{prompt3, "echo here\r"},
		turn{prompt3, "@failed\r"},
		turn{"web03 (1)> ", "@all\r"},
		turn{prompt3, "!web03\r"},
		turn{"web[01-02] (2)> ", "+db1\r"},
		turn{"(3)> ", ":cd /srv/it's\r"},
		turn{"(3) /srv/it's> ", "echo there\r"},
		turn{"(3) /srv/it's> ", "-web99\r"},
		turn{"(3) /srv/it's> ", "\x04"},
	)
	holds(t, screen, "web03: connection refused", `no host or group "web99"`)
	if got, want := l.Host("db1").Stats().Commands, `cd '/srv/it'\''s' || exit; echo there`; len(got) != 1 || got[0] != want {
		t.Errorf("db1 was sent %q, want %q", got, want)
	}
	if n := l.Host("web01").Stats().Accepted; n != 1 {
		t.Errorf("web01 was connected %d times, want once", n)
	}
}

// TestShellTerminated ends a shell by SIGTERM while it shows its prompt: the
// terminal is as it was.
func TestShellTerminated(t *testing.T) {
	cmd, _ := shellCommand(t, lab3, "web")
	wrapped := exec.Command("sh", append([]string{"-c", `echo "pid $$;"; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)...)
	wrapped.Env = cmd.Env
	pid := regexp.MustCompile(`pid (\d+);`)
	sent, raw, echo := false, false, false
	screen, status, err := onTerminal(wrapped, 80, func(person *os.File, seen []byte) {
		if m := pid.FindSubmatch(seen); m != nil && !sent && bytes.Contains(seen, []byte(prompt3)) {
			sent, raw = true, !echoes(t, person)
			n, _ := strconv.Atoi(string(m[1]))
			syscall.Kill(n, syscall.SIGTERM) //nolint:errcheck // the test hangs, and tells
		}
		echo = echoes(t, person)
	})
	if err != nil || status != exitInterrupted || !raw || !echo {
		t.Errorf("status %d, %v, raw before %v, echo after %v\n%s", status, err, raw, echo, strings.Join(screen, "\n"))
	}
}

// TestShellDumb types at a terminal that can do nothing.
func TestShellDumb(t *testing.T) {
	cmd, _ := shellCommand(t, lab3, "web")
	cmd.Env = append(cmd.Env, "TERM=dumb")
	screen := sitAt(t, cmd, exitFailed,
		turn{prompt3, "echo oops\x03"},
		turn{prompt3, "exit 3\n"},
		turn{prompt3, "\x04"},
	)
	holds(t, screen, "exit status 3")
	if strings.Contains(screen, "\noops") {
		t.Errorf("the line that Ctrl-C cleared was run:\n%s", screen)
	}
}

// TestShellPassphrase asks for a key's passphrase before the first prompt, and
// not again while hosts use the key.
func TestShellPassphrase(t *testing.T) {
	t.Parallel()
	cmd, _ := shellCommand(t, lab3, "web")
	encryptKey(t, cmd, "correct horse")
	screen := sitAt(t, cmd, exitOK,
		turn{"passphrase for key", "correct horse\n"},
		turn{prompt3, "@web01\r"},
		turn{"web01 (1)> ", "@all\r"},
		turn{prompt3, "echo done\r"},
		turn{prompt3, "!!\r"},
		turn{prompt3, ":quit\r"},
	)
	holds(t, screen, "(3 hosts) ──\ndone")
	if n := strings.Count(screen, "passphrase for key"); n != 1 {
		t.Errorf("asked %d times, want once\n%s", n, screen)
	}
	if strings.Contains(screen, "horse") {
		t.Errorf("the passphrase stands on the screen\n%s", screen)
	}
}
