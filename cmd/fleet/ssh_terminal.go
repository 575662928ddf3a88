package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"fleet/sshpool"
)

// notes says things on standard error, also while the terminal is raw, where a
// line feed alone does not go back to the first column.
type notes struct {
	w   io.Writer
	mu  sync.Mutex
	raw bool
}

// Write writes lines of the program's own.
func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := p
	if n.raw {
		out = append([]byte("\r"), bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))...)
	}
	if _, err := n.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Note writes one line, or more.
func (n *notes) Note(text string) { fmt.Fprintln(n, strings.TrimRight(text, "\n")) }

func (n *notes) setRaw(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.raw = on
}

// terminal is the one that the user sits at. Its methods may be called on nil,
// which is none.
type terminal struct {
	fd     int
	mu     sync.Mutex
	before *term.State // nil while it is as it was
}

// localTerminal is the terminal behind stdin, nil if it is none.
func localTerminal(stdin io.Reader) *terminal {
	f, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &terminal{fd: int(f.Fd())}
}

// describe is a terminal like this one, to be asked for on the host.
func (t *terminal) describe(name string) *sshpool.PTY {
	p := &sshpool.PTY{Term: name}
	if t != nil {
		p.Columns, p.Rows, _ = term.GetSize(t.fd) // else the usual size
		p.Modes = terminalModes(t.fd)
	}
	return p
}

// enter makes the terminal pass every key on, until leave.
func (t *terminal) enter(n *notes) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	state, err := term.MakeRaw(t.fd)
	if err != nil {
		return fmt.Errorf("make terminal raw: %w", err)
	}
	if t.before == nil {
		t.before = state
	}
	n.setRaw(true)
	return nil
}

// leave makes the terminal what it was.
func (t *terminal) leave(n *notes) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before != nil {
		term.Restore(t.fd, t.before) //nolint:errcheck // the terminal is gone, then
		t.before = nil
	}
	n.setRaw(false)
}

// follow tells the session each new size of the terminal, and makes it raw again
// when the process goes on after it was stopped: the shell has changed it.
func (t *terminal) follow(s *sshpool.Session) (stop func()) {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, unix.SIGWINCH, unix.SIGCONT)
	done := make(chan struct{})
	resize := func() {
		if columns, rows, err := term.GetSize(t.fd); err == nil {
			s.Resize(columns, rows) //nolint:errcheck // the session is over, then
		}
	}
	var loop sync.WaitGroup
	loop.Go(func() {
		resize() // it may have changed since it was described
		for {
			select {
			case sig := <-changes:
				if sig == unix.SIGCONT {
					t.again()
				}
				resize()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(changes)
		close(done)
		loop.Wait()
	}
}

// again makes a terminal raw that should be.
func (t *terminal) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before != nil {
		term.MakeRaw(t.fd) //nolint:errcheck // the terminal is gone, then
	}
}
