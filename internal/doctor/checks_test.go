package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// well is a host with every fact known and nothing wrong.
func well() *Host {
	no, inodes := false, int64(1e6)
	rtt, version := Millis(1), "SSH-2.0-OpenSSH_9.2"
	return &Host{Name: "web01", Address: "10.0.0.1", Port: 22, User: "ops", Problems: []Problem{},
		Connect: &Connect{Addresses: []string{"10.0.0.1"}}, Server: &version, RTT: &rtt,
		Crypto: &Algorithms{Kex: "mlkem768x25519-sha256", PostQuantum: true}, HostKey: &HostKey{State: "known"}, Login: &Login{},
		Shell: &Shell{Path: "/bin/bash"}, System: &System{}, Become: &Become{Sudo: "yes"}, Tools: &Tools{},
		Tmp:   &Tmp{Mount: "/", FreeBytes: 1 << 40, FreeInodes: &inodes, Noexec: &no, ReadOnly: &no},
		Clock: &Clock{Offset: 0.2, Error: 0.5}, SFTP: &SFTP{3}, Sessions: &Sessions{Open: 10},
	}
}

// TestChecks breaks one fact at a time, and wants the problem for that, with
// its detail, and no other.
func TestChecks(t *testing.T) {
	yes, few := true, int64(999)
	want := func(method string) wanted { return wanted{true, method} }
	cases := []struct {
		kind, detail string
		harm         func(h *Host)
	}{
		{"", "", func(*Host) {}},
		{"slow_dns", "2.1 s", func(h *Host) { h.Connect.DNS = 2100 }},
		{"slow_login", "4.0 s", func(h *Host) { h.Connect.Auth = 4000 }},
		{"slow_profile", "3.0 s", func(h *Host) { h.Shell.Profile = 3000 }},
		{"hostkey_unchecked", "ssh-rsa SHA256:x", func(h *Host) { h.HostKey = &HostKey{"unknown", "ssh-rsa", "SHA256:x", nil} }},
		{"hostkey_unchecked", "against f:1", func(h *Host) { h.HostKey = &HostKey{"changed", "ssh-rsa", "SHA256:x", []string{"f:1"}} }},
		{"weak_algorithm", "ssh-rsa", func(h *Host) { h.Crypto.Weak = []string{"ssh-rsa"} }},
		{"shell_noise", `2 bytes: "\x1b\u202e"`, func(h *Host) { h.Shell.Stdout = Noise{2, "\x1b\u202e"} }},
		{"shell_noise_stderr", `100 bytes: "` + strings.Repeat("x", 58) + `"...`, func(h *Host) { h.Shell.Stderr = Noise{100, strings.Repeat("x", 100)} }},
		{"become", "", func(h *Host) { h.become, h.Become.Sudo = want(""), "password" }},
		{"become", "", func(h *Host) { h.become, h.Become.Sudo = want("sudo"), "denied" }},
		{"become", "no sudo", func(h *Host) { h.become, h.Become.Sudo = want("sudo"), "absent" }},
		{"become", "no doas", func(h *Host) { h.become = want("doas") }},
		{"", "", func(h *Host) { h.Become.Sudo = "absent" }},
		{"", "", func(h *Host) { h.become, h.Become.Sudo, h.Become.Root = want("sudo"), "absent", true }},
		{"tools", "setsid, tar", func(h *Host) { h.Tools.Missing = []string{"setsid", "tar"} }},
		{"tmp_noexec", "", func(h *Host) { h.Tmp.Noexec = &yes }},
		{"tmp_read_only", "", func(h *Host) { h.Tmp.ReadOnly = &yes }},
		{"tmp_full", "99 MiB free", func(h *Host) { h.Tmp.FreeBytes = 100<<20 - 1 }},
		{"tmp_inodes", "999 free", func(h *Host) { h.Tmp.FreeInodes = &few }},
		{"clock", "6.0 s behind", func(h *Host) { h.Clock.Offset = -6 }},
		{"", "", func(h *Host) { h.Clock = &Clock{-6, 1.5} }}, // may be right
		{"sessions", "3", func(h *Host) { h.Sessions.Open = 3 }},
	}
	found := make(map[string]bool)
	for _, c := range cases {
		h := well()
		c.harm(h)
		h.diagnose()
		if c.kind == "" {
			if len(h.Problems) > 0 {
				t.Errorf("problems of a host with none: %+v", h.Problems)
			}
			continue
		}
		if len(h.Problems) != 1 || h.Problems[0].Kind != c.kind || !strings.Contains(h.Problems[0].Detail, c.detail) || h.Problems[0].Fix == "" {
			t.Errorf("problems %+v, want %s (%s)", h.Problems, c.kind, c.detail)
			continue
		}
		found[h.Problems[0].Text] = true
	}
	for _, c := range checks {
		if !found[c.text] {
			t.Errorf("no case for %s: %s", c.kind, c.text)
		}
	}
	(&Host{}).diagnose() // nothing known: no problem, and no panic
}

