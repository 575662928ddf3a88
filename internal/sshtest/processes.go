package sshtest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a process that a server started.
type Process struct {
	PID     int
	Command string // its argv, joined by spaces
}

// Commands lists the processes that users' commands left on the server: all
// that run in an environment which names the server's port (SSH_CONNECTION),
// wherever they went in the process tree.
func (s *Server) Commands() []Process {
	var found []Process
	for _, p := range pids() {
		if s.owns(p) {
			found = append(found, Process{p, commandOf(p)})
		}
	}
	return found
}

// WaitCommands returns when just n command processes are left, and fails the
// test after limit.
func (s *Server) WaitCommands(n int, limit time.Duration) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		left := s.Commands()
		if len(left) == n {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			s.t.Fatalf("%d command processes on the server after %v, want %d: %v", len(left), limit, n, left)
		}
	}
}

// owns reports whether the process runs in a session of this server.
func (s *Server) owns(pid int) bool {
	env, err := os.ReadFile(procFile(pid, "environ"))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		rest, ok := bytes.CutPrefix(v, []byte("SSH_CONNECTION="))
		if ok && bytes.HasSuffix(rest, []byte(" "+strconv.Itoa(s.Port))) {
			return true
		}
	}
	return false
}

// tree lists the server and its descendants.
func (s *Server) tree() []int {
	if s.cmd == nil {
		return nil
	}
	found := []int{s.cmd.Process.Pid}
	children := make(map[int][]int)
	for _, p := range pids() {
		parent := parentOf(p)
		children[parent] = append(children[parent], p)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// Freeze stops the server and all that it started by SIGSTOP: the sockets stay
// open and nobody answers. It returns once every process has stopped.
func (s *Server) Freeze() {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		s.signalTree(syscall.SIGSTOP)
		// A dead child (Z) that nobody reaps any more is as good as stopped.
		if !slices.ContainsFunc(s.tree(), func(pid int) bool { return !slices.Contains([]string{"T", "Z"}, stateOf(pid)) }) {
			return
		}
	}
	s.t.Fatalf("%s does not stop", s.Name)
}

// Continue undoes Freeze.
func (s *Server) Continue() { s.signalTree(syscall.SIGCONT) }

func (s *Server) signalTree(sig syscall.Signal) {
	s.t.Helper()
	for _, p := range s.tree() {
		if err := syscall.Kill(p, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Errorf("signal %v to process %d: %v", sig, p, err)
		}
	}
}

// Stop ends the server, its connections and every command that it started.
// Later calls do nothing; a test need not call it.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	// The listener is stopped first, so that no process is born meanwhile.
	root := s.cmd.Process.Pid
	syscall.Kill(root, syscall.SIGSTOP)
	for range 3 {
		for _, p := range s.tree() {
			if p != root {
				syscall.Kill(p, syscall.SIGKILL)
			}
		}
		if !s.up { // the port is another server's, and so are its commands
			continue
		}
		for _, p := range s.Commands() {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	syscall.Kill(root, syscall.SIGKILL)
	s.cmd.Wait()
	s.cmd = nil
	s.log.close()
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

func pids() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	found := make([]int, 0, len(dirs))
	for _, d := range dirs {
		if p, err := strconv.Atoi(filepath.Base(d)); err == nil {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return found
}

// statFields are the fields of /proc/PID/stat behind the name in parentheses,
// which may hold anything (proc(5)): state, parent, ...; none for a process
// that is gone.
func statFields(pid int) []string {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// stateOf is R, S, D, T or another letter of proc(5); Z for what is gone.
func stateOf(pid int) string {
	if f := statFields(pid); len(f) > 0 {
		return f[0]
	}
	return "Z"
}

// parentOf is the parent of a process; zombies have none here: they are gone.
func parentOf(pid int) int {
	f := statFields(pid)
	if len(f) < 2 || f[0] == "Z" {
		return 0
	}
	parent, _ := strconv.Atoi(f[1])
	return parent
}

func commandOf(pid int) string {
	argv, _ := os.ReadFile(procFile(pid, "cmdline"))
	return strings.TrimSpace(strings.ReplaceAll(string(argv), "\x00", " "))
}

// Tree lists the server and what descends from it now; what has lost its parent
// is not among them.
func (s *Server) Tree() []Process {
	var found []Process
	for _, p := range s.tree() {
		found = append(found, Process{p, commandOf(p)})
	}
	return found
}
