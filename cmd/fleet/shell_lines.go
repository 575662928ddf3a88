package main

import (
	"io"

	"golang.org/x/term"

	"fleet/internal/render"
	"fleet/internal/shell"
)

// typedLine is one line, with its number, or why there is none.
type typedLine struct {
	text   string
	number int
	err    error
}

// lineReader is where lines come from.
type lineReader interface {
	// next reads a line; an error that is a *shell.Error is about that line only.
	next(prompt string) typedLine
	// interrupt clears the line that is being typed, where Ctrl-C comes as a signal.
	interrupt(prompt string)
	// restore makes the terminal what it was while next may be under way.
	restore()
	close()
}

// open chooses how lines are read.
func (b *broadcast) open() lineReader {
	if b.person && b.e.getenv("TERM") != "dumb" {
		return newEditor(b)
	}
	l := &plainLines{source: shell.NewSource(b.e.stdin)}
	if b.person {
		l.prompts = b.e.stderr
		l.source.More = func() { io.WriteString(l.prompts, morePrompt) }
	}
	return l
}

// morePrompt is shown where a line goes on.
const morePrompt = "> "

// feed reads lines on a goroutine of its own, one each time that it is asked
// to, so that signals are heard meanwhile. The goroutine is left behind, until
// the process ends, in a read that never returns.
type feed struct {
	lines lineReader
	ask   chan string
	got   chan typedLine
}

func newFeed(lines lineReader) *feed {
	f := &feed{lines: lines, ask: make(chan string), got: make(chan typedLine, 1)}
	go func() {
		for prompt := range f.ask {
			f.got <- lines.next(prompt)
		}
	}()
	return f
}

// plainLines reads a pipe, a file, or a terminal that can do nothing.
type plainLines struct {
	source  *shell.Source
	prompts io.Writer // nil: nobody to prompt
}

func (l *plainLines) next(prompt string) typedLine {
	if l.prompts != nil {
		io.WriteString(l.prompts, prompt)
	}
	text, number, err := l.source.Next()
	if err == io.EOF && l.prompts != nil {
		io.WriteString(l.prompts, "\n")
	}
	return typedLine{text, number, err}
}

func (l *plainLines) interrupt(prompt string) {
	if l.prompts != nil {
		io.WriteString(l.prompts, "\n"+prompt)
	}
}

func (l *plainLines) restore() {}
func (l *plainLines) close()   {}

// completions gives the hosts and groups whose names begin with prefix.
func (b *broadcast) named(prefix string) []string {
	var names []string
	for _, g := range b.inv.Groups() {
		if len(g.Name) >= len(prefix) && g.Name[:len(prefix)] == prefix {
			names = append(names, g.Name)
		}
	}
	for _, h := range b.inv.Hosts() {
		if len(h.Name) >= len(prefix) && h.Name[:len(prefix)] == prefix {
			names = append(names, h.Name)
		}
	}
	return names
}

// complete is what the Tab key does; see term.Terminal.
func (b *broadcast) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	return shell.Complete(line, pos, b.named, render.Modes)
}

var _ term.History = (*shell.History)(nil)
