package sshtest

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Need marks a test as one that needs a program: it fails where such tests must
// run (CI or FLEET_REAL set) and the program is missing, and is skipped elsewhere.
func Need(t testing.TB, program, debianPackage string) {
	t.Helper()
	mustHave(t, program, debianPackage)
}

// TinySSH serves Debian's tinysshd on 127.0.0.1, one process a connection, as
// inetd would. It knows Ed25519 keys only, and logs nothing.
func TinySSH(t testing.TB) *Server {
	t.Helper()
	const program = "/usr/sbin/tinysshd"
	mustHave(t, program, "tinysshd")
	s, _ := newServer(t, "tinysshd", []Option{Listen("127.0.0.1")})
	if err := os.MkdirAll(s.path(".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("authorized_keys"), s.path(".ssh/authorized_keys")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program+"-makekey", s.path("hostkeys")).CombinedOutput(); err != nil {
		t.Fatalf("tinysshd-makekey: %v\n%s", err, out)
	}
	public, err := os.ReadFile(s.path("hostkeys/ed25519.pk"))
	if err != nil {
		t.Fatal(err)
	}
	if s.HostKey, err = ssh.NewPublicKey(ed25519.PublicKey(public)); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr, s.Port = ln.Addr().String(), ln.Addr().(*net.TCPAddr).Port
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, ssh.MarshalAuthorizedKey(s.HostKey)), 0o644)
	if os.Getuid() != 0 || !canMount() {
		missing(t, "%s needs root with mount namespaces", t.Name())
	}
	s.writeAccounts("", "/bin/sh")
	s.rewrite("passwd", "::"+s.Dir+":", "::"+tinyHome+":")
	s.serveEach(ln, program, s.path("hostkeys"))
	return s
}

// tinyHome is where the user's home is mounted: tinysshd wants no folder above it
// to be writable by others, as /tmp is.
const tinyHome = "/mnt"

func (s *Server) rewrite(name, from, to string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, strings.Replace(string(text), from, to, 1), 0o644)
}

// serveEach runs the program for each connection, with that as its stdin and
// stdout, until the test ends.
func (s *Server) serveEach(ln net.Listener, program string, args ...string) {
	const script = `mount --bind "$1" /etc/passwd && mount --bind "$2" ` + tinyHome + ` && shift 2 && exec "$@"`
	var mu sync.Mutex
	var running sync.WaitGroup
	children := make(map[*exec.Cmd]bool)
	ended := false
	s.t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		ended = true
		for c := range children {
			c.Process.Kill()
		}
		mu.Unlock()
		running.Wait()
	})
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f, err := c.(*net.TCPConn).File()
			c.Close()
			if err != nil {
				s.t.Error(err)
				return
			}
			cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", s.path("passwd"), s.Dir, program}, args...)...)
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Unshareflags: syscall.CLONE_NEWNS}
			cmd.Stdin, cmd.Stdout = f, f
			mu.Lock()
			err = cmd.Start()
			f.Close()
			if err == nil {
				children[cmd] = true
			}
			if ended && err == nil {
				cmd.Process.Kill()
			}
			mu.Unlock()
			if err != nil {
				s.t.Error(err)
				return
			}
			running.Go(func() {
				cmd.Wait()
				mu.Lock()
				defer mu.Unlock()
				delete(children, cmd)
			})
		}
	})
}
