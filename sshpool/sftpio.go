package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
)

const (
	// smallChunk is what every server reads and writes by one request (section 3
	// of the draft wants packets of 34000 bytes to be possible).
	smallChunk = 32 << 10
	// firstUnderWay is how many requests a transfer begins with; each answer
	// that came whole allows one more, as long as the bytes under way stay
	// within maxUnderWay, which is past the window of an SSH channel.
	firstUnderWay = 8
	maxUnderWay   = 4 << 20
	mostUnderWay  = 128
	// readBudget is what all reads of the process have under way together; each
	// has minUnderWay in any case.
	readBudget  = 96 << 20
	minUnderWay = 256 << 10
	// maxAhead is how far a read asks beyond the first byte that has not come: a
	// server that never gives that, and all else, would have us keep all else.
	maxAhead = 4 * maxUnderWay
)

// reads counts the long reads of the process that go on now.
var reads atomic.Int64

// span is a piece of a file that is still to be asked for.
type span struct {
	at   int64
	size int
}

// reading is a read of a piece of a file with many requests under way.
type reading struct {
	f       *openFile
	next    int64 // where the next request begins
	end     int64 // where to stop; lowered where the server meets the end of the file
	chunk   int   // the longest request
	short   int   // what the server gives at most, once it gave less than asked for
	allowed int
	paced   bool
	again   []span // rest of what was answered short
	got     ranges
	full    int64 // all before has come
	flying  int
	done    chan *ask
}

// read gives the bytes from at to end to take, in pieces as they come, which
// need not be in order; a piece is take's to keep until it returns. The end of
// the file before end is no error: it gives the place where the file ended.
func (f *openFile) read(ctx context.Context, at, end int64, take func(at int64, p []byte) error) (int64, error) {
	return f.readPaced(ctx, at, end, 0, take)
}

