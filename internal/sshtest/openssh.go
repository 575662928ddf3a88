package sshtest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// OpenSSH starts Debian's sshd with a configuration, host keys and
// authorized_keys of its own. It works for root and for any user.
func OpenSSH(t testing.TB, opts ...Option) *Server {
	t.Helper()
	const program = "/usr/sbin/sshd"
	mustHave(t, program, "openssh-server")
	if os.Getuid() == 0 {
		// The Debian service makes it; sshd as root wants it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, o := newServer(t, "openssh", opts)
	s.HostKey = s.makeKey("host_ed25519").PublicKey()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", s.path("host_ecdsa")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	if o.homeKeys {
		if err := os.Mkdir(s.path(".ssh"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.path("authorized_keys"), s.path(".ssh/authorized_keys")); err != nil {
			t.Fatal(err)
		}
	}
	s.launch(o, func(port int) []string {
		s.write("sshd_config", s.sshdConfig(o, port), 0o600)
		return []string{program, "-D", "-e", "-f", s.path("sshd_config")}
	}, func(log string) bool {
		return strings.Count(log, "Server listening on ") == len(s.Addresses)
	})
	return s
}

// sshdConfig writes the test's own lines first: sshd takes the first value. The
// sessions' home is the server's folder, so that no profile of the user's runs:
// one may be slow, noisy, or do harm when a test kills its shell.
func (s *Server) sshdConfig(o *options, port int) string {
	var b strings.Builder
	for _, line := range o.config {
		if strings.HasPrefix(line, "SetEnv ") { // sshd takes the first such line only
			line += " HOME=" + s.Dir
		}
		fmt.Fprintln(&b, line)
	}
	for _, a := range s.Addresses {
		fmt.Fprintf(&b, "ListenAddress %s\n", a)
	}
	keys := s.path("authorized_keys")
	if o.homeKeys {
		keys = s.path(".ssh/authorized_keys")
	}
	yesNo := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(&b, `Port %d
HostKey %s
HostKey %s
AuthorizedKeysFile %s
PasswordAuthentication %s
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
UseDNS no
StrictModes no
PidFile none
PrintMotd no
LogLevel VERBOSE
SetEnv HOME=%s %s
`, port, s.path("host_ed25519"), s.path("host_ecdsa"), keys, yesNo[o.password != ""], s.Dir, strings.Join(o.env, " "))
	if !o.noSFTP {
		fmt.Fprintln(&b, "Subsystem sftp internal-sftp")
	}
	return b.String()
}
