package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"fleet/internal/shell"
)

// editor reads lines from the terminal that a person sits at. The terminal is
// raw only while a line is being typed: while a command runs, Ctrl-C is a signal
// and what is typed ahead is shown by the terminal itself.
type editor struct {
	b       *broadcast
	file    *os.File
	out     io.Writer
	keys    *shell.Keys
	history *shell.History
	stop    func() // following the terminal's size

	mu     sync.Mutex
	term   *term.Terminal
	before *term.State // nil while the terminal is not raw
}

func newEditor(b *broadcast) *editor {
	file := b.e.stdin.(*os.File) // a terminal is always one
	ed := &editor{b: b, file: file, out: b.e.stderr, keys: shell.NewKeys(file)}
	var err error
	if path := historyFile(b.e); path == "" {
		ed.history = &shell.History{}
	} else if ed.history, err = shell.OpenHistory(path); err != nil {
		b.say("fleet: warning: " + err.Error())
	}
	ed.fresh()
	ed.stop = onResize(ed.resize)
	return ed
}

// historyFile is where lines are kept (XDG Base Directory Specification), empty
// where there is no place.
func historyFile(e *env) string {
	state := e.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the specification asks for
		if e.getenv("HOME") == "" {
			return ""
		}
		state = filepath.Join(e.getenv("HOME"), ".local", "state")
	}
	return filepath.Join(state, "fleet", "shell_history")
}

// fresh begins with an empty line.
func (ed *editor) fresh() {
	ed.mu.Lock()
	ed.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{ed.keys, ed.out}, "")
	ed.term.History = ed.history
	ed.term.AutoCompleteCallback = ed.b.complete
	ed.mu.Unlock()
	ed.resize()
}

// resize tells the editor the size of the terminal.
func (ed *editor) resize() {
	ed.mu.Lock()
	t := ed.term
	ed.mu.Unlock()
	if width, height, err := term.GetSize(int(ed.file.Fd())); err == nil && width > 0 {
		t.SetSize(width, height) //nolint:errcheck // writing fails again soon
	}
}

// Bracketed paste mode (XTerm Control Sequences) tells pasted keys from typed ones.
const (
	pasteModeOn  = "\x1b[?2004h"
	pasteModeOff = "\x1b[?2004l"
)

func (ed *editor) raw() error {
	ed.mu.Lock()
	defer ed.mu.Unlock()
	before, err := term.MakeRaw(int(ed.file.Fd()))
	if err != nil {
		return fmt.Errorf("make terminal raw: %w", err)
	}
	ed.before = before
	io.WriteString(ed.out, pasteModeOn)
	return nil
}

func (ed *editor) restore() {
	ed.mu.Lock()
	defer ed.mu.Unlock()
	if ed.before == nil {
		return
	}
	io.WriteString(ed.out, pasteModeOff)
	term.Restore(int(ed.file.Fd()), ed.before) //nolint:errcheck // the terminal is gone, then
	ed.before = nil
}

// interrupt does nothing: the key comes as a key.
func (ed *editor) interrupt(string) {}

func (ed *editor) close() {
	ed.stop()
	ed.restore()
	ed.history.Close()
}

// longestLine is what the line editor holds; it drops what is typed beyond.
const longestLine = 4096

func (ed *editor) next(prompt string) typedLine {
	if err := ed.raw(); err != nil {
		return typedLine{err: err}
	}
	defer ed.restore()
	ed.resize()
	text, now := "", prompt
	for {
		ed.term.SetPrompt(now)
		line, err := ed.term.ReadLine()
		switch {
		case errors.Is(err, shell.ErrInterrupt):
			io.WriteString(ed.out, "^C\r\n")
			ed.fresh()
			text, now = "", prompt
			continue
		case err != nil:
			io.WriteString(ed.out, "\r\n")
			return typedLine{err: err}
		case utf8.RuneCountInString(line) >= longestLine:
			return typedLine{err: shell.TooLong(longestLine)}
		}
		text += shell.Typed(line)
		if !shell.Continues(text) {
			return typedLine{text: text}
		}
		text, now = text+"\n", morePrompt
	}
}
