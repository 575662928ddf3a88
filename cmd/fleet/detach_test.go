package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/lab"
)

// TestDetachAsksFirst has a detached run ask for a password on the terminal, and
// then closes the terminal: the run must go on without it. The password is in no
// file of the record.
func TestDetachAsksFirst(t *testing.T) {
	t.Parallel()
	const password = "c4nary-of-login"
	cmd := fleetCommand(t, lab.Config{N: 3, Password: password}, "run", "--detach", "-k", "all", "--", "echo said $HOSTNAME; sleep 1")
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME=")
	home := ""
	for _, kv := range cmd.Env {
		if value, ok := strings.CutPrefix(kv, "HOME="); ok {
			home = value // the last one counts
		}
	}
	typed := false
	screen, status, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		if !typed && bytes.Contains(seen, []byte("login password")) {
			typed = true
			person.Write([]byte(password + "\r")) //nolint:errcheck // the read that follows fails too
		}
	})
	text := strings.Join(screen, "\n")
	if err != nil || status != exitOK || !typed {
		t.Fatalf("status %d, %v, asked %v\n%s", status, err, typed, text)
	}
	if !strings.Contains(text, "\n01") || !strings.Contains(text, "fleet: hint: 'fleet history show --follow") {
		t.Errorf("the screen has no id, or no hint:\n%s", text)
	}
	fleet := func(args ...string) string {
		again := exec.Command(cmd.Path, args...)
		again.Env = cmd.Env
		out, err := again.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		return string(out)
	}
	if out := fleet("history", "show", "--follow", "last"); strings.Count(out, ": said ") != 3 || !strings.Contains(out, "ok 3") {
		t.Errorf("after the terminal was closed:\n%s", out)
	}
	for _, file := range []string{"fleet.db", "fleet.db-wal"} {
		text, err := os.ReadFile(filepath.Join(home, ".local/state/fleet", file))
		if err == nil && bytes.Contains(text, []byte(password)) {
			t.Errorf("%s holds the password", file)
		}
	}
}
