package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// TestBecomeReal runs commands as root and as another user by passwords that the
// inventory refers to, and looks for these in all that is left.
func TestBecomeReal(t *testing.T) {
	t.Parallel()
	const password = "hunter2-of-ann"
	s := sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1"), sshtest.WithAccounts(sshtest.Accounts{
		Login: "ann", Passwords: map[string]string{"ann": password, "ben": ""},
		Files: map[string]string{"sudoers": "Defaults !lecture\nann ALL=(ALL) ALL\n", "doas.conf": "permit ann\n"}}))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := write("hosts.yaml", fmt.Sprintf("defaults: {address: %s, port: %d, user: ann, key: %q, known_hosts: %q}\n"+
		"hosts:\n  web: {become: true, become_pass_file: %q}\n  db: {become: true, become_user: ben, become_pass_command: %q}\n  own:\n",
		s.Addresses[0], s.Port, s.KeyFile, s.KnownHosts, secret, "cat "+secret))
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	fleet := func(status int, lines string, args ...string) (out, told string) {
		t.Helper()
		cmd := exec.Command(exe, args...)
		cmd.Stdin, cmd.Env = strings.NewReader(lines), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + dir, "FLEET_SSH_CONFIG=none", "GORACE=" + noSleepAtExit}
		var o, e bytes.Buffer
		cmd.Stdout, cmd.Stderr = &o, &e
		cmd.Run() //nolint:errcheck // the status says more
		if got := cmd.ProcessState.ExitCode(); got != status {
			t.Errorf("%v: status %d, want %d\n%s%s", args, got, status, &o, &e)
		}
		if all := o.String() + e.String(); strings.Contains(all, password) {
			t.Errorf("%v shows the password:\n%s", args, all)
		}
		return o.String(), e.String()
	}
	run := func(status int, args ...string) (out, told string) {
		return fleet(status, "", append([]string{"run", "-i", hosts, "-vv"}, args...)...)
	}
	out, _ := run(0, "all", "--", "id -un")
	for _, want := range []string{"web: root\n", "db: ben\n", "own: ann\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q, want %q in it", out, want)
		}
	}
	if out, _ := run(0, "--become=false", "all", "--", "id -un"); strings.Count(out, ": ann\n") != 3 {
		t.Errorf("%q", out)
	}
	if out, _ := run(0, "-b", "--become-user", "ben", "--become-pass-file", secret, "own", "--", "id -un"); out != "own: ben\n" {
		t.Errorf("%q", out)
	}
	_, told := run(3, "-b", "--become-pass-command", "echo wrong", "own", "--", "id -un")
	holds(t, told, "own: sudo did not take the password", "hint: the password for becoming another user was not accepted")
	_, told = run(3, "-b", "own", "--", "id -un")
	holds(t, told, "own: sudo asks for a password, and there is none", "-K")
	_, told = run(3, "-b", "--become-method", "doas", "--become-pass-file", secret, "--stdin", hosts, "own", "--", "id -un; cat")
	holds(t, told, "own: doas wants a terminal, and a command that is sent input has none", "leave --stdin out")
	if out, _ := run(0, "-b", "--become-method", "doas", "--become-pass-file", secret, "--env", "A=b", "own", "--", "id -un; echo $A"); out != "own: root\nown: b\n" {
		t.Errorf("%q", out)
	}
	_, told = run(4, "-b", "--become-timeout", "1ns", "--become-pass-file", secret, "own", "--", "id -un")
	holds(t, told, "own: timeout in become after 1ns", "--become-timeout gives it longer")
	becomesInShell(t, dir, hosts, fleet)
	tellsNothing(t, dir, password)
}

// becomesInShell sends scripts and input as other users.
func becomesInShell(t *testing.T, dir, hosts string, fleet func(status int, lines string, args ...string) (out, told string)) {
	t.Helper()
	script, input := filepath.Join(dir, "who am i.sh"), filepath.Join(dir, "input")
	if err := errors.Join(os.WriteFile(script, []byte(`echo "$1 $(id -un) in $PWD"`), 0o600), os.WriteFile(input, []byte("one\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	home, _ := fleet(0, "cd ~ben && pwd\n", "shell", "-i", hosts, "db")
	home = strings.TrimSpace(strings.TrimPrefix(home, "db: "))
	lines := fmt.Sprintf(":cd /usr\n:script '%s' I\n:cd ~ben\n:script '%s' me\n:stdin '%s' cat; id -un; pwd\n", script, script, input)
	for host, who := range map[string]string{"web": "root", "db": "ben"} {
		want := fmt.Sprintf("%[1]s: I %[2]s in /usr\n%[1]s: me %[2]s in %[3]s\n%[1]s: one\n%[1]s: %[2]s\n%[1]s: %[3]s\n", host, who, home)
		if out, told := fleet(0, lines, "shell", "-i", hosts, host); out != want {
			t.Errorf("%q, want %q\n%s", out, want, told)
		}
	}
}

// tellsNothing fails the test where a file below dir holds the secret.
func tellsNothing(t *testing.T, dir, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
