package remote

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// Follower reads what comes back for a command that was sent as a Line: it cuts
// off what the host's login shell said before, keeps our own lines out of the
// output, and tells what they say. Each stream is passed through it by one
// goroutine; all else may be called at any time.
type Follower struct {
	Stdout, Stderr Stream

	mark []byte // what our lines begin with

	mu     sync.Mutex
	begun  chan struct{} // closed when the command has begun
	is     Began
	refuse Refusal
	report *Report
	ending bool
}

// Began says which processes there are on the host.
type Began struct {
	PID   int // of the command
	Guard int // of what ends it
}

// Refusal is why the script did not begin the command.
type Refusal string

// NoDir is the refusal where Spec.Dir cannot be entered.
const NoDir Refusal = "cd"

// Report is what the guard saw when it had ended the command.
type Report struct {
	Forced bool  // by KILL, as TERM was not enough
	Left   []int // processes that are still there
}

// NewFollower follows the command that was sent with nonce.
func NewFollower(nonce string) *Follower {
	f := &Follower{mark: []byte("fleet-" + nonce + " "), begun: make(chan struct{})}
	f.Stdout.f, f.Stderr.f = f, f
	f.Stderr.reports = true
	return f
}

// Begun is closed when the command has begun, on both streams' word or one's.
func (f *Follower) Begun() <-chan struct{} { return f.begun }

// Began tells of the command's processes; ok says that it has begun.
func (f *Follower) Began() (is Began, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.is, f.is.PID != 0
}

// Refused is why the command was not begun, empty if nothing was said.
func (f *Follower) Refused() Refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refuse
}

// End says that the guard was asked to end the command: from now on its report
// is looked for.
func (f *Follower) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ending = true
}

// Report is what the guard said; nil if nothing.
func (f *Follower) Report() *Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.report
}

// line takes a line of ours, without its mark.
func (f *Follower) line(text string) {
	words := strings.Fields(text)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(words) == 1 && Refusal(words[0]) == NoDir:
		f.refuse = NoDir
	case len(words) > 0 && words[0] == "end":
		f.report = parseReport(words[1:])
	case len(words) == 2 && f.is.PID == 0:
		pid, err := strconv.Atoi(words[0])
		guard, err2 := strconv.Atoi(words[1])
		if err == nil && err2 == nil && pid > 1 {
			f.is = Began{pid, guard}
			close(f.begun)
		}
	}
}

func parseReport(words []string) *Report {
	r := &Report{}
	for _, w := range words {
		if w == "KILL" {
			r.Forced = true
		}
		if pid, err := strconv.Atoi(w); err == nil {
			r.Left = append(r.Left, pid)
		}
	}
	return r
}

func (f *Follower) isEnding() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ending
}

// Stream is one output stream of a command.
type Stream struct {
	f       *Follower
	reports bool
	marked  bool
	held    []byte // the end of what has come, where one of our lines may begin
	noise   int64
	head    []byte
}

const (
	maxLine = 4 << 10 // of one of our lines; a report names the processes left
	maxHead = 200     // of noise that is kept
)

// Pass gives what of p, and of what was held back before, is the command's
// output. It is valid until the next call.
func (s *Stream) Pass(p []byte) []byte {
	if s.marked && len(s.held) == 0 && !(s.reports && s.f.isEnding()) {
		return p
	}
	all := p
	if len(s.held) > 0 {
		all = append(s.held, p...)
		s.held = nil
	}
	var out []byte
	for !s.marked || s.reports && s.f.isEnding() {
		at, end := findLine(all, s.f.mark)
		if end > 0 {
			s.f.line(string(all[at+len(s.f.mark) : end]))
			if s.marked {
				out = append(out, all[:at]...)
			} else {
				s.drop(all[:at])
				s.marked = true
			}
			all = all[end:]
			continue
		}
		s.held = append([]byte(nil), all[at:]...)
		all = all[:at]
		break
	}
	switch {
	case !s.marked:
		s.drop(all)
		return nil
	case out == nil:
		return all
	}
	return append(out, all...)
}

// findLine finds a line that begins with mark: its bounds, end behind the line
// break. Where there is none end is 0, and from at on one may still come.
func findLine(b, mark []byte) (at, end int) {
	if at = bytes.Index(b, mark); at >= 0 {
		if n := bytes.IndexByte(b[at:], '\n'); n >= 0 {
			return at, at + n + 1
		}
		if len(b)-at <= maxLine {
			return at, 0
		}
		return len(b), 0
	}
	for n := min(len(mark)-1, len(b)); n > 0; n-- {
		if bytes.HasSuffix(b, mark[:n]) {
			return len(b) - n, 0
		}
	}
	return len(b), 0
}

func (s *Stream) drop(p []byte) {
	s.noise += int64(len(p))
	s.head = append(s.head, p[:min(len(p), maxHead-len(s.head))]...)
}

// Rest is what was held back, at the end of the stream.
func (s *Stream) Rest() []byte {
	rest := s.held
	s.held = nil
	if !s.marked {
		s.drop(rest)
		return nil
	}
	return rest
}

// Noise is how much came before the command's own output, and the beginning of
// that; all of it, where the command never began. It is called after Rest.
func (s *Stream) Noise() (n int64, head []byte) { return s.noise, s.head }
