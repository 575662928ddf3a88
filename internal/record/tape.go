package record

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"fleet/internal/event"
)

const (
	// pieceSize is how much of an output goes into one row, in bytes before
	// compression. It is also the most of a stream that is held in memory, beside
	// what waits for the writer.
	pieceSize = 32 << 10
	// mostPending is how many bytes of output wait for the writer before hosts do.
	mostPending = 8 << 20
	// pieceCost is what a piece takes of that beside its bytes, which others may have:
	// where all write the same, and the store is held, there may be many.
	pieceCost = 256
	// roomWait is how long a host's output waits for a writer that is behind. It is
	// met by a store that is held or hangs only; the rest of that output is then
	// not kept.
	roomWait = 2 * time.Second
	// tailAge is how old what was written may be before it goes to the store though
	// its piece is not full: so much of it a crash may cost.
	tailAge = time.Second
)

// Why an output is not kept any further.
const (
	going   = iota
	limited // the run's share of the store is used up
	faulty  // the store cannot take it, or not in time
)

// tape is what the record takes of one stream of one host: the whole of it, less
// secrets. Full pieces go to the writer as they come, so that of a short output,
// and of the end of a long one, nothing was written before its host's result.
type tape struct {
	rec    *Recorder
	host   string
	pos    int
	stream int // as the store has it: 1, 2

	stop atomic.Int32 // going, or why not

	mu      sync.Mutex
	clean   io.WriteCloser // to keep
	held    []byte         // the last piece, as far as it came
	begin   int64          // where it begins
	flushed int            // so much of it is in the store as a tail
	since   time.Time      // when the first of the rest came
	sums    hash.Hash      // of the sums of the pieces before; nil for none
	came    int64          // bytes so far
	over    bool           // nothing more comes

	inStore // the writer's
}

// inStore is what the store has of a tape.
type inStore struct {
	parts  []int64 // outputs.id of its pieces
	kept   int64   // bytes of these
	rows   bool    // there are rows in partial
	tails  bool    // and some of them may be tails
	done   bool    // its host has a result
	sure   int     // parts that are committed
	sureTo int64   // and bytes of these
}

// piece is what goes to the writer of an output whose host has no result yet.
type piece struct {
	of     *tape
	at     int64 // where it begins
	size   int   // bytes before compression
	tail   bool  // it is only the end so far
	forget bool  // all that came of this tape was of an earlier try
	sum    [sha256.Size]byte
	coding int
	data   []byte // nil if the store has that content; of several pieces, perhaps
	fresh  int64  // bytes that are held for this piece and no other
}

// sums are contents that are in the store for as long as the run lasts, some of
// them: hosts that write the same do so at about the same time.
type sums struct {
	mu  sync.Mutex
	set map[[sha256.Size]byte]bool
}

func (s *sums) has(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set[sum]
}

func (s *sums) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.set)
}

func (s *sums) add(sum [sha256.Size]byte) {
	const most = 10_000 // 640 MB of output
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil || len(s.set) >= most {
		s.set = map[[sha256.Size]byte]bool{}
	}
	s.set[sum] = true
}

func newTape(r *Recorder, host string, pos, stream int) *tape {
	t := &tape{rec: r, host: host, pos: pos, stream: stream}
	t.clean = r.cfg.Secrets.Writer(keeper{t})
	return t
}

// Output implements event.Sink: it takes all that hosts write. It waits only where
// the writer is far behind, and not for long.
func (r *Recorder) Output(o event.Output) {
	if len(o.Data) == 0 {
		return
	}
	if t := r.tapeOf(o); t != nil {
		if r.pending.Load() > mostPending {
			r.awaitRoom()
		}
		t.write(o.Data, o.Time)
	}
}

// tapeOf gives the tape of a stream of a host that was begun and has not ended,
// else nil.
func (r *Recorder) tapeOf(o event.Output) *tape {
	stream := 0
	if o.Stream == event.Stderr {
		stream = 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.places[o.Host]
	if p == nil {
		return nil
	}
	if p.tapes[stream] == nil {
		p.tapes[stream] = newTape(r, o.Host, p.pos, stream+1)
	}
	return p.tapes[stream]
}

// awaitRoom waits until the writer has caught up, or for roomWait.
func (r *Recorder) awaitRoom() {
	late := time.NewTimer(roomWait)
	defer late.Stop()
	for {
		r.mu.Lock()
		freed := r.freed
		r.mu.Unlock()
		if r.pending.Load() <= mostPending {
			return
		}
		select {
		case <-freed:
		case <-r.broken: // it may never
			return
		case <-late.C:
			return
		}
	}
}

// free says that so many bytes of output wait no more.
func (r *Recorder) free(n int64) {
	if n == 0 {
		return
	}
	r.pending.Add(-n)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.freed)
	r.freed = make(chan struct{})
}

func (t *tape) write(p []byte, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	if t.stop.Load() != going && t.rec.followed.Load() == 0 {
		t.came += int64(len(p))
		return
	}
	if len(t.held) == t.flushed {
		t.since = at
	}
	t.clean.Write(p) //nolint:errcheck // keeper has none
	if len(t.held) > t.flushed {
		t.rec.tailSoon()
	}
}

// keeper takes what is clean of secrets.
type keeper struct{ t *tape }

