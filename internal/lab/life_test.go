package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestThousandsStart starts 2,000 hosts and talks to some.
func TestThousandsStart(t *testing.T) {
	begin := time.Now()
	l := start(t, Config{N: 2000, Dir: t.TempDir()})
	if err := l.WriteFiles(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("2,000 hosts took %v to start", took)
	} else {
		t.Logf("2,000 hosts started in %v", took)
	}
	for _, i := range []int{0, 253, 254, 1000, 1999} {
		h := l.Hosts()[i]
		if got, err := output(t, dial(t, l, h), "hostname"); got != h.Name+"\n" || err != nil {
			t.Errorf("%s at %s: %q, %v", h.Name, h.Address, got, err)
		}
	}
}

func TestStats(t *testing.T) {
	l := start(t, Config{N: 2})
	h := l.Hosts()[0]
	idle, err := net.Dial("tcp", net.JoinHostPort(h.Address, strconv.Itoa(h.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	idle.SetDeadline(time.Now().Add(far))
	if _, err := idle.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c := dial(t, l, h)
	output(t, c, "echo 'a  b'")
	output(t, c, "false")
	s := h.Stats()
	if s.Accepted != 2 || s.HalfOpen != 1 || s.HalfOpenMax != 2 || s.Open != 2 || s.Attempts != 1 || s.Logins != 1 || s.Sessions != 2 || s.CommandsRun != 2 {
		t.Errorf("stats = %+v", s)
	}
	if len(s.Commands) != 2 || s.Commands[0] != "echo 'a  b'" || s.Commands[1] != "false" {
		t.Errorf("commands = %q", s.Commands)
	}
	if s.Sent < 1000 || s.Received < 1000 {
		t.Errorf("bytes sent %d, received %d", s.Sent, s.Received)
	}
	if all := l.Stats(); all.Accepted != 2 || all.HalfOpenMax != 2 || all.CommandsRun != 2 {
		t.Errorf("stats of the lab = %+v", all)
	}
	if other := l.Hosts()[1].Stats(); other.Accepted != 0 || other.Sent != 0 {
		t.Errorf("stats of the other host = %+v", other)
	}
}

func TestOnlyTheKeyLogsIn(t *testing.T) {
	l, other := start(t, Config{N: 1, Password: "open sesame"}), start(t, Config{N: 1})
	h := l.Hosts()[0]
	addr := net.JoinHostPort(h.Address, strconv.Itoa(h.Port))
	for _, c := range []struct {
		name string
		auth []ssh.AuthMethod
		ok   bool
	}{
		{"key", []ssh.AuthMethod{ssh.PublicKeys(l.Signer())}, true},
		{"another lab's key", []ssh.AuthMethod{ssh.PublicKeys(other.Signer())}, false},
		{"password", []ssh.AuthMethod{ssh.Password("open sesame")}, true},
		{"wrong password", []ssh.AuthMethod{ssh.Password("sesame")}, false},
		{"nothing", nil, false},
	} {
		client, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{User: "me", Auth: c.auth, HostKeyCallback: ssh.FixedHostKey(h.HostKey)})
		if err == nil {
			client.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	strict := start(t, Config{N: 1, User: "deploy"})
	if strict.User() != "deploy" {
		t.Errorf("user = %s", strict.User())
	}
	h = strict.Hosts()[0]
	if c, err := ssh.Dial("tcp", net.JoinHostPort(h.Address, strconv.Itoa(h.Port)), &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(strict.Signer())}, HostKeyCallback: ssh.FixedHostKey(h.HostKey)}); err == nil {
		c.Close()
		t.Error("root logged in where only deploy may")
	}
}

// TestCloseEndsEverything closes a lab in the middle of what could keep it: a
// frozen connection, a flood, a client that does not read, a silent one, a
// long command, with and without a delay.
func TestCloseEndsEverything(t *testing.T) {
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
		t.Run(fmt.Sprint(rtt), func(t *testing.T) {
			l := start(t, Config{RTT: rtt, Names: []string{"frozen", "flood", "mute", "hang", "fine", "pester"},
				Faults: map[string]Fault{"frozen": "freeze", "flood": "flood", "mute": "hang-auth", "hang": "hang", "pester": "requests"}})
			for _, name := range []string{"frozen", "flood", "fine", "pester"} {
				c := dial(t, l, l.Host(name))
				if name == "frozen" {
					continue
				}
				s, err := c.NewSession()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.StdoutPipe(); err != nil { // never read
					t.Fatal(err)
				}
				if err := s.Start("sleep infinity"); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"mute", "hang"} {
				h := l.Host(name)
				c, err := net.Dial("tcp", net.JoinHostPort(h.Address, strconv.Itoa(h.Port)))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			done := make(chan struct{})
			go func() { defer close(done); l.Close() }()
			select {
			case <-done:
			case <-time.After(far):
				t.Fatal("Close does not return")
			}
			l.Close() // allowed
		})
	}
}

func TestContextEndsTheLab(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Start(ctx, Config{N: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, l, l.Hosts()[0])
	cancel()
	c.Wait() // the host's end ends it
	l.running.Wait()
	h := l.Hosts()[0]
	if c, err := net.Dial("tcp", net.JoinHostPort(h.Address, strconv.Itoa(h.Port))); err == nil {
		c.Close()
		t.Error("the host still listens")
	}
}

func TestSignalRequest(t *testing.T) {
	for _, real := range []bool{false, true} {
		l := start(t, Config{N: 1, RealShell: real})
		s, err := dial(t, l, l.Hosts()[0]).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start("echo up; sleep 1000"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if err := s.Signal(ssh.SIGTERM); err != nil {
			t.Fatal(err)
		}
		var exit *ssh.ExitError
		if err := s.Wait(); !errors.As(err, &exit) || exit.Signal() != "TERM" {
			t.Errorf("real %v: after SIGTERM: %v", real, err)
		}
	}
}

func TestInteractiveShell(t *testing.T) {
	l := start(t, Config{N: 1})
	s, err := dial(t, l, l.Hosts()[0]).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	s.Stdin = strings.NewReader("hostname\nexit 5\nhostname\n")
	var out strings.Builder
	s.Stdout = &out
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	var exit *ssh.ExitError
	if err := s.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 5 || out.String() != "web01\n" {
		t.Errorf("shell: %q, %v", out.String(), err)
	}
}
