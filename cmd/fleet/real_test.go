package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// realFleet writes an inventory for a real server, one host an address: web01,
// web02, ... and gives what runs fleet on it.
func realFleet(t *testing.T, s *sshtest.Server) func(args ...string) (stdout, stderr string, status int) {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, "defaults: {user: %q, port: %d, key: %q, known_hosts: %q}\nhosts:\n", s.User, s.Port, s.KeyFile, s.KnownHosts)
	for i, a := range s.Addresses {
		fmt.Fprintf(&b, "  web%02d: {address: %q}\n", i+1, a)
	}
	file := filepath.Join(dir, "hosts.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	return func(args ...string) (string, string, int) {
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+file, "HOME="+dir)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	}
}

// realRuns are runs that must end in the same way on any SSH server.
var realRuns = []struct {
	name           string
	args           []string
	status         int
	stdout, stderr string // must stand in the output
}{
	{"group", []string{"run", "-o", "group", "all", "--", "echo hello; echo oops >&2"}, exitOK, "── web[01-04] (4 hosts) ──\nhello\n", "ok 4"},
	{"live", []string{"run", "web02", "--", "printf 'a\\nb'"}, exitOK, "web02: a\nweb02: b\n", "ok 1"},
	{"exit status", []string{"run", "web01", "--", "exit 7"}, exitFailed, "", "web01: exit status 7"},
	{"signal", []string{"run", "web01", "--", "kill -9 $$"}, exitFailed, "", "web01: "},
	{"timeout", []string{"run", "-t", "1s", "web01", "--", "echo early; exec sleep 100"}, exitFailed, "web01: early", "web01: timeout in command after 1s"},
	{"words", []string{"run", "--argv", "web01", "--", "printf", "<%s>", "a b", "$HOME", "it's", ""}, exitOK, "web01: <a b><$HOME><it's><>", ""},
	{"wrong key", []string{"run", "--hostkeys", "strict", "--known-hosts", "/dev/null", "all", "--", "true"}, exitUnreachable, "", "web[01-04]: host key is not in known_hosts"},
	{"wrong user", []string{"run", "-u", "nosuchuser", "web01", "--", "true"}, exitUnreachable, "", "web01: "},
	{"large output", []string{"run", "-o", "jsonl", "--max-output", "1K", "web01", "--", "head -c 3000000 /dev/zero"}, exitOK, `"stdout_bytes":3000000,"stderr_bytes":0,"truncated":true`, ""},
	{"binary", []string{"run", "-o", "json", "web01", "--", `printf '\377\000'`}, exitOK, `"stdout_b64":"/wA="`, ""},
}

func TestRealServers(t *testing.T) {
	servers := map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleet := realFleet(t, start(t, sshtest.Listen("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")))
			for _, r := range realRuns {
				stdout, stderr, status := fleet(r.args...)
				if status != r.status || !strings.Contains(stdout, r.stdout) || !strings.Contains(stderr, r.stderr) {
					t.Errorf("%s: status %d, want %d\nstdout: %s\nwant in it: %s\nstderr: %s\nwant in it: %s",
						r.name, status, r.status, stdout, r.stdout, stderr, r.stderr)
				}
			}
		})
	}
}