func (k keeper) Write(p []byte) (int, error) {
	t := k.t
	if t.rec.followed.Load() > 0 {
		t.tell(p)
	}
	if t.came += int64(len(p)); t.stop.Load() != going {
		return len(p), nil
	}
	for n := 0; n < len(p); {
		m := min(pieceSize-len(t.held), len(p)-n)
		t.grow(len(t.held) + m)
		t.held = append(t.held, p[n:n+m]...)
		n += m
		if len(t.held) == pieceSize {
			t.full()
		}
	}
	return len(p), nil
}

// buffers are for pieces that are not whole yet, and not small: a thousand hosts
// may write at once.
var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// grow makes room in held for n bytes in all.
func (t *tape) grow(n int) {
	const small = pieceSize / 8
	if n > small && cap(t.held) < pieceSize {
		buffer := buffers.Get().(*[pieceSize]byte)
		t.held = buffer[:copy(buffer[:], t.held)]
	}
}

// reuse gives a buffer back that nobody needs any more.
func reuse(b []byte) {
	if cap(b) == pieceSize {
		buffers.Put((*[pieceSize]byte)(b[:pieceSize]))
	}
}

// tell tells followers of what comes.
func (t *tape) tell(p []byte) {
	c := Chunk{Host: t.host, Stream: event.Stdout, At: t.came}
	if t.stream == 2 {
		c.Stream = event.Stderr
	}
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		c.Data = p[:n]
		t.rec.publish(c)
		c.At, p = c.At+int64(n), p[n:]
	}
}

// full hands a piece to the writer. The caller holds mu.
func (t *tape) full() {
	if t.stop.Load() == going {
		c := t.rec.recent.of(t.held)
		p := piece{of: t, at: t.begin, size: len(t.held), sum: c.sum, fresh: pieceCost}
		if t.sums == nil {
			t.sums = sha256.New()
			t.sums.Write([]byte("pieces\n")) // so that it is no content's
		}
		t.sums.Write(p.sum[:])
		if !t.rec.stored.has(p.sum) { // most work is in what is new
			first := false
			if p.coding, p.data, first = c.squeezed(); first {
				p.fresh += int64(len(p.data))
			}
		}
		t.rec.addPiece(p)
	}
	t.begin += pieceSize
	t.held, t.flushed = t.held[:0], 0
}

// end has the tape take nothing more. The last piece stays with it, for the
// writer. It gives nil if there is nothing.
func (t *tape) end() *tape {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.clean.Close() //nolint:errcheck // keeper has none
	if t.begin == 0 && len(t.held) == 0 {
		return nil
	}
	return t
}

// tail is what is not yet in the store of the last piece, if that came before a
// time; young says that there is such that came later.
func (t *tape) tail(before time.Time) (p piece, ok, young bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.stop.Load() != going || len(t.held) == t.flushed {
		return p, false, false
	}
	if t.since.After(before) {
		return p, false, true
	}
	p = piece{of: t, tail: true, at: t.begin + int64(t.flushed), data: bytes.Clone(t.held[t.flushed:])}
	p.fresh = int64(len(p.data))
	t.flushed = len(t.held)
	return p, true, false
}

// addPiece queues a piece. One that comes though the writer is hopelessly behind
// ends its tape.
func (r *Recorder) addPiece(p piece) {
	n := p.fresh
	if r.pending.Add(n) > 2*mostPending && !p.forget {
		r.pending.Add(-n)
		p.of.stop.Store(faulty)
		return
	}
	r.add(soon, func(b *batch) { b.pieces = append(b.pieces, p) })
	if r.pending.Load() > mostPending/4 {
		r.add(0, func(*batch) {})
	}
}

// tailSoon has tails looked at within tailAge.
func (r *Recorder) tailSoon() {
	if r.tailDue.Load() == 0 && r.tailDue.CompareAndSwap(0, time.Now().Add(tailAge).UnixNano()) {
		signal(r.wake)
	}
}

// queueTails queues what came of outputs before a time and has not gone to the
// store, though its piece is not full.
func (r *Recorder) queueTails(before time.Time) {
	if r.tailDue.Store(0); r.pending.Load() > mostPending {
		r.tailSoon() // what waits comes first
		return
	}
	again := false
	for _, t := range r.openTapes() {
		p, ok, young := t.tail(before)
		if again = again || young; ok {
			r.addPiece(p)
		}
	}
	if again {
		r.tailSoon()
	}
}

// queueAllTails is queueTails for all that came by now.
func (r *Recorder) queueAllTails() {
	for _, t := range r.openTapes() {
		if p, ok, _ := t.tail(time.Now()); ok {
			r.addPiece(p)
		}
	}
}

// openTapes are those of hosts that have no result.
func (r *Recorder) openTapes() (open []*tape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.places {
		for _, t := range p.tapes {
			if t != nil {
				open = append(open, t)
			}
		}
	}
	return open
}

// Resent implements event.RetrySink: what came of a host so far was of an earlier
// try.
func (r *Recorder) Resent(host string) {
	r.mu.Lock()
	p := r.places[host]
	if p == nil {
		r.mu.Unlock()
		return
	}
	before := p.tapes
	p.tapes = [2]*tape{}
	r.mu.Unlock()
	if r.followed.Load() > 0 {
		r.publish(Chunk{Host: host, Again: true})
	}
	for _, t := range before {
		if t = t.end(); t != nil {
			r.addPiece(piece{of: t, forget: true})
		}
	}
}
