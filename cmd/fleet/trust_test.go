package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// labFiles is where the lab of a command of fleetCommand has its files.
func labFiles(t *testing.T, env []string) string {
	t.Helper()
	for _, v := range env {
		if inventory, ok := strings.CutPrefix(v, "FLEET_INVENTORY="); ok {
			return filepath.Dir(inventory)
		}
	}
	t.Fatal("no inventory in the environment")
	return ""
}

// TestTrustApproveAsks approves the keys of 200 new hosts by one question, and
// none where the answer is no.
func TestTrustApproveAsks(t *testing.T) {
	const hosts = 200
	for reply, want := range map[string]struct {
		status, lines int
		says          string
	}{
		"yes":  {exitOK, hosts, "approved 200 keys of 200 hosts, written to"},
		"no":   {exitFailed, 0, "nothing was written"},
		"":     {exitFailed, 0, "nothing was written"},
		"\x03": {exitInterrupted, 0, ""},
	} {
		t.Run(fmt.Sprintf("%q", reply), func(t *testing.T) {
			t.Parallel()
			cmd := fleetCommand(t, lab.Config{N: hosts, Faults: map[string]lab.Fault{"*": "unknown-key"}}, "trust", "approve", "all")
			known := filepath.Join(labFiles(t, cmd.Env), "known_hosts")
			if reply != "\x03" {
				reply += "\n"
			}
			typed := false
			screen, status, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
				if !typed && bytes.Contains(seen, []byte("yes or no")) {
					typed = true
					person.WriteString(reply) //nolint:errcheck // the read that follows fails too
				}
			})
			text := strings.Join(screen, "\n")
			if err != nil || status != want.status || !strings.Contains(text, want.says) {
				t.Errorf("%q: status %d, want %d, %v\n%s", reply, status, want.status, err, text[max(0, len(text)-600):])
			}
			if n := strings.Count(text, "write 200 new keys of 200 hosts to known_hosts? yes or no"); n != 1 {
				t.Errorf("%q: asked %d times, want once", reply, n)
			}
			if n := strings.Count(text, "new      SHA256:"); n != hosts {
				t.Errorf("%q: %d keys shown, want %d", reply, n, hosts)
			}
			file, err := os.ReadFile(known)
			if n := strings.Count(string(file), "\n"); err != nil || n != want.lines {
				t.Errorf("%q: %d lines in known_hosts, want %d, %v", reply, n, want.lines, err)
			}
		})
	}
}

// TestTrustReal goes the whole way with sshd on many addresses: scan, approve
// by a list, run, and diff after the keys have changed; sshd sees no failed login.
func TestTrustReal(t *testing.T) {
	t.Parallel()
	var addresses []string
	for n := range 16 {
		addresses = append(addresses, "127.0.2."+strconv.Itoa(n+1))
	}
	s := sshtest.OpenSSH(t, sshtest.Listen(addresses...), sshtest.MaxStartups("100:30:200"))
	fleet := realFleet(t, s)
	known := filepath.Join(t.TempDir(), "known_hosts")
	stdout, stderr, status := fleet("trust", "scan", "--known-hosts", known, "all")
	print := strings.Fields(stdout)
	if status != exitOK || len(print) != 4 || print[0] != "new" || print[3] != "web[01-16]" {
		t.Fatalf("scan: status %d\n%s%s", status, stdout, stderr)
	}
	if !strings.Contains(stderr, "warning: 16 addresses share the key "+print[1]+": web[01-16]") {
		t.Errorf("no warning of a shared key:\n%s", stderr)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte(print[1]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, status = fleet("trust", "approve", "--yes", "--from", list, "--known-hosts", known, "all"); status != exitOK {
		t.Fatalf("approve: status %d\n%s%s", status, stdout, stderr)
	}
	if info, err := os.Stat(known); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("known_hosts: %v, %v", info, err)
	}
	s.WaitLog("host key read [preauth]", 10*time.Second)
	for _, bad := range []string{"Failed", "Invalid user", "Accepted", "reset by"} {
		if strings.Contains(s.Log(), bad) {
			t.Errorf("the log of sshd has %q before any login", bad)
		}
	}
	if stdout, stderr, status = fleet("run", "-o", "group", "--known-hosts", known, "all", "--", "echo hi"); status != exitOK {
		t.Errorf("run: status %d\n%s%s", status, stdout, stderr)
	}
	// The RSA-less server shows its other key when its first is not known.
	if stdout, stderr, status = fleet("trust", "scan", "--types", "ed25519,ecdsa", "--known-hosts", known, "web01"); status != exitOK || !strings.Contains(stdout, "new ") || !strings.Contains(stdout, "known ") {
		t.Errorf("types: status %d\n%s%s", status, stdout, stderr)
	}
	text, err := os.ReadFile(known)
	if err != nil {
		t.Fatal(err)
	}
	other := sshtest.OpenSSH(t, sshtest.Listen("127.0.3.1"))
	swapped := strings.ReplaceAll(string(text), keyText(t, s), keyText(t, other))
	if err := os.WriteFile(known, []byte(swapped), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status = fleet("trust", "diff", "--known-hosts", known, "web[01-03]")
	if status != exitFailed || strings.Count(stdout, "changed  "+print[1]) != 3 || strings.Count(stdout, "  known  ") != 3 || !strings.Contains(stdout, known+":1\n") {
		t.Errorf("diff: status %d\n%s%s", status, stdout, stderr)
	}
}

// keyText is a server's key as known_hosts has it.
func keyText(t *testing.T, s *sshtest.Server) string {
	t.Helper()
	text, err := os.ReadFile(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))[2]
}
