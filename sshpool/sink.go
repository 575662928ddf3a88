package sshpool

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// sink is one output stream on its way to the caller's writer.
type sink struct {
	mu     sync.Mutex
	w      io.Writer // nil drops
	n      int64     // all bytes that came
	err    error     // of the writer, the first
	closed bool

	writing atomic.Bool  // a write is under way
	wrote   atomic.Int64 // when the last one ended, in ns since 1970; 0 is never
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
	s.writing.Store(true)
	defer func() {
		if v := recover(); v != nil {
			s.err = writerPanic(v)
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
	return s.n
}

// quiet is for how long nothing was written; a write under way counts as none.
func (s *sink) quiet() time.Duration {
	if s.writing.Load() {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - s.wrote.Load())
}
