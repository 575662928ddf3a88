package sshtest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Dropbear starts Debian's dropbear. It reads authorized_keys only from the
// home of the user, so it gets a home of its own by a passwd file of its own.
func Dropbear(t testing.TB, opts ...Option) *Server {
	t.Helper()
	const program = "/usr/sbin/dropbear"
	mustHave(t, program, "dropbear-bin")
	s, o := newServer(t, "dropbear", opts)
	if err := os.MkdirAll(s.path(".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("authorized_keys"), s.path(".ssh/authorized_keys")); err != nil {
		t.Fatal(err)
	}
	s.HostKey = s.dropbearKey("host_ed25519")
	s.launch(o, func(port int) []string {
		argv := []string{program, "-F", "-E", "-m", "-r", s.path("host_ed25519"), "-P", s.path("pid")}
		if o.password == "" {
			argv = append(argv, "-s")
		}
		for _, a := range s.Addresses {
			argv = append(argv, "-p", fmt.Sprintf("%s:%d", a, port))
		}
		return append(argv, o.args...)
	}, func(log string) bool {
		return strings.Contains(log, "Not backgrounding") && !strings.Contains(log, "Failed listening")
	})
	return s
}

// dropbearKey makes a host key in dropbear's own format.
func (s *Server) dropbearKey(name string) ssh.PublicKey {
	s.t.Helper()
	out, err := exec.Command("dropbearkey", "-t", "ed25519", "-f", s.path(name)).CombinedOutput()
	if err != nil {
		s.t.Fatalf("dropbearkey: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			return key
		}
	}
	s.t.Fatalf("dropbearkey printed no key:\n%s", out)
	return nil
}
