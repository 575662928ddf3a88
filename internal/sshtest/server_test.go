package sshtest

import (
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// login keeps a connection open until the test ends.
func login(t *testing.T, s *Server) *ssh.Client {
	t.Helper()
	c, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Signer)}, Timeout: 10 * time.Second,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, HostKeyCallback: ssh.FixedHostKey(s.HostKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestStopLeavesNoProcess starts a command with a child that leaves its
// session, the hardest kind to find again.
func TestStopLeavesNoProcess(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			session, err := login(t, s).NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if err := session.Start("setsid sh -c 'trap \"\" HUP TERM; exec sleep 3600' & sleep 3600"); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(10 * time.Second)
			var sleeps []Process
			for len(sleeps) < 2 && time.Now().Before(deadline) {
				sleeps = nil
				for _, p := range s.Commands() {
					if strings.HasPrefix(p.Command, "sleep 3600") {
						sleeps = append(sleeps, p)
					}
				}
			}
			if len(sleeps) != 2 {
				t.Fatalf("command processes = %v, want two sleeps", s.Commands())
			}
			tree := s.tree()
			s.Stop()
			s.WaitCommands(0, 10*time.Second)
			end := time.Now().Add(10 * time.Second) // a killed process takes a moment to be gone
			for _, pid := range tree {
				for stateOf(pid) != "Z" && stateOf(pid) != "X" {
					if time.Now().After(end) {
						t.Fatalf("process %d of the server is still there: %s", pid, commandOf(pid))
					}
					runtime.Gosched()
				}
			}
			if c, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
				c.Close()
				t.Error("something still listens")
			}
		})
	}
}

func TestFreezeAndContinue(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := login(t, s)
			s.Freeze()
			for _, pid := range s.tree() {
				if state := stateOf(pid); state != "T" {
					t.Errorf("process %d is in state %s, want T", pid, state)
				}
			}
			answered := make(chan error, 1)
			go func() {
				_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
				answered <- err
			}()
			select {
			case err := <-answered:
				t.Fatalf("a frozen server answered: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			s.Continue()
			select {
			case err := <-answered:
				if err != nil {
					t.Errorf("after the freeze: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("no answer after the freeze")
			}
		})
	}
}

func TestOpenSSHOptions(t *testing.T) {
	s := OpenSSH(t, MaxSessions(1), MaxStartups("1:100:1"), LoginGraceTime(60*time.Second), Listen("127.0.0.9"))
	if got := s.Addr; got != "127.0.0.9:"+strconv.Itoa(s.Port) {
		t.Errorf("address = %s", got)
	}
	c := login(t, s)
	first, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := c.NewSession(); err == nil {
		t.Error("a second session was opened with MaxSessions 1")
	}
	// One connection that does not log in takes the only place.
	idle, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	idle.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := idle.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 64)
	if n, err := second.Read(buf); err == nil && strings.HasPrefix(string(buf[:n]), "SSH-") {
		t.Errorf("a second connection was greeted with MaxStartups 1: %q", buf[:n])
	}
	s.WaitLog("drop connection", 10*time.Second)
}
