package render

import (
	"encoding/binary"
	"io"
	"sync"

	"fleet/internal/output"
)

// way is how bytes get to standard output and standard error. Where both are
// terminals they share one queue, so that lines keep their order; otherwise
// each has its own, so that one slow reader does not hold up the other. Modes
// that write their data at the end or from a goroutine of their own write it
// directly.
type way struct {
	out, err io.Writer // writes of whole lines; never block if queued

	outQueue *output.Queue // nil if direct or shared
	errQueue *output.Queue // carries both if shared
	direct   *sticky       // nil if queued
	screen   *screen       // nil without a terminal
}

func newWay(o Options, queued bool, status func() string) *way {
	w := &way{}
	outDst, errDst := o.Out, o.Err
	opts := output.QueueOptions{Memory: o.MemoryBudget, Dir: o.TempDir}
	errOpts := opts
	if o.OutTerminal || o.ErrTerminal {
		w.screen = newScreen(o, status)
	}
	if o.OutTerminal {
		outDst = w.screen.port(o.Out)
	}
	if o.ErrTerminal {
		errDst = w.screen.port(o.Err)
		errOpts.Pace = w.screen.pace
	}
	switch {
	case !queued:
		w.direct = &sticky{w: outDst}
		w.out = w.direct
		w.errQueue = output.NewQueue(errDst, errOpts)
		w.err = w.errQueue
	case o.OutTerminal && o.ErrTerminal:
		w.errQueue = output.NewQueue(&splitter{dst: [2]io.Writer{outDst, errDst}}, errOpts)
		w.out = &tagged{q: w.errQueue, tag: 0}
		w.err = &tagged{q: w.errQueue, tag: 1}
	default:
		w.outQueue = output.NewQueue(outDst, opts)
		w.errQueue = output.NewQueue(errDst, errOpts)
		w.out, w.err = w.outQueue, w.errQueue
	}
	return w
}

// begin lets the status line appear.
func (w *way) begin() {
	if w.screen != nil {
		w.screen.begin()
	}
}

// pause holds the terminal for somebody else until resume is called.
func (w *way) pause() (resume func()) {
	if w.screen == nil {
		return func() {}
	}
	return w.screen.pause()
}

// endData takes the status line away, so that none is left behind if nobody
// waits any longer, and waits until data of its own queue is written. What
// follows goes to standard error.
func (w *way) endData() {
	if w.screen != nil {
		w.screen.end()
	}
	if w.outQueue != nil {
		w.outQueue.Close()
	}
}

// close waits until all is written and returns the first error of standard
// output, else of standard error.
func (w *way) close() error {
	errErr := w.errQueue.Close()
	if w.outQueue != nil && w.outQueue.Err() != nil {
		return w.outQueue.Err()
	}
	if w.direct != nil && w.direct.err != nil {
		return w.direct.err
	}
	return errErr
}

// sticky drops everything after the first error, which it remembers. It is used
// by one goroutine at a time.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// tagged sends records to a splitter through a queue: the tag, the length, the
// bytes. Each Write is one record.
type tagged struct {
	q   *output.Queue
	tag byte
}

const tagSize = 5

var records = sync.Pool{New: func() any { return new([]byte) }}

func (t *tagged) Write(p []byte) (int, error) {
	buf := records.Get().(*[]byte)
	rec := append((*buf)[:0], t.tag, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(rec[1:], uint32(len(p)))
	rec = append(rec, p...)
	_, err := t.q.Write(rec)
	*buf = rec
	if cap(rec) <= 2*pieceMax {
		records.Put(buf)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// splitter writes records to their destinations, joining neighbours that have
// the same. Records may be cut anywhere between two calls of Write.
type splitter struct {
	dst  [2]io.Writer
	head []byte // the beginning of a record whose tag is not whole
	tag  byte
	left int // bytes of the record that are still to come
	buf  []byte
}

func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.left > 0 {
			k := min(s.left, len(p))
			s.buf = append(s.buf, p[:k]...)
			s.left -= k
			p = p[k:]
			continue
		}
		k := min(tagSize-len(s.head), len(p))
		s.head = append(s.head, p[:k]...)
		p = p[k:]
		if len(s.head) < tagSize {
			break
		}
		if s.head[0] != s.tag {
			if err := s.flush(); err != nil {
				return 0, err
			}
			s.tag = s.head[0]
		}
		s.left = int(binary.BigEndian.Uint32(s.head[1:]))
		s.head = s.head[:0]
	}
	return n, s.flush()
}

func (s *splitter) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.dst[s.tag].Write(s.buf)
	s.buf = s.buf[:0]
	return err
}
