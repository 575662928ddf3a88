package sshpool

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"fleet/internal/remote"
)

// sink is one output stream on its way to the caller's writer.
type sink struct {
	mu     sync.Mutex
	w      io.Writer    // nil drops
	n      atomic.Int64 // all bytes that came
	exited atomic.Int64 // n when the command's end was told
	more   bool         // the last read did not take all there was
	err    error        // of the writer, the first
	closed bool

	writing atomic.Bool  // a write is under way
	wrote   atomic.Int64 // when the last one ended, in ns since 1970; 0 is never

	filter *remote.Stream // of a supervised command, else nil
}

// rest is called at the end of the stream.
func (s *sink) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filter != nil && !s.closed {
		s.pass(s.filter.Rest())
	}
}

// write passes p on; more says that there may be more to read now.
func (s *sink) write(p []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more = more
	if s.closed {
		return
	}
	if s.filter != nil {
		p = s.filter.Pass(p)
	}
	s.pass(p)
}

// pass counts p and hands it to the writer.
func (s *sink) pass(p []byte) {
	if len(p) == 0 {
		return
	}
	s.n.Add(int64(len(p)))
	if s.w == nil || s.err != nil {
		return
	}
	s.writing.Store(true)
	defer func() {
		if v := recover(); v != nil {
			s.err = callerPanic(v)
		}
		s.wrote.Store(time.Now().UnixNano())
		s.writing.Store(false)
	}()
	_, s.err = s.w.Write(p)
}

// close ends writing and gives the count of bytes. A write under way is waited for.
func (s *sink) close() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.n.Load()
}

// window is what a host may send on one stream before it was read (the
// library's choice; RFC 4254 section 5.2).
const window = 2 << 20

// behind tells whether output that had come by the command's end has yet to be
// passed on. After a window's worth more of it that has been.
func (s *sink) behind() bool {
	if s.n.Load()-s.exited.Load() > window {
		return false
	}
	if !s.mu.TryLock() {
		return true // being written
	}
	defer s.mu.Unlock()
	return s.more
}

// quiet is for how long nothing was written; a write under way counts as none.
func (s *sink) quiet() time.Duration {
	if s.writing.Load() {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - s.wrote.Load())
}
