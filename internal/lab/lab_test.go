package lab

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a lab that ends with the test.
func start(t testing.TB, cfg Config) *Lab {
	t.Helper()
	l, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial logs in to a host with the bare library.
func dial(t testing.TB, l *Lab, h *Host) *ssh.Client {
	t.Helper()
	c, err := tryDial(l, h, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tryDial(l *Lab, h *Host, limit time.Duration) (*ssh.Client, error) {
	addr := net.JoinHostPort(h.Address, strconv.Itoa(h.Port))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(limit))
	conn, chans, reqs, err := ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User:            l.User(),
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(l.Signer())},
		HostKeyCallback: ssh.FixedHostKey(h.HostKey),
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return ssh.NewClient(conn, chans, reqs), nil
}

// output runs one command.
func output(t testing.TB, c *ssh.Client, command string) (string, error) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.CombinedOutput(command)
	return string(out), err
}

func TestCommandOnEveryHost(t *testing.T) {
	l := start(t, Config{N: 5, Dir: t.TempDir()})
	if err := l.WriteFiles(); err != nil {
		t.Fatal(err)
	}
	for _, h := range l.Hosts() {
		got, err := output(t, dial(t, l, h), "hostname")
		if err != nil || got != h.Name+"\n" {
			t.Errorf("%s: hostname = %q, %v", h.Name, got, err)
		}
	}
}