// TestFold folds hosts with the same problem and lists what differs.
func TestFold(t *testing.T) {
	r := &Report{}
	for i := range 8 {
		h := well()
		h.Name = fmt.Sprintf("web%02d", i+1)
		h.Clock.Offset = float64(10 * (i + 1))
		h.Sessions.Open = 2
		h.diagnose()
		h.State = Troubled
		r.Hosts = append(r.Hosts, h)
	}
	r.Hosts[0].Problems, r.Hosts[0].State = []Problem{{Kind: "dns", Text: "no such host", Fix: "x"}}, Unreachable
	text := shown(t, r)
	at := strings.Index(text, "\nweb01: no such host")
	const want = `
web01: no such host
  fix: x
web[02-08]: clock is wrong by more than 5 s
  web02: 20.0 s ahead
  web03: 30.0 s ahead
  web04: 40.0 s ahead
  web05: 50.0 s ahead
  web06: 60.0 s ahead
  ... and 2 more: --all shows each
  fix: let the host keep time: systemctl status systemd-timesyncd, or chronyc
       tracking; the clock of this machine may be the wrong one
web[02-08]: fewer than 4 sessions at once on one connection (2)
  fix: raise MaxSessions in the host's sshd_config (its default is 10)
8 hosts: 7 with problems, 1 unreachable
`
	if at < 0 || text[at:] != want {
		t.Errorf("report:\n%s\nwant\n%s", text, want)
	}
	for line := range strings.Lines(text) {
		if len(line) > 81 {
			t.Errorf("line of %d columns: %s", len(line)-1, line)
		}
	}
}

// TestOneHostByTwoNames examines a host that the inventory has twice: one
// connection serves both, and neither takes the other's sessions for its own.
func TestOneHostByTwoNames(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01"}, Faults: map[string]lab.Fault{"web01": "max-sessions=5"}})
	req := labRequest(f)
	for i := range 5 {
		again := *req.Hosts[0]
		again.Name = fmt.Sprintf("alias%d", i)
		req.Hosts = append(req.Hosts, &again)
	}
	for name, h := range mustRun(t, req) {
		if h.State != Fine || h.Sessions == nil || h.Sessions.Open != 5 {
			t.Errorf("%s: %s, %+v, sessions %+v", name, h.State, h.Problems, h.Sessions)
		}
	}
	if n := f.Must(t, "web01").Stats().Logins; n > 6 {
		t.Errorf("%d logins", n)
	}
}

// TestBecomeInInventory wants become in the inventory to be looked at, and not
// to stand in the way.
func TestBecomeInInventory(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01"}})
	req := labRequest(f)
	req.Hosts[0].Become, req.Hosts[0].BecomeMethod = true, "doas"
	h := mustRun(t, req)["web01"]
	if !slices.Equal(h.kinds(), []string{"become"}) || h.Problems[0].Detail != "no doas" {
		t.Errorf("problems %+v", h.Problems)
	}
}

// BenchmarkRun examines a thousand hosts.
func BenchmarkRun(b *testing.B) {
	f := sshtest.Lab(b, lab.Config{N: 1000})
	req := labRequest(f)
	b.ResetTimer()
	for b.Loop() {
		report, err := Run(context.Background(), req)
		if err != nil || report.Counts()[Fine] != len(req.Hosts) {
			b.Fatal(err, report.Counts())
		}
	}
	b.ReportMetric(float64(b.N*len(req.Hosts))/b.Elapsed().Seconds(), "hosts/s")
}
