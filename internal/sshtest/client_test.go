package sshtest

import (
	"context"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"fleet/internal/lab"
)

// TestOpenSSHClientUsesTheLab reads the lab's files with the real ssh: the key,
// known_hosts under strict checking, the exit status.
func TestOpenSSHClientUsesTheLab(t *testing.T) {
	mustHave(t, "/usr/bin/ssh", "openssh-client")
	f := Lab(t, lab.Config{Names: []string{"fine", "changed", "unknown"},
		Faults: map[string]lab.Fault{"changed": "wrong-key", "unknown": "unknown-key"}})
	for _, c := range []struct {
		host, out string
		status    int
	}{
		{"fine", "fine\n", 7},
		{"changed", "", 255}, // ssh(1): 255 where ssh itself has an error
		{"unknown", "", 255},
	} {
		h := f.Must(t, c.host)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/usr/bin/ssh", "-F", "none", "-i", f.KeyFile, "-p", strconv.Itoa(h.Port),
			"-o", "UserKnownHostsFile="+f.KnownHosts, "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes",
			"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", f.User()+"@"+h.Address, "hostname; exit 7")
		out, _ := cmd.Output()
		if string(out) != c.out || cmd.ProcessState.ExitCode() != c.status {
			t.Errorf("%s: %q, status %d; want %q, %d", c.host, out, cmd.ProcessState.ExitCode(), c.out, c.status)
		}
	}
	if n := f.Host("changed").Stats().CommandsRun; n != 0 {
		t.Errorf("a host with a changed key got %d commands", n)
	}
}
