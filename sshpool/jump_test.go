package sshpool

import (
	"bytes"
	"testing"

	"fleet/internal/sshtest"
)

// hopOf is s as a jump host of that name.
func hopOf(t testing.TB, name string, s *sshtest.Server) Target {
	t.Helper()
	hop := realTarget(t, s)
	hop.Name = name
	return hop
}

// TestJumpRealHops runs a command through two real jump hosts.
func TestJumpRealHops(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			target := realTarget(t, sshtest.OpenSSH(t))
			target.Jump = []Target{hopOf(t, "first", sshtest.OpenSSH(t)), hopOf(t, "second", start(t))}
			c := mustDial(t, target)
			var out bytes.Buffer
			if r, err := c.Exec(testContext(t), "echo $SSH_CONNECTION; exit 3", &out, nil); err != nil || r.ExitCode != 3 {
				t.Fatalf("%+v, %v", r, err)
			}
			t.Log(out.String())
		})
	}
}
