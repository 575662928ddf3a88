package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// server is a process that others connect to, with the files that clients
// need: hosts.yaml, known_hosts, the client's key and, one a line in
// addresses, the address:port of each host.
type server struct {
	dir   string
	user  string
	hosts []string // address:port
	procs []*exec.Cmd
}

func (s *server) inventory() string  { return filepath.Join(s.dir, "hosts.yaml") }
func (s *server) knownHosts() string { return filepath.Join(s.dir, "known_hosts") }
func (s *server) key() string        { return filepath.Join(s.dir, "id_ed25519") }
func (s *server) addresses() string  { return filepath.Join(s.dir, "addresses") }

// stop ends the server's processes: asked first, by force after a while.
func (s *server) stop() {
	for _, p := range s.procs {
		p.Process.Signal(os.Interrupt)
	}
	for _, p := range s.procs {
		hard := time.AfterFunc(10*time.Second, func() { p.Process.Kill() })
		p.Wait()
		hard.Stop()
	}
}

// cpu is the CPU time that the server has used so far.
func (s *server) cpu() (total time.Duration, err error) {
	for _, p := range s.procs {
		d, err := cpuOf(p.Process.Pid)
		if err != nil {
			return 0, err
		}
		total += d
	}
	return total, nil
}

// lab starts `fleet lab` with n hosts as a process of its own.
func (b *bench) lab(ctx context.Context, n int, flags ...string) (*server, error) {
	dir, err := b.folder("lab")
	if err != nil {
		return nil, err
	}
	argv := append([]string{"lab", "-n", fmt.Sprint(n), "--dir", dir}, flags...)
	cmd := exec.CommandContext(ctx, b.fleet, argv...)
	cmd.Env = cleanEnv()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errlog, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer errlog.Close()
	cmd.Stderr = errlog
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{dir: dir, user: "ops", procs: []*exec.Cmd{cmd}}
	if err := s.ready(stdout); err != nil {
		s.stop()
		return nil, fmt.Errorf("fleet lab: %w: %s", err, lastLine(errlog.Name()))
	}
	if err := s.listHosts(n); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// ready waits until the lab has said where its inventory is, which it does
// when every host listens. Later lines are read and dropped.
func (s *server) ready(stdout io.Reader) error {
	said := make(chan error, 1)
	go func() {
		var once sync.Once
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "inventory: ") {
				once.Do(func() { said <- nil })
			}
		}
		once.Do(func() { said <- errors.New("ended before it was ready") })
	}()
	select {
	case err := <-said:
		return err
	case <-time.After(time.Minute):
		return errors.New("not ready after 1m0s")
	}
}

// listHosts reads the addresses from known_hosts, which has one line a host.
func (s *server) listHosts(n int) error {
	text, err := os.ReadFile(s.knownHosts())
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		addr, _, _ := strings.Cut(line, " ") // [127.90.0.1]:2022
		if !strings.HasPrefix(addr, "[127.") {
			return fmt.Errorf("read %s: %q is no loopback address", s.knownHosts(), addr)
		}
		s.hosts = append(s.hosts, strings.NewReplacer("[", "", "]", "").Replace(addr))
	}
	if len(s.hosts) != n {
		return fmt.Errorf("read %s: %d hosts instead of %d", s.knownHosts(), len(s.hosts), n)
	}
	return os.WriteFile(s.addresses(), []byte(strings.Join(s.hosts, "\n")+"\n"), 0o600)
}
