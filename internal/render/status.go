package render

import "io"

// Status is a status line on standard error, with notes above it, for commands
// that show their data by themselves when all is done. Where standard error is
// no terminal there is no line, and notes are written as they come.
type Status struct {
	err    io.Writer
	screen *screen // nil without a terminal
}

// NewStatus gives a status line that shows what text returns. Text is called
// from a goroutine of its own, and what it returns must be safe to show.
func NewStatus(o Options, text func() string) *Status {
	o = o.withDefaults()
	s := &Status{err: o.Err}
	if o.ErrTerminal {
		s.screen = newScreen(o, text)
		s.err = s.screen.port(o.Err)
	}
	return s
}

// Begin lets the line appear. End takes it away and must be called.
func (s *Status) Begin() {
	if s.screen != nil {
		s.screen.begin()
	}
}

// End takes the line away for good.
func (s *Status) End() {
	if s.screen != nil {
		s.screen.end()
	}
}

// Pause holds the terminal for somebody else until resume is called.
func (s *Status) Pause() (resume func()) {
	if s.screen == nil {
		return func() {}
	}
	return s.screen.pause()
}

// Note writes text, made safe, as lines of its own. What is wrong with standard
// error is nowhere to be told.
func (s *Status) Note(text string) {
	line := append(AppendSafe(nil, []byte(text)), '\n')
	_, _ = s.err.Write(line)
}
