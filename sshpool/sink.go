package sshpool

import (
	"io"
	"sync"
)

// sink is one output stream on its way to the caller's writer.
type sink struct {
	mu     sync.Mutex
	w      io.Writer // nil drops
	n      int64     // all bytes that came
	err    error     // of the writer, the first
	closed bool
}

func (s *sink) write(p []byte) {
	if len(p) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.n += int64(len(p))
	if s.w == nil || s.err != nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.err = writerPanic(v)
		}
	}()
	_, s.err = s.w.Write(p)
}

// close ends writing and gives the count of bytes. A write under way is waited for.
func (s *sink) close() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.n
}
