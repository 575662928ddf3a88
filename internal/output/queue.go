package output

import (
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	queueMemory = 1 << 20   // default for QueueOptions.Memory
	queueRead   = 256 << 10 // bytes read back from the file at a time
	queueKeep   = 2 << 20   // buffers above this size are not kept when empty
)

// QueueOptions say how a Queue behaves. The zero value is usable.
type QueueOptions struct {
	Memory int64  // bytes held in memory before the file is used; 1 MiB if 0
	Dir    string // of the file; os.TempDir if empty
	// Pace, where not nil, is called by the draining goroutine after each
	// write to the destination, with the number of bytes written. It may block
	// to let more come together, but must return soon after hurry is closed.
	Pace func(written int, hurry <-chan struct{})
}

// Queue is a first-in, first-out buffer before a slow writer. One goroutine of
// its own drains it, so that Write does not wait for the destination: what is
// waiting lies in memory and, beyond QueueOptions.Memory, in an unlinked
// temporary file. Only if that file cannot be written (a full disk) does Write
// wait for the destination instead, as nothing is dropped.
//
// After the first error of the destination everything is dropped and Write
// returns that error. All methods are safe for concurrent use; what one Write
// call brings stays together.
type Queue struct {
	w    io.Writer
	o    QueueOptions
	open func() (file, error)
	done chan struct{} // closed when the drain has ended
	rush chan struct{} // closed by Close

	mu      sync.Mutex
	work    sync.Cond // something to drain, or closing
	room    sync.Cond // something was drained
	pending []byte    // newer than what is being written, older than the file
	taken   int       // bytes being written, taken from pending
	file    file
	rd, wr  int64 // the part of the file that is not yet read
	noFile  error // why the file cannot be used
	err     error // the destination's first
	closed  bool
}

// NewQueue returns a queue that writes to w until Close.
func NewQueue(w io.Writer, o QueueOptions) *Queue {
	if o.Memory <= 0 {
		o.Memory = queueMemory
	}
	q := &Queue{
		w: w, o: o,
		open: func() (file, error) { return openSpill(o.Dir) },
		done: make(chan struct{}),
		rush: make(chan struct{}),
	}
	q.work.L, q.room.L = &q.mu, &q.mu
	go q.drain()
	return q
}

// Write adds p, which is copied, and returns the destination's first error so
// far. After Close it returns os.ErrClosed.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.err != nil:
			return 0, q.err
		case q.closed:
			return 0, os.ErrClosed
		case q.fits(len(p)):
			q.pending = append(q.pending, p...)
			q.work.Signal()
			return len(p), nil
		case q.spill(p):
			q.work.Signal()
			return len(p), nil
		}
		q.room.Wait()
	}
}

// fits says that n bytes may go to memory: nothing newer than them lies in the
// file, and they are within the limit or alone.
func (q *Queue) fits(n int) bool {
	if q.rd < q.wr {
		return false
	}
	held := len(q.pending) + q.taken
	return held == 0 || int64(held+n) <= q.o.Memory
}

// spill puts p at the end of the file.
func (q *Queue) spill(p []byte) bool {
	if q.file == nil && q.noFile == nil {
		q.file, q.noFile = q.open()
	}
	if q.noFile != nil {
		return false
	}
	if _, err := q.file.WriteAt(p, q.wr); err != nil {
		// What was written of p lies beyond wr and is not read. The file is
		// tried again once it has been drained and cut.
		q.noFile = err
		return false
	}
	q.wr += int64(len(p))
	return true
}

// drain writes what comes until the queue is closed and empty.
func (q *Queue) drain() {
	defer close(q.done)
	var spare, block []byte // for pending, and for what the file gives
	for {
		p, memory := q.next(spare, &block)
		if p == nil {
			return
		}
		_, err := q.w.Write(p)
		q.wrote(err)
		if memory {
			spare = nil
			if cap(p) <= queueKeep {
				spare = p[:0]
			}
		}
		if q.o.Pace != nil && err == nil {
			q.o.Pace(len(p), q.rush)
		}
	}
}

// next waits for bytes to write: those in memory first, whose place spare then
// takes, then the file's, read into block. At the end it returns nil.
func (q *Queue) next(spare []byte, block *[]byte) (p []byte, memory bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.err != nil {
			q.pending, q.rd, q.wr = nil, 0, 0
		}
		if len(q.pending) > 0 {
			p := q.pending
			q.pending, q.taken = spare, len(p)
			return p, true
		}
		if q.rd < q.wr {
			p, err := q.readBack(block)
			if err != nil {
				q.err = err
				q.room.Broadcast()
				continue
			}
			return p, false
		}
		if q.closed {
			return nil, false
		}
		q.work.Wait()
	}
}

// readBack takes the next piece of the file. An emptied file is cut to nothing
// and used again, also after an error of the disk.
func (q *Queue) readBack(buf *[]byte) ([]byte, error) {
	if *buf == nil {
		*buf = make([]byte, queueRead)
	}
	p := (*buf)[:min(queueRead, q.wr-q.rd)]
	if _, err := q.file.ReadAt(p, q.rd); err != nil {
		return nil, fmt.Errorf("read back spilled output: %w", err)
	}
	q.rd += int64(len(p))
	if q.rd == q.wr {
		q.rd, q.wr = 0, 0
		q.noFile = q.file.Truncate(0)
	}
	q.taken = len(p)
	return p, nil
}

func (q *Queue) wrote(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken = 0
	if err != nil && q.err == nil {
		q.err = err
	}
	q.room.Broadcast()
}

// Err is the first error of the destination, or nil.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// Spilled is the number of bytes that wait in the file now.
func (q *Queue) Spilled() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wr - q.rd
}

// Close waits until all is written, frees the file and returns the
// destination's first error.
func (q *Queue) Close() error {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	q.work.Signal()
	q.room.Broadcast()
	q.mu.Unlock()
	if first {
		close(q.rush)
	}
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.file != nil {
		q.file.Close() // nothing in it is needed any more
		q.file = nil
	}
	return q.err
}
