package sshpool

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fleet/internal/sshtest"
)

// oneKey is an agent with one key.
func oneKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return keyAgent(t, nil, key)
}

// TestAgentForwarding has a command use an agent of this side, and others not.
func TestAgentForwarding(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			socket := oneKey(t)
			c := mustDial(t, realTarget(t, start(t)))
			var out, errs bytes.Buffer
			r, err := c.Run(testContext(t), Command{Text: "ssh-add -l; ssh-add -l >/dev/null; echo $?", ForwardAgent: socket, Stdout: &out, Stderr: &errs})
			if err != nil || r.ExitCode != 0 || !strings.Contains(out.String(), "key a (ED25519)\n0\n") {
				t.Errorf("%q, %q, %+v, %v", out.String(), errs.String(), r, err)
			}
			out.Reset()
			if _, err := c.Exec(testContext(t), `ssh-add -l 2>&1; echo "$SSH_AUTH_SOCK"`, &out, nil); err != nil || strings.Contains(out.String(), "ED25519") {
				t.Errorf("a command that was not to have it has an agent: %q, %v", &out, err)
			}
		})
	}
}

func TestAgentForwardingRefused(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, sshtest.Config("AllowAgentForwarding no"))))
	_, err := c.Run(testContext(t), Command{Text: "true", ForwardAgent: oneKey(t)})
	if e := wantError(t, err, KindPermission, StageChannel); e.Text != "agent forwarding refused by the host" {
		t.Errorf("error %q", e.Text)
	}
}

// TestTwoAgents does not mix them up.
func TestTwoAgents(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	other := filepath.Join(t.TempDir(), "other")
	s, err := c.Start(testContext(t), Command{Text: "sleep 1000", ForwardAgent: filepath.Join(t.TempDir(), "one")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Run(testContext(t), Command{Text: "true", ForwardAgent: other})
	wantKind(t, err, KindInternal)
	c.Close()
	s.Wait()
	c = mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	for _, socket := range []string{other, "one"} { // one after the other is fine
		if _, err := c.Run(testContext(t), Command{Text: "true", ForwardAgent: socket}); err != nil {
			t.Error(err)
		}
	}
}

// TestAgentAtOnce has many commands of one connection lend the same agent at once:
// the host agrees to the first and refuses all others, who have it too.
func TestAgentAtOnce(t *testing.T) {
	t.Parallel()
	socket := oneKey(t)
	target := realTarget(t, sshtest.OpenSSH(t))
	for range 5 {
		c := mustDial(t, target)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				r, err := c.Run(testContext(t), Command{Text: "ssh-add -l", ForwardAgent: socket})
				if err != nil || r.ExitCode != 0 {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		all.Wait()
	}
}
