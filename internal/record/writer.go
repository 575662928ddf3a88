package record

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// writer is the state of the goroutine that writes one run.
type writer struct {
	*Recorder
	store *Store
	conn  *sql.Conn
	life  *life
	seq   int64 // of the run in the store, 0 before it is there

	statements map[string]*sql.Stmt
	known      map[[32]byte]int64 // outputs that are in the store
	refs       map[int64]int      // by how many their uses change in this transaction
	touched    []*tape            // that got parts in this transaction
	pieces     [][32]byte         // that are stored in it, or were there
	bytes      int64              // of output, stored so far
	full       bool               // no more output is taken: the store cannot
	left       batch              // what could not be written, to be tried again
	failedAt   time.Time          // when that was
	missing    string             // what could not be kept
	over       bool               // the store knows the ending
}

// write is the goroutine.
func (r *Recorder) write() {
	defer close(r.done)
	ctx := context.Background()
	w := &writer{Recorder: r, statements: map[string]*sql.Stmt{}, known: map[[32]byte]int64{}, refs: map[int64]int{}}
	if err := w.begin(ctx); err != nil {
		r.giveUp(err)
	}
	defer w.end(ctx)
	for {
		b, more := r.take()
		size, held := b.size(), b.buffers()
		if w.conn != nil && (!b.empty() || !more && !w.left.empty()) { // without it nothing can be kept
			w.put(ctx, b, !more)
		}
		r.free(size)
		for _, buffer := range held {
			reuse(buffer)
		}
		for _, there := range b.there {
			close(there)
		}
		if !more {
			return
		}
	}
}

// begin opens the store.
func (w *writer) begin(ctx context.Context) (err error) {
	if w.store, err = open(ctx, w.cfg.Dir); err != nil {
		return err
	}
	w.conn, err = w.store.db.Conn(ctx)
	if err != nil {
		return opening(w.store.path(), err)
	}
	close(w.opened)
	return nil
}