// readPaced is read in requests of piece bytes, if that is not 0, with few of
// them under way: what has been asked for comes as fast as it can.
func (f *openFile) readPaced(ctx context.Context, at, end int64, piece int, take func(at int64, p []byte) error) (int64, error) {
	r := &reading{f: f, next: at, full: at, end: end, chunk: smallChunk, short: piece, paced: piece > 0, allowed: firstUnderWay, done: make(chan *ask, mostUnderWay+1)}
	reads.Add(1)
	defer reads.Add(-1)
	for {
		for r.flying < r.most() {
			s, ok := r.pick()
			if !ok {
				break
			}
			if err := r.request(ctx, s); err != nil {
				return 0, err
			}
		}
		if r.flying == 0 {
			return r.end, nil
		}
		select {
		case a := <-r.done:
			r.flying--
			if err := r.answer(a, take); err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// most is how many requests may be under way.
func (r *reading) most() int {
	share := max(min(maxUnderWay, readBudget/int(reads.Load())), minUnderWay)
	return max(1, min(r.allowed, share/r.chunk))
}

func (r *reading) pick() (span, bool) {
	for len(r.again) > 0 {
		s := r.again[0]
		r.again = r.again[1:]
		if s.at < r.end {
			return s, true
		}
	}
	if r.next >= r.end || r.next >= r.full+maxAhead {
		return span{}, false
	}
	if r.chunk = int(r.f.s.link.maxRead.Load()); r.short > 0 {
		r.chunk = min(r.chunk, r.short)
	}
	s := span{r.next, int(min(int64(r.chunk), r.end-r.next))}
	r.next += int64(s.size)
	return s, true
}

func (r *reading) request(ctx context.Context, s span) error {
	l := r.f.s.link
	a := &ask{done: r.done, tag: s.at, size: s.size, pooled: true}
	m, err := l.begin(fxpRead, a, 4+len(r.f.handle)+12)
	if err != nil {
		return err
	}
	m = binary.BigEndian.AppendUint64(appendString(m, r.f.handle), uint64(s.at))
	if err := l.send(ctx, outgoing{head: binary.BigEndian.AppendUint32(m, uint32(s.size))}); err != nil {
		return err
	}
	r.flying++
	return nil
}

func (r *reading) answer(a *ask, take func(int64, []byte) error) error {
	defer a.release()
	m, err := a.expect(fxpData, a.err)
	var st *statusError
	if errors.As(err, &st) && st.code == fxEOF {
		r.end = min(r.end, a.tag)
		return nil
	}
	if err != nil {
		return err
	}
	p := m.bytes()
	if m.bad || len(p) == 0 || len(p) > a.size {
		return errMalformed
	}
	if err := take(a.tag, p); err != nil {
		return err
	}
	r.got.add(a.tag, int64(len(p)))
	r.full = r.got.from(r.full)
	if rest := a.size - len(p); rest > 0 {
		r.again = append(r.again, span{a.tag + int64(len(p)), rest})
		r.short = max(len(p), 512)
	} else if !r.paced && r.allowed < min(mostUnderWay, max(firstUnderWay, maxUnderWay/r.chunk)) {
		r.allowed++
	}
	return nil
}

// ReadAt reads len(p) bytes from off on, fewer only with an error; see
// io.ReaderAt.
func (f *SFTPFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, f.fail("read", errors.New("negative offset"))
	}
	var got ranges
	end, err := f.read(f.ctx, off, off+int64(len(p)), func(at int64, b []byte) error {
		copy(p[at-off:], b)
		got.add(at, int64(len(b)))
		return nil
	})
	if err != nil {
		return int(max(got.from(off)-off, 0)), f.fail("read", err)
	}
	if end < off+int64(len(p)) {
		return int(end - off), io.EOF
	}
	return len(p), nil
}

// ranges is the part of a file that has been dealt with, however out of order.
type ranges struct{ ends map[int64]int64 } // from its begin to its end

func (r *ranges) add(at, n int64) {
	if r.ends == nil {
		r.ends = map[int64]int64{}
	}
	r.ends[at] = at + n
}

// from gives how far all is dealt with from at on, and forgets what is before that.
func (r *ranges) from(at int64) int64 {
	for {
		end, ok := r.ends[at]
		if !ok {
			return at
		}
		delete(r.ends, at)
		at = end
	}
}

// writing is a write of a piece of a file with many requests under way.
type writing struct {
	f    *openFile
	at   int64 // where the next request begins
	full int64 // how far all was written
	tell func(full int64)

	done   chan *ask
	flying int
	wrote  ranges
	err    error // the one of the lowest place
	failed int64
}

// nextBytes gives the bytes to write next, at most limit, and at the end io.EOF.
// They are not changed until written is called, which may be nil.
type nextBytes func(limit int) (p []byte, written func(), err error)

// write writes what next gives, from at on, and gives how far all was written,
// also beside an error. It calls tell, where not nil, each time that this moves.
func (f *openFile) write(ctx context.Context, at int64, next nextBytes, tell func(full int64)) (int64, error) {
	w := &writing{f: f, at: at, full: at, tell: tell, done: make(chan *ask, mostUnderWay+1)}
	for over := false; ; {
		for !over && w.err == nil && w.flying < mostUnderWay {
			p, written, err := next(int(f.s.link.maxWrite.Load()))
			if err == io.EOF {
				over = true
				break
			}
			if err == nil {
				err = w.request(ctx, p, written)
			}
			if err != nil {
				w.fail(err, w.at)
			}
		}
		if w.flying == 0 {
			return w.full, w.err
		}
		select {
		case a := <-w.done:
			w.answer(a)
		case <-ctx.Done():
			return w.full, ctx.Err()
		}
	}
}

func (w *writing) fail(err error, at int64) {
	if w.err == nil || at < w.failed {
		w.err, w.failed = err, at
	}
}

// request sends a piece, and takes answers while the line is full.
func (w *writing) request(ctx context.Context, p []byte, written func()) error {
	l := w.f.s.link
	a := &ask{done: w.done, tag: w.at, size: len(p)}
	m, err := l.begin(fxpWrite, a, 4+len(w.f.handle)+12)
	if err != nil {
		return err
	}
	m = binary.BigEndian.AppendUint64(appendString(m, w.f.handle), uint64(w.at))
	out := outgoing{head: binary.BigEndian.AppendUint32(m, uint32(len(p))), body: p, sent: written}
	for {
		sent, err := l.sendOr(ctx, out, w.done, w.answer)
		if err != nil {
			return err
		}
		if sent {
			w.at += int64(len(p))
			w.flying++
			return nil
		}
	}
}

func (w *writing) answer(a *ask) {
	if a.err != nil && a.tag == w.at { // of a request that was not sent: the session is over
		w.fail(a.err, a.tag)
		return
	}
	w.flying--
	if err := a.status(a.err); err != nil {
		w.fail(err, a.tag)
		return
	}
	w.wrote.add(a.tag, int64(a.size))
	if w.full = w.wrote.from(w.full); w.tell != nil {
		w.tell(w.full)
	}
}

// WriteAt writes p at off; n < len(p) only with an error, and then what is
// before it was written. Of a file opened with O_APPEND the server may write at
// its end instead.
func (f *SFTPFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, f.fail("write", errors.New("negative offset"))
	}
	// The copy is for a call that ctx ends: what is on its way by then stays as it is.
	rest := append([]byte(nil), p...)
	full, err := f.write(f.ctx, off, func(limit int) ([]byte, func(), error) {
		if len(rest) == 0 {
			return nil, nil, io.EOF
		}
		n := min(limit, len(rest))
		part := rest[:n]
		rest = rest[n:]
		return part, nil, nil
	}, nil)
	if err != nil {
		return int(full - off), f.fail("write", err)
	}
	return len(p), nil
}

// ReadFrom writes all that r gives at the file's place; see io.ReaderFrom.
func (f *SFTPFile) ReadFrom(r io.Reader) (int64, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	begin := f.at
	var readErr error
	full, err := f.write(f.ctx, begin, func(limit int) ([]byte, func(), error) {
		if readErr != nil {
			return nil, nil, io.EOF
		}
		buf, n := make([]byte, limit), 0
		for n < len(buf) && readErr == nil { // io.ReadFull has an error of r's for its own
			var m int
			m, readErr = r.Read(buf[n:])
			n += m
		}
		if n == 0 {
			return nil, nil, io.EOF
		}
		return buf[:n], nil, nil
	}, nil)
	f.at = full
	switch {
	case err != nil:
		return full - begin, f.fail("write", err)
	case readErr == io.EOF, readErr == nil:
		return full - begin, nil
	}
	return full - begin, readErr
}

// WriteTo gives w all from the file's place to its end; see io.WriterTo.
func (f *SFTPFile) WriteTo(w io.Writer) (int64, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	begin := f.at
	var writeErr error
	in := newInOrder(writeFunc(func(p []byte) (n int, err error) {
		n, writeErr = w.Write(p)
		return n, writeErr
	}))
	in.at = begin
	_, err := f.read(f.ctx, begin, 1<<62, in.take)
	f.at = in.at
	switch {
	case writeErr != nil:
		return f.at - begin, writeErr
	case err != nil:
		return f.at - begin, f.fail("read", err)
	}
	return f.at - begin, nil
}
