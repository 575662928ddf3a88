package doctor

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"fleet/internal/sshtest"
)

// TestOpenSSH examines sshd with nothing wrong, and with problems made on
// purpose.
func TestOpenSSH(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  []sshtest.Option
		kinds []string
		text  string // in the report
	}{
		{"well", nil, nil, "10 at once"},
		{"few sessions", []sshtest.Option{sshtest.MaxSessions(3)}, []string{"sessions"}, "fewer than 4 sessions at once on one connection (3)"},
		{"one session", []sshtest.Option{sshtest.MaxSessions(1)}, []string{"sessions"}, "(1)"},
		{"no sftp", []sshtest.Option{sshtest.NoSFTP()}, []string{"sftp"}, "no sftp: sftp subsystem refused by the host"},
		{"noisy", []sshtest.Option{sshtest.Config(`ForceCommand echo "Welcome to Acme"; echo oops >&2; eval "$SSH_ORIGINAL_COMMAND"`)},
			[]string{"sftp", "shell_noise", "shell_noise_stderr"}, `(16 bytes: "Welcome to Acme\n")`},
		{"forced", []sshtest.Option{sshtest.Config("ForceCommand echo no commands here")}, []string{"no_shell", "sftp"}, `it says "no commands here\n"`},
		{"no sessions", []sshtest.Option{sshtest.MaxSessions(0)}, []string{"session_limit"}, "session refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := sshtest.OpenSSH(t, append(c.opts, sshtest.Listen("127.0.0.1"))...)
			h := mustRun(t, realRequest(s))["web01"]
			// Whether this machine has enough room in /tmp, and its programs, is not
			// what is tried here.
			kinds := slices.DeleteFunc(h.kinds(), func(k string) bool { return strings.HasPrefix(k, "tmp_") })
			if !slices.Equal(kinds, append([]string{}, c.kinds...)) {
				t.Errorf("problems %+v, want %s", h.Problems, c.kinds)
			}
			if text := strings.Join(strings.Fields(shown(t, &Report{Hosts: []*Host{h}})), " "); !strings.Contains(text, c.text) {
				t.Errorf("no %q in the report:\n%s", c.text, text)
			}
			if n := strings.Count(s.Log(), "Accepted publickey"); n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
			if n := strings.Count(s.Log(), "Connection from"); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestDropbear(t *testing.T) {
	s := sshtest.Dropbear(t, sshtest.Listen("127.0.0.1"))
	h := mustRun(t, realRequest(s))["web01"]
	if h.Server == nil || !strings.Contains(*h.Server, "dropbear") {
		t.Errorf("server %v", h.Server)
	}
	if h.Shell == nil || h.Shell.Path != "/bin/sh" || h.Shell.Stdout.Bytes > 0 || h.System == nil || h.Clock == nil || h.Tmp == nil || h.Tools == nil {
		t.Errorf("facts are missing: %+v", h)
	}
	if h.Sessions == nil || h.Sessions.Open < 1 {
		t.Errorf("sessions %+v", h.Sessions)
	}
	if h.HostKey == nil || h.HostKey.State != "known" || h.HostKey.Type != "ssh-ed25519" {
		t.Errorf("host key %+v", h.HostKey)
	}
}

// TestHostKeyStates looks at the key of one server in all the ways of being
// known, and not known.
func TestHostKeyStates(t *testing.T) {
	s := sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1"))
	fresh := t.TempDir() + "/known_hosts"
	pinned := ssh.FingerprintSHA256(s.HostKey)
	for _, c := range []struct {
		name  string
		alter func(r *Request)
		state string
		kinds string
	}{
		{"known", func(*Request) {}, "known", ""},
		{"accepted", func(r *Request) { r.HostKeys, r.KnownHosts = "accept-new", []string{fresh} }, "accepted", ""},
		{"known then", func(r *Request) { r.HostKeys, r.KnownHosts = "accept-new", []string{fresh} }, "known", ""},
		{"unknown", func(r *Request) { r.KnownHosts = []string{"/dev/null"} }, "unknown", "hostkey_unknown"},
		{"unchecked", func(r *Request) { r.HostKeys, r.KnownHosts = "insecure-off", []string{"/dev/null"} }, "unknown", "hostkey_unchecked"},
		{"pinned", func(r *Request) { r.Hosts[0].HostKey = []string{pinned} }, "pinned", ""},
	} {
		r := realRequest(s)
		c.alter(&r)
		h := mustRun(t, r)["web01"]
		if h.HostKey == nil || h.HostKey.State != c.state || !strings.HasPrefix(h.HostKey.Fingerprint, "SHA256:") {
			t.Errorf("%s: %+v, want %s", c.name, h.HostKey, c.state)
		}
		if kinds := strings.Join(h.kinds(), " "); !strings.Contains(kinds, c.kinds) || c.kinds == "" && strings.Contains(kinds, "hostkey") {
			t.Errorf("%s: problems %s, want %q", c.name, kinds, c.kinds)
		}
	}
}
