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

// encryptKey encrypts the lab's client key with ssh-keygen.
func encryptKey(t *testing.T, cmd *exec.Cmd, passphrase string) (key string) {
	t.Helper()
	for _, v := range cmd.Env {
		if inventory, ok := strings.CutPrefix(v, "FLEET_INVENTORY="); ok {
			key = filepath.Join(filepath.Dir(inventory), "id_ed25519")
		}
	}
	if out, err := exec.Command("ssh-keygen", "-p", "-q", "-f", key, "-N", passphrase).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	return key
}

// answer types each answer when question has come up that many times.
func answer(question string, answers ...string) func(*os.File, []byte) {
	given := 0
	return func(person *os.File, seen []byte) {
		if given < len(answers) && bytes.Count(seen, []byte(question)) > given {
			given++
			person.Write([]byte(answers[given-1] + "\n")) //nolint:errcheck // the read that follows fails too
		}
	}
}

// TestPassphrase has an encrypted key asked for once, not once a host, and
// again after an empty and a wrong answer; the answer is never shown.
func TestPassphrase(t *testing.T) {
	t.Parallel()
	cmd := fleetCommand(t, lab.Config{N: 8}, "run", "all", "--", "echo done")
	encryptKey(t, cmd, "correct horse")
	screen, status, err := onTerminal(cmd, 80, answer("passphrase for key", "", "wrong", "correct horse"))
	text := strings.Join(screen, "\n")
	if err != nil || status != exitOK {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	if n := strings.Count(text, "passphrase for key"); n != 3 {
		t.Errorf("asked %d times, want 3\n%s", n, text)
	}
	if n := strings.Count(text, " done"); n != 8 {
		t.Errorf("%d hosts answered, want 8\n%s", n, text)
	}
	if strings.Contains(text, "horse") {
		t.Errorf("the passphrase stands on the screen\n%s", text)
	}
}

// TestPassphraseInterrupted leaves a question by Ctrl-C: the terminal echoes again.
func TestPassphraseInterrupted(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 1}, "run", "all", "--", "echo done")
	encryptKey(t, cmd, "correct horse")
	typed := answer("passphrase for key", "\x03")
	var echo bool
	screen, status, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		typed(person, seen)
		echo = echoes(t, person)
	})
	if err != nil || status != exitInterrupted {
		t.Errorf("status %d, %v\n%s", status, err, strings.Join(screen, "\n"))
	}
	if !echo {
		t.Error("the terminal does not echo after the interrupted question")
	}
}

// TestPassphraseNotAsked wants a plain error where nobody may be asked.
func TestPassphraseNotAsked(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 1}, "run", "--no-input", "all", "--", "echo done")
	key := encryptKey(t, cmd, "correct horse")
	screen, status, err := onTerminal(cmd, 200, nil)
	text := strings.Join(screen, "\n")
	if err != nil || status != exitUsage {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	if !strings.Contains(text, key) || !strings.Contains(text, "encrypted") {
		t.Errorf("the error does not say that %s is encrypted:\n%s", key, text)
	}
}

// TestAskPass logs in by a password that is typed once for all hosts.
func TestAskPass(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 4, Password: "open sesame", Faults: map[string]lab.Fault{"*": "password-only"}},
		"run", "-k", "all", "--", "echo done")
	screen, status, err := onTerminal(cmd, 80, answer("login password", "open sesame"))
	text := strings.Join(screen, "\n")
	if err != nil || status != exitOK || strings.Count(text, " done") != 4 || strings.Count(text, "login password") != 1 {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	if strings.Contains(text, "sesame") {
		t.Errorf("the password stands on the screen\n%s", text)
	}
}
