package render

import (
	"io"
	"sync"
	"time"
)

const (
	// frame is the least time between two drawings of the status line.
	frame = 100 * time.Millisecond
	// redraw is when an unchanged line is drawn again, over what others may
	// have written, such as the ^C that a terminal echoes.
	redraw = time.Second
)

// screen keeps a status line below everything else that is written to the
// terminal. After drawing it the cursor is put back to the line's first column:
// whatever a terminal does to the line when it is resized, wrap it or cut it,
// clearing from there to the end of the screen removes all of it, and nothing
// above. A screen without a status line only has its writers take turns.
type screen struct {
	err    io.Writer
	width  func() int
	status func() string
	plain  bool // there is no status line

	lock   chan struct{} // holds a value while somebody has the screen
	active bool
	shown  bool
	bol    bool      // the cursor is at the beginning of an empty line
	last   time.Time // of the last drawing, or time to draw
	line   string    // drawn last
	lined  time.Time // when line was drawn
	failed error
	stop   chan struct{}
	done   chan struct{}
}

func newScreen(o Options, status func() string) *screen {
	return &screen{
		err: o.Err, width: o.Width, status: status, plain: o.NoStatus || !o.ErrTerminal,
		lock: make(chan struct{}, 1), bol: true,
	}
}

// port is a way to write to w, which shows on the same screen.
func (s *screen) port(w io.Writer) io.Writer { return screenPort{s, w} }

type screenPort struct {
	s *screen
	w io.Writer
}

func (p screenPort) Write(b []byte) (int, error) { return p.s.write(p.w, b) }

func (s *screen) write(w io.Writer, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.take()
	defer s.give()
	s.erase()
	n, err := w.Write(p)
	s.bol = p[len(p)-1] == '\n'
	if s.active && time.Since(s.last) >= frame {
		s.draw()
	}
	return n, err
}

// begin starts the status line; it is first drawn one frame later, so that a
// quick run does not flicker.
func (s *screen) begin() {
	s.take()
	defer s.give()
	if s.stop != nil || s.plain {
		return
	}
	s.active, s.last = true, time.Now()
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go s.tick(s.stop, s.done)
}

// tick draws while nothing else is written.
func (s *screen) tick(stop, done chan struct{}) {
	defer close(done)
	t := time.NewTicker(frame)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			s.take()
			if s.active && time.Since(s.last) >= frame {
				s.draw()
			}
			s.give()
		}
	}
}

// end takes the status line away for good.
func (s *screen) end() {
	s.take()
	s.active = false
	s.erase()
	stop, done := s.stop, s.done
	s.stop = nil
	s.give()
	if stop != nil {
		close(stop)
		<-done
	}
}

// take waits for the screen; whoever has it may be writing to a slow terminal.
func (s *screen) take() { s.lock <- struct{}{} }

func (s *screen) give() { <-s.lock }

// pause keeps everybody from writing until resume is called.
func (s *screen) pause() (resume func()) {
	s.take()
	s.erase()
	return sync.OnceFunc(s.give)
}

// pace lets output come together for the rest of a frame, so that the status
// line is not drawn more often than that and is seldom missing.
func (s *screen) pace(written int, hurry <-chan struct{}) {
	s.take()
	wait := frame - time.Since(s.last)
	active := s.active
	s.give()
	if !active || wait <= 0 || written >= pieceMax {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-hurry:
	}
}

func (s *screen) draw() {
	if !s.bol || s.failed != nil {
		return
	}
	line := cut(s.status(), max(s.width()-1, 1))
	s.last = time.Now()
	if line == "" {
		s.erase()
		return
	}
	if s.shown && line == s.line && s.last.Sub(s.lined) < redraw {
		return
	}
	_, s.failed = io.WriteString(s.err, "\r"+line+"\x1b[J\r")
	s.shown, s.line, s.lined = true, line, s.last
}

func (s *screen) erase() {
	if !s.shown {
		return
	}
	s.shown = false
	if s.failed == nil {
		_, s.failed = io.WriteString(s.err, "\r\x1b[J")
	}
}
