// Package output keeps what hosts wrote within a bounded amount of memory:
// each stream up to its own limit, all streams together up to a budget, the
// rest in an unlinked temporary file.
package output

import "io"

// Store is the budget and the spill file that all captures of a run share.
// Its methods are safe for concurrent use.
type Store struct{}

// Capture keeps the first bytes of one stream of one host. One goroutine
// writes; after that any number may read.
type Capture struct{}

// NewStore returns a store that keeps at most memory bytes in memory and
// spills the rest to an unlinked file in dir (os.TempDir if empty).
func NewStore(memory int64, dir string) *Store { return &Store{} }

// Capture returns an empty capture that keeps at most limit bytes.
func (s *Store) Capture(limit int64) *Capture { return &Capture{} }

// Close frees memory and file. Captures cannot be read afterwards.
func (s *Store) Close() error { return nil }

// Write keeps what fits in the limit and returns how many bytes that was; it
// never blocks on anything but the local disk. After the limit it keeps
// nothing. A full disk counts as the limit.
func (c *Capture) Write(p []byte) (kept int) { return 0 }

// Len is the number of bytes kept.
func (c *Capture) Len() int64 { return 0 }

// Truncated says that more was written than was kept.
func (c *Capture) Truncated() bool { return false }

// Sum is the SHA-256 of the kept bytes.
func (c *Capture) Sum() [32]byte { return [32]byte{} }

// Reader reads the kept bytes from the start.
func (c *Capture) Reader() io.Reader { return nil }

// Discard gives the capture's memory back to the store.
func (c *Capture) Discard() {}
