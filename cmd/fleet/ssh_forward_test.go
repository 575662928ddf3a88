package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// echoServer gives back what it gets once all has come.
func echoServer(t *testing.T, network, addr string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c)
				c.Write(all) //nolint:errcheck // the client tells
			}()
		}
	}()
	return l.Addr()
}

// forwarding starts `fleet ssh -N ARG...` and gives the ports that it says it
// listens on, n of them.
func forwarding(t *testing.T, s *sshtest.Server, n int, args ...string) (ports []int, cmd *exec.Cmd, lines *bufio.Reader) {
	t.Helper()
	cmd = sshCommand(t, s, append(append([]string{"-N"}, args...), "web01")...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop() })
	lines = bufio.NewReader(errs)
	said := regexp.MustCompile(`^fleet: -[LRD] .*: listens on .*:(\d+) (?:here|on the host)\n$`)
	for range n {
		line, err := lines.ReadString('\n')
		m := said.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("fleet says %q, %v", line, err)
		}
		port, _ := strconv.Atoi(m[1])
		ports = append(ports, port)
	}
	return ports, cmd, lines
}

// through sends text to a port here, behind what comes before, and wants it back
// behind an answer of skip bytes.
func through(t *testing.T, network, addr, before, text string, skip int) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		io.WriteString(c, before+text) //nolint:errcheck // seen below
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || len(got) < skip || string(got[skip:]) != text {
		t.Errorf("%s: %d bytes came back, %v", addr, len(got), err)
	}
}

// TestSSHForwards carries connections through real servers, in all directions.
func TestSSHForwards(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 100_000)
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			dir := t.TempDir()
			to := echoServer(t, "tcp", "127.0.0.1:0").String()
			_, port, _ := net.SplitHostPort(to)
			n, _ := strconv.Atoi(port)
			in := filepath.Join(dir, "in")
			ports, cmd, _ := forwarding(t, s, 3, "-L", "0:"+to, "-L", in+":"+to, "-D", "0", "-R", "0:"+to)
			through(t, "tcp", fmt.Sprint("127.0.0.1:", ports[0]), "", text, 0)
			through(t, "unix", in, "", text, 0)
			greeting := "\x05\x01\x00\x05\x01\x00\x03\x09127.0.0.1" + string([]byte{byte(n >> 8), byte(n)})
			through(t, "tcp", fmt.Sprint("[::1]:", ports[1]), greeting, text, 12)
			through(t, "tcp", fmt.Sprint("127.0.0.1:", ports[2]), "", text, 0)
			interrupt(t, cmd)
			if state, err := cmd.Process.Wait(); err != nil || state.ExitCode() != exitInterrupted {
				t.Errorf("%v, %v", state, err)
			}
			if _, err := os.Stat(in); err == nil {
				t.Errorf("%s is left", in)
			}
		})
	}
}

// TestSSHForwardSockets reaches sockets on the host, and makes one there.
func TestSSHForwardSockets(t *testing.T) {
	s := openSSH(t)
	dir := t.TempDir()
	echo := echoServer(t, "unix", filepath.Join(dir, "echo")).String()
	there := filepath.Join(dir, "there")
	ports, cmd, _ := forwarding(t, s, 1, "-R", there+":"+echo, "-L", "0:"+there)
	through(t, "tcp", fmt.Sprint("127.0.0.1:", ports[0]), "", "through two sockets", 0)
	interrupt(t, cmd)
	cmd.Wait() //nolint:errcheck // interrupted
}

// TestSSHForwardTrouble has each trouble name its forward, and goes on.
func TestSSHForwardTrouble(t *testing.T) {
	s := openSSH(t)
	closed := echoServer(t, "unix", filepath.Join(t.TempDir(), "s")).String() + ".not"
	ports, cmd, lines := forwarding(t, s, 1, "-L", "0:"+closed)
	through(t, "tcp", fmt.Sprint("127.0.0.1:", ports[0]), "", "", 0)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "fleet: -L 0:"+closed+": connect to "+closed+": ") {
		t.Errorf("%q, %v", line, err)
	}
	s.Stop()
	rest, err := io.ReadAll(lines)
	if err != nil || !bytes.HasPrefix(rest, []byte("fleet: web01: connection lost: ")) {
		t.Errorf("%q, %v", rest, err)
	}
	cmd.Wait() //nolint:errcheck // the status is looked at
	if status := cmd.ProcessState.ExitCode(); status != exitUnreachable {
		t.Errorf("status %d, want %d", status, exitUnreachable)
	}
}

// TestSSHForwardRefused ends where a forward cannot be set up, naming it.
func TestSSHForwardRefused(t *testing.T) {
	s := openSSH(t, sshtest.Config("AllowTcpForwarding local"))
	cmd := sshCommand(t, s, "-R", "0:localhost:1", "web01", "--", "echo ran")
	out, err := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != exitInternal || !bytes.HasPrefix(out, []byte("fleet: web01: -R 0:localhost:1: listen on localhost:0 of the host: ")) || bytes.Contains(out, []byte("ran")) {
		t.Errorf("status %d, %v, %s", status, err, out)
	}
}
