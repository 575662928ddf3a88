package remote

import (
	"bytes"
	"slices"
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

	// Asked gets a value each time that the host asks for a password; nobody need
	// receive more than two.
	Asked chan struct{}

	mark []byte // what our lines begin with

	mu     sync.Mutex
	begun  chan struct{} // closed when the command has begun
	ready  chan struct{} // closed when the payload is waited for
	is     Began
	refuse Refusal
	report *Report
	ending bool
	asked  int
	owns   int // of these, in our words
	// inOthers says that the host puts our question into words of its own (sudo-rs).
	inOthers bool
	open     string // what the host asks beside, and nobody can answer
}

// Began says which processes there are on the host.
type Began struct {
	PID   int // of the command
	Guard int // of what ends it
}

// Refusal is why the script did not begin the command.
type Refusal string

const (
	NoDir    Refusal = "cd"    // Spec.Dir cannot be entered
	NoShell  Refusal = "shell" // Spec.Shell is not there
	NoMethod Refusal = "none"  // the program of Become.Method is not there
)

// Report is what the guard saw when it had ended the command.
type Report struct {
	Forced bool  // by KILL, as TERM was not enough
	Left   []int // processes that are still there
}

// NewFollower follows the command of s that was sent with nonce.
func NewFollower(s *Spec, nonce string) *Follower {
	f := &Follower{mark: []byte("fleet-" + nonce + " "), begun: make(chan struct{}), ready: make(chan struct{}), Asked: make(chan struct{}, 2)}
	f.Stdout.f, f.Stderr.f = f, f
	f.Stderr.reports = true
	if s.Terminal || s.TTY {
		f.Stdout.reports = true
		f.Stderr.marked = true
	}
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
	case len(words) == 1 && (Refusal(words[0]) == NoDir || Refusal(words[0]) == NoShell || Refusal(words[0]) == NoMethod):
		f.refuse = Refusal(words[0])
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

// Became says that the host has begun to become another user.
func (f *Follower) Became() bool {
	return f.Stdout.becoming || f.Stderr.becoming || f.Refused() == NoMethod
}

// Ready is closed when the host waits for the payload.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

func (f *Follower) setReady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
}

// ask says that the host asks for a password; own is 1 where it does in our words.
func (f *Follower) ask(own int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	f.owns += own
	select {
	case f.Asked <- struct{}{}:
	default:
	}
}

// Question is the last line that the program that becomes another user has said,
// where that looks like a question, is none for the password, and has no line break
// yet: an answer may be waited for. It is empty where there is none. More may come a
// moment later, so that what it is can be told only where it stays.
func (f *Follower) Question() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// Said is what the program that becomes another user has said, as far as it is
// kept. It is called when both streams have ended.
func (f *Follower) Said() []byte {
	return bytes.TrimSpace(append(append([]byte(nil), f.Stdout.said...), f.Stderr.said...))
}

// Stream is one output stream of a command.
type Stream struct {
	f        *Follower
	reports  bool
	marked   bool
	held     []byte // the end of what has come, where one of our lines may begin
	noise    int64
	head     []byte
	becoming bool // what comes now is said by the program that becomes another user
	said     []byte
	answered int  // up to where a question in said was noticed
	own      bool // that was our question
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
			if s.marked {
				out = append(out, all[:at]...)
			} else {
				s.drop(all[:at])
			}
			s.ours(string(all[at+len(s.f.mark) : end]))
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

// ours takes a line of ours.
func (s *Stream) ours(text string) {
	switch strings.TrimSpace(text) {
	case "become":
		s.becoming = true
	case "ready":
		s.f.setReady()
	case ownQuestion:
		s.answered, s.own = len(s.said), true
		s.f.ask(1)
	default:
		s.marked = true
		s.f.line(text)
	}
}

// ownQuestion is how sudo asks for a password, in our words. It ends without a line
// break.
const ownQuestion = "ask:"

// findLine finds a line that begins with mark: its bounds, end behind the line
// break. Where there is none end is 0, and from at on one may still come.
func findLine(b, mark []byte) (at, end int) {
	if at = bytes.Index(b, mark); at >= 0 {
		if bytes.HasPrefix(b[at+len(mark):], []byte(ownQuestion)) {
			return at, at + len(mark) + len(ownQuestion)
		}
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

const maxSaid = 1000 // that is kept of what the program says that becomes another user

// drop takes what is not the command's output.
func (s *Stream) drop(p []byte) {
	if s.becoming {
		s.keep(p)
		s.notice()
		return
	}
	s.noise += int64(len(p))
	s.head = append(s.head, p[:min(len(p), maxHead-len(s.head))]...)
}

// keep keeps what was said: the beginning, and the end, where questions are.
func (s *Stream) keep(p []byte) {
	const first = maxSaid / 2
	s.said = append(s.said, p...)
	if over := len(s.said) - maxSaid; over > 0 {
		s.said = slices.Delete(s.said, first, first+over)
		if s.answered > first {
			s.answered = max(s.answered-over, first)
		}
	}
}

// notice sees whether a question has come: for the password, or another.
func (s *Stream) notice() {
	line := s.said[s.answered:]
	others := s.own && bytes.HasPrefix(line, []byte("]")) // the rest of the question that sudo-rs makes of ours
	if others && s.f.count() < 2 {
		_, line, _ = bytes.Cut(line, []byte("\n"))
	}
	if line = line[bytes.LastIndexByte(line, '\n')+1:]; !others && question.Match(line) && !once.Match(line) {
		s.answered, s.own = len(s.said), false
		s.f.ask(0)
		line = nil
	}
	line = bytes.TrimSpace(line)
	asks := bytes.HasSuffix(line, []byte(":")) || bytes.HasSuffix(line, []byte("?"))
	if !asks {
		line = nil
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.open = string(bytes.TrimSpace(bytes.TrimPrefix(line, []byte("]"))))
	s.f.inOthers = s.f.inOthers || others
}

// count is how often the host has asked for a password.
func (f *Follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
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
