// Package output keeps what hosts wrote within a bounded amount of memory.
//
// A [Store] is the budget of one run. Each stream of each host is a [Capture],
// cut at its own limit; all captures together hold at most the store's memory,
// and what is beyond goes to one temporary file without a name, enciphered
// (store.go, capture.go, spill.go, sealed.go). A [Queue] stands before a slow reader, such as a pipe
// into a pager: writing to it does not wait, what is not yet read lies in
// memory up to a limit and then in a file of its own (queue.go).
package output

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

// Store is the budget and the spill file that all captures of a run share.
// Its methods are safe for concurrent use.
type Store struct {
	budget int64
	used   atomic.Int64 // bytes of memory that captures hold
	open   func() (file, error)

	mu     sync.Mutex
	file   file // nil until the first spill
	end    int64
	free   map[int64][]int64 // extents given back: size to offsets
	err    error
	closed bool
}

// NewStore returns a store that keeps at most memory bytes in memory and
// spills the rest to an unlinked file in dir (os.TempDir if empty). The file
// is made with mode 0600 when it is first needed.
func NewStore(memory int64, dir string) *Store {
	return &Store{
		budget: memory,
		open:   func() (file, error) { return openSpill(dir) },
	}
}

// Capture returns an empty capture that keeps at most limit bytes. A negative
// limit is no limit.
func (s *Store) Capture(limit int64) *Capture {
	if limit < 0 {
		limit = math.MaxInt64
	}
	return &Capture{store: s, limit: limit}
}

// Memory is the number of bytes that captures hold in memory now. It never
// exceeds the budget for longer than a failing reservation takes.
func (s *Store) Memory() int64 { return s.used.Load() }

// Spilled is the size in bytes of the part of the spill file that is in use or
// was; holes are counted.
func (s *Store) Spilled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Err is the first error met in spilling, such as a full disk, or nil. Captures
// that met it are truncated.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close frees the file. Captures cannot be read afterwards and keep nothing
// more. A second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	f := s.file
	s.file, s.free = nil, nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// reserve takes n bytes from the budget if they are left.
func (s *Store) reserve(n int64) bool {
	if s.used.Add(n) <= s.budget {
		return true
	}
	s.used.Add(-n)
	return false
}

func (s *Store) release(n int64) { s.used.Add(-n) }

// extent takes size bytes of the spill file and returns where they begin.
func (s *Store) extent(size int64) (file, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, os.ErrClosed
	}
	if s.file == nil {
		f, err := s.open()
		if err != nil {
			return nil, 0, err
		}
		s.file = f
	}
	if offs := s.free[size]; len(offs) > 0 {
		off := offs[len(offs)-1]
		s.free[size] = offs[:len(offs)-1]
		return s.file, off, nil
	}
	off := s.end
	s.end += size
	return s.file, off, nil
}

// giveBack makes an extent free for other captures.
func (s *Store) giveBack(off, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.free == nil {
		s.free = make(map[int64][]int64)
	}
	s.free[size] = append(s.free[size], off)
}

// fail remembers the first error met in spilling.
func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("spill output: %w", err)
	}
}

// spill returns the open spill file, or os.ErrClosed.
func (s *Store) spill() (file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil, os.ErrClosed
	}
	return s.file, nil
}
