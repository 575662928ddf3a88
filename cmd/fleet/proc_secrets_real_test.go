package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// TestSecretsInNoProcess looks through the arguments and the environment of all
// processes of this machine, which is also the host, while a run logs in by an
// encrypted key and a password and becomes root by another, from its start to its end:
// none of the three is in any.
func TestSecretsInNoProcess(t *testing.T) {
	t.Parallel()
	canaries := map[string]string{"login password": "c4n4ry-of-the-login", "become password": "c4n4ry-of-becoming", "passphrase": "c4n4ry-of-the-key"}
	s := sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1"), sshtest.Config("AuthenticationMethods publickey,password"), sshtest.Config("PasswordAuthentication yes"),
		sshtest.WithAccounts(sshtest.Accounts{Login: "ann", Passwords: map[string]string{"ann": canaries["login password"], "root": canaries["become password"]}}))
	if out, err := exec.Command("ssh-keygen", "-p", "-q", "-f", s.KeyFile, "-N", canaries["passphrase"]).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hosts := write("hosts.yaml", fmt.Sprintf("hosts: {web: {address: %s, port: %d, user: ann, key: %q, known_hosts: %q}}\n", s.Addresses[0], s.Port, s.KeyFile, s.KnownHosts))
	login, become := write("login", canaries["login password"]+"\n"), write("become", canaries["become password"]+"\n")
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	enough := filepath.Join(s.Dir, "enough")
	const mark = "seen-in-arguments"
	cmd := exec.Command(exe, "run", "-i", hosts, "-vvv", "-o", "live", "--color", "never", "-t", "1m", "--pass-file", login, "-b", "--become-method", "su", "--become-pass-command", "cat "+become,
		"all", "--", ": "+mark+"; id -un; echo u''p; until [ -e "+enough+" ]; do sleep 0.1; done; echo do''wn")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + dir, "FLEET_SSH_CONFIG=none", "TERM=xterm"}
	over, looked := make(chan struct{}), make(chan int)
	go func() {
		looks := 0
		defer func() { looked <- looks }()
		for tick := time.NewTicker(5 * time.Millisecond); ; looks++ {
			lookAtProcesses(t, canaries, mark)
			select {
			case <-over:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	typed, marked := answer("passphrase for key", canaries["passphrase"]), 0
	screen, status, err := onTerminal(cmd, 200, func(person *os.File, seen []byte) {
		typed(person, seen)
		if marked == 0 && bytes.Contains(seen, []byte("web: up")) {
			marked = lookAtProcesses(t, canaries, mark)
			if err := os.WriteFile(enough, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	close(over)
	looks := <-looked
	text := strings.Join(screen, "\n")
	if err != nil || status != exitOK || !strings.Contains(text, "web: root") || !strings.Contains(text, "web: down") {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	if marked < 2 || looks < 2 {
		t.Errorf("%d looks, the last with %d processes of the run in it: want that here and that on the host at least", looks, marked)
	}
	for name, secret := range canaries {
		if strings.Contains(text, secret) {
			t.Errorf("the %s stands on the screen", name)
		}
	}
}

// lookAtProcesses fails the test where a process tells a secret; marked are
// those whose arguments hold mark.
func lookAtProcesses(t *testing.T, secrets map[string]string, mark string) (marked int) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Error(err)
	}
	for _, p := range processes {
		argv, _ := os.ReadFile(p + "/cmdline") // it may be gone
		environ, _ := os.ReadFile(p + "/environ")
		if bytes.Contains(argv, []byte(mark)) {
			marked++
		}
		all := append(append(argv, 0), environ...)
		for name, secret := range secrets {
			for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))[:20]} {
				if bytes.Contains(all, []byte(form)) {
					t.Errorf("%s tells the %s: %.500q", p, name, all)
				}
			}
		}
	}
	return marked
}