// take waits for something to write and takes it; more is false at the end.
func (r *Recorder) take() (b batch, more bool) {
	for !r.isDue() {
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b, r.due = batch{run: r.queue.run, begun: r.queue.begun, upTo: r.queue.upTo, marks: r.queue.marks}, time.Time{}
	r.queue.run, r.queue.begun, r.queue.marks = nil, nil, nil
	if !r.ended && time.Until(r.restDue) > 0 {
		return b, true
	}
	if !r.restDue.IsZero() {
		r.rested = time.Now()
	}
	rest := &r.queue
	b.pieces, b.results, b.notes, b.end, b.there = rest.pieces, rest.results, rest.notes, rest.end, rest.there
	r.queue, r.restDue = batch{upTo: b.upTo}, time.Time{}
	if !r.ended && len(b.results) > maxResults {
		r.queue.results = b.results[maxResults:]
		b.results = b.results[:maxResults:maxResults]
		r.queue.end, b.end = b.end, nil // it comes after the last of them
		r.hurry(&r.restDue, 0)
	}
	return b, !r.ended
}

// isDue waits until something is to be written, or until that may have changed.
func (r *Recorder) isDue() bool {
	r.mu.Lock()
	due, ended := r.due, r.ended
	if due.IsZero() || !r.restDue.IsZero() && r.restDue.Before(due) {
		due = r.restDue
	}
	r.mu.Unlock()
	if ended {
		return true
	}
	if tails := r.tailDue.Load(); tails != 0 {
		at := time.Unix(0, tails)
		if time.Until(at) <= 0 {
			r.queueTails(time.Now().Add(-tailAge / 2))
			return false
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	var late <-chan time.Time
	if !due.IsZero() {
		wait := time.Until(due)
		if wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.wake:
		return false
	case <-late:
		return false
	}
}

// fullWait is how long after a disk was full that is tried again: each time with all
// that was left, which takes its time where that are many hosts.
const fullWait = 2 * time.Second

// put writes a batch, and keeps what it can of one that cannot be written. last says
// that there is none after it.
func (w *writer) put(ctx context.Context, b batch, last bool) {
	b.before(&w.left)
	w.left = batch{}
	if w.full && !last && time.Since(w.failedAt) < fullWait {
		w.left = b.bare()
		return
	}
	if b.run == nil && w.seq == 0 { // what was said before the run
		w.left = b
		return
	}
	if err := w.lives(&b); err != nil {
		w.giveUp(recording(err))
		w.left = b.bare()
		return
	}
	err := w.transact(ctx, &b)
	if err != nil && !locked(err) && len(b.results)+len(b.pieces) > 0 {
		// Most likely the disk is full: outcomes count for more than outputs.
		w.fail(recording(err))
		w.full, w.missing = true, "outputs: "+err.Error()
		err = w.transact(ctx, &b)
	}
	if err == nil {
		w.committed(b.upTo)
		return
	}
	if err := w.life.unsure(); err != nil {
		w.fail(recording(err))
	}
	w.giveUp(recording(err))
	w.left, w.failedAt = b.bare(), time.Now()
}

// lives makes the file of the run that b brings, if that is not there: without it
// the run would be taken for dead. Where hosts were begun before, it says so from
// the start.
func (w *writer) lives(b *batch) (err error) {
	if w.life != nil {
		return nil
	}
	if w.life, err = w.store.live(b.run.ID); err != nil {
		return err
	}
	w.lifeOf.Store(w.life)
	w.mu.Lock()
	open := w.open
	w.mu.Unlock()
	if open {
		return w.life.unsure()
	}
	return nil
}

// transact writes a batch in one transaction.
func (w *writer) transact(ctx context.Context, b *batch) error {
	seq, bytes := w.seq, w.bytes
	if n := w.pages.Load(); n > 0 {
		if _, err := w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			return err
		}
	}
	err := w.exec(ctx, "BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	if err = w.rows(ctx, b); err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	clear(w.refs)
	for _, t := range w.touched {
		t.settle(err == nil)
	}
	for _, sum := range w.pieces {
		if err == nil {
			w.stored.add(sum)
		}
	}
	w.touched, w.pieces = w.touched[:0], w.pieces[:0]
	if err != nil {
		w.seq, w.bytes = seq, bytes
		clear(w.known)
		if rollback := w.exec(ctx, "ROLLBACK"); rollback != nil && !strings.Contains(rollback.Error(), "no transaction") {
			err = errors.Join(err, rollback)
		}
	}
	return err
}

// end closes what is open. A run that has its ending in the store lives no more.
func (w *writer) end(ctx context.Context) {
	if w.store == nil {
		return
	}
	if !w.left.empty() && w.life != nil {
		w.fail(recording(errors.New("the end of the run is not in the record")))
	}
	for _, s := range w.statements {
		s.Close()
	}
	if w.conn != nil {
		w.conn.Close()
	}
	if w.left.empty() && w.life != nil {
		// Another fleet that holds the store lets go of them itself, or the next run does.
		if err := w.store.retain(ctx, w.cfg.Keep); err != nil && !locked(err) && w.cfg.Warn != nil {
			w.cfg.Warn(fmt.Errorf("%w: %w", ErrRetention, recording(err)))
		}
	}
	switch {
	case w.life == nil:
	case w.left.empty() && w.seq != 0 && w.over:
		if err := w.life.end(); err != nil {
			w.fail(recording(err))
		}
	default:
		w.life.file.Close() // whoever looks next settles the run
	}
	w.store.Close()
}

// ErrRetention is what a warning is about (errors.Is) that does not concern the
// run that was recorded.
var ErrRetention = errors.New("old runs are still there")

// recording is an error of a run that goes on.
func recording(err error) error { return advised(err) }

// locked says that the store is held by another process.
func locked(err error) bool { return strings.Contains(err.Error(), "database is locked") }

// before puts what was left over from earlier ahead of b.
func (b *batch) before(left *batch) {
	if b.run == nil {
		b.run = left.run
	}
	if b.end == nil {
		b.end = left.end
	}
	b.begun = append(left.begun, b.begun...)
	b.upTo = max(left.upTo, b.upTo)
	b.marks = append(left.marks, b.marks...)
	b.pieces = append(left.pieces, b.pieces...)
	b.results = append(left.results, b.results...)
	b.notes = append(left.notes, b.notes...)
}

// bare is the batch without its outputs, which are not kept in memory. Of each
// the store has what it had before, or nothing if it is of an earlier try.
func (b *batch) bare() batch {
	var forget []piece
	for _, p := range b.pieces {
		p.of.stop.Store(faulty)
		if p.forget {
			forget = append(forget, p)
		}
	}
	for _, res := range b.results {
		for _, t := range res.tapes {
			if t != nil {
				t.stop.Store(faulty)
				t.held = nil
			}
		}
	}
	bare := *b
	bare.pieces = forget
	return bare
}

// buffers are those of its outputs that nobody else has.
func (b *batch) buffers() (list [][]byte) {
	for _, res := range b.results {
		for _, t := range res.tapes {
			if t != nil && cap(t.held) == pieceSize {
				list = append(list, t.held)
			}
		}
	}
	return list
}

// size is how many bytes of output a batch holds.
func (b *batch) size() (n int64) {
	for _, p := range b.pieces {
		n += p.fresh
	}
	for _, res := range b.results {
		for _, t := range res.tapes {
			if t != nil {
				n += int64(len(t.held))
			}
		}
	}
	return n
}
