package sshtest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
)

func TestMain(m *testing.M) { Leaks(m) }

// echo logs in and runs a command with the bare library.
func echo(t *testing.T, addr, user string, key ssh.PublicKey, auth ssh.AuthMethod, command string) (string, error) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	conn, chans, reqs, err := ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{auth},
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		return "", err
	}
	client := ssh.NewClient(conn, chans, reqs)
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := s.CombinedOutput(command)
	return string(out), err
}

func servers() map[string]func(testing.TB, ...Option) *Server {
	return map[string]func(testing.TB, ...Option) *Server{"openssh": OpenSSH, "dropbear": Dropbear}
}

func TestRealServersAnswer(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "real")
			t.Setenv("FLEET_REAL_LOG", log)
			s := start(t)
			for _, a := range s.Addresses {
				got, err := echo(t, net.JoinHostPort(a, s.Addr[strings.LastIndexByte(s.Addr, ':')+1:]), s.User, s.HostKey, ssh.PublicKeys(s.Signer), "echo hi")
				if err != nil || got != "hi\n" {
					t.Errorf("%s: echo hi = %q, %v", a, got, err)
				}
			}
			if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), t.Name()+"\n") {
				t.Errorf("log of real-server tests = %q, %v; want this test's name", text, err)
			}
		})
	}
}

func TestRealServersTakeAPassword(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			s := start(t, Password("correct horse"))
			if got, err := echo(t, s.Addr, s.User, s.HostKey, ssh.Password("correct horse"), "echo hi"); err != nil || got != "hi\n" {
				t.Errorf("right password: %q, %v", got, err)
			}
			if _, err := echo(t, s.Addr, s.User, s.HostKey, ssh.Password("wrong horse"), "echo hi"); err == nil {
				t.Error("a wrong password logged in")
			}
		})
	}
}

func TestLabWritesItsFiles(t *testing.T) {
	f := Lab(t, lab.Config{N: 2})
	for _, p := range []string{f.Inventory, f.KeyFile, f.KnownHosts} {
		if info, err := os.Stat(p); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", p, err)
		}
	}
	h := f.Must(t, "web01")
	if h.Name != "web01" {
		t.Errorf("host = %q, want web01", h.Name)
	}
}

func TestBlackHoleNeverAnswers(t *testing.T) {
	addr := BlackHole(t)
	for range 3 {
		_, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
			t.Fatalf("connect to a black hole: %v, want a timeout", err)
		}
	}
}

func TestResolver(t *testing.T) {
	want := netip.MustParseAddr("127.1.2.3")
	r := &Resolver{Addrs: map[string][]netip.Addr{"web01": {want}}}
	got, err := r.LookupNetIP(t.Context(), "ip", "web01")
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("web01 = %v, %v", got, err)
	}
	var dns *net.DNSError
	if _, err := r.LookupNetIP(t.Context(), "ip", "web02"); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("an unknown name: %v, want not found", err)
	}
	never := &Resolver{Never: true}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := never.LookupNetIP(ctx, "ip", "web01"); !errors.As(err, &dns) || !dns.IsTimeout {
		t.Errorf("a silent name service: %v, want a timeout", err)
	}
	if all, now, most := never.Lookups(); all != 1 || now != 0 || most != 1 {
		t.Errorf("lookups = %d, %d now, %d most; want 1, 0, 1", all, now, most)
	}
}
