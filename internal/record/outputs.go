package record

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// worthwhile is the size from which on an output is compressed.
const worthwhile = 512

// How the data of an output are to be read.
const (
	plain   = 0
	deflate = 1
	list    = 2 // ids of outputs that it consists of
)

var errGone = errors.New("an equal piece is gone")

// pieceRow stores a piece of an output whose host has no result yet.
func (w *writer) pieceRow(ctx context.Context, p *piece) error {
	t := p.of
	switch {
	case p.forget:
		return w.forget(ctx, t)
	case w.full, t.done, p.tail && p.at < t.kept, !p.tail && p.at != t.kept: // what is before it is missing
		return nil
	case p.tail:
		t.rows, t.tails = true, true
		return w.exec(ctx, "INSERT OR REPLACE INTO partial (run, pos, stream, at, tail) VALUES (?, ?, ?, ?, ?)", w.seq, t.pos, t.stream, p.at, p.data)
	}
	id, err := w.part(ctx, t, p.sum, p.size, func() (int, []byte) { return p.coding, p.data })
	if errors.Is(err, errGone) {
		t.stop.Store(faulty)
		return nil
	}
	if err != nil || id == 0 {
		return err
	}
	w.pieces = append(w.pieces, p.sum)
	if t.tails {
		if err := w.exec(ctx, "DELETE FROM partial WHERE run = ? AND pos = ? AND stream = ? AND at >= ?", w.seq, t.pos, t.stream, p.at); err != nil {
			return err
		}
	}
	t.rows, t.tails = true, false
	return w.exec(ctx, "INSERT INTO partial (run, pos, stream, at, part) VALUES (?, ?, ?, ?, ?)", w.seq, t.pos, t.stream, p.at, id)
}

// part stores the next piece of an output, or finds it in the store. Its id is 0
// where there is no room, and the output then ends before it.
func (w *writer) part(ctx context.Context, t *tape, sum [32]byte, size int, data func() (int, []byte)) (int64, error) {
	id, err := w.content(ctx, sum, size, data, len(t.parts) == 0)
	if err != nil {
		return 0, err
	}
	w.touched = append(w.touched, t)
	if id == 0 {
		t.stop.Store(limited)
		return 0, nil
	}
	t.parts, t.kept = append(t.parts, id), t.kept+int64(size)
	return id, nil
}

// settle says whether what was done to the tape in a transaction is done.
func (t *tape) settle(committed bool) {
	if committed {
		t.sure, t.sureTo = len(t.parts), t.kept
	} else if len(t.parts) > t.sure {
		t.parts, t.kept = t.parts[:t.sure], t.sureTo
		t.tails = true // they may be back
		t.stop.Store(faulty)
	}
}

// stream stores the end of an output, whose host has its result, and gives its
// id: nil for nothing. cut says why it is not whole; kept is then how much of it
// is there.
func (w *writer) stream(ctx context.Context, t *tape) (id any, kept int64, cut int32, err error) {
	if t == nil {
		return nil, 0, going, nil
	}
	t.done = true
	if t.rows {
		if err := w.exec(ctx, "DELETE FROM partial WHERE run = ? AND pos = ? AND stream = ?", w.seq, t.pos, t.stream); err != nil {
			return nil, 0, 0, err
		}
	}
	if w.full && len(t.held) > 0 {
		t.stop.CompareAndSwap(going, faulty)
	}
	if len(t.held) > 0 && t.stop.Load() == going && t.kept == t.begin {
		last := func() (int, []byte) { return squeeze(t.held) }
		if _, err := w.part(ctx, t, sha256.Sum256(t.held), len(t.held), last); err != nil {
			return nil, 0, 0, err
		}
	}
	if cut = t.stop.Load(); cut == going && t.kept != t.begin+int64(len(t.held)) {
		cut = faulty
	}
	switch len(t.parts) {
	case 0:
		return nil, 0, cut, nil
	case 1:
		return t.parts[0], t.kept, cut, nil
	}
	n, err := w.wholeRow(ctx, t, cut == going)
	return n, t.kept, cut, err
}

// wholeRow stores an output of several pieces, if that content is not there.
func (w *writer) wholeRow(ctx context.Context, t *tape, whole bool) (int64, error) {
	ids := packIDs(t.parts)
	sum := sumOfCut(ids)
	if whole {
		if len(t.held) > 0 {
			last := sha256.Sum256(t.held)
			t.sums.Write(last[:])
		}
		t.sums.Sum(sum[:0])
	}
	known, err := w.find(ctx, sum)
	if err != nil {
		return 0, err
	}
	if known == 0 {
		return w.outputRow(ctx, sum, t.kept, list, ids)
	}
	w.refs[known]++
	for _, id := range t.parts { // it has them already
		w.refs[id]--
	}
	return known, nil
}

// sumOfCut is the sum of an output that is not there whole: the content of no
// other has it.
func sumOfCut(ids []byte) [32]byte {
	return sha256.Sum256(append([]byte("a part of an output\n"), ids...))
}

// forget gives up what came of a tape. A tail of it may still be on its way.
func (w *writer) forget(ctx context.Context, t *tape) error {
	t.done = true
	for _, id := range t.parts {
		w.refs[id]--
	}
	if !t.rows {
		return nil
	}
	return w.exec(ctx, "DELETE FROM partial WHERE run = ? AND pos = ? AND stream = ?", w.seq, t.pos, t.stream)
}

// content gives the id of a content, which is stored if it is not there. It is 0
// where the run's share of the store is used up. The last eighth of that is for
// first pieces, so that a host that writes much leaves room for the others.
func (w *writer) content(ctx context.Context, sum [32]byte, size int, squeezed func() (int, []byte), first bool) (int64, error) {
	id, err := w.find(ctx, sum)
	if err != nil {
		return 0, err
	}
	if id != 0 {
		w.refs[id]++
		return id, nil
	}
	if w.full {
		return 0, nil
	}
	coding, data := squeezed()
	if data == nil { // it was there, and a commit that did not come about took it away
		return 0, errGone
	}
	most := w.cfg.Most
	if most > 0 && !first {
		most -= most / 8
	}
	if most > 0 && w.bytes+int64(len(data)) > most {
		text := fmt.Sprintf("what hosts wrote beyond %s", sizeText(w.cfg.Most))
		w.missing = text
		w.fail(&hinted{fmt.Errorf("%s is not kept; outcomes are", text), "--record-max SIZE keeps more"})
		return 0, nil
	}
	return w.outputRow(ctx, sum, int64(size), coding, data)
}

// outputRow stores a content.
func (w *writer) outputRow(ctx context.Context, sum [32]byte, size int64, coding int, data []byte) (int64, error) {
	res, err := w.do(ctx, "INSERT INTO outputs (sum, size, refs, coding, data) VALUES (?, ?, 1, ?, ?)", sum[:], size, coding, data)
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	w.bytes += int64(len(data))
	const mostKnown = 20_000 // bounds memory
	if len(w.known) >= mostKnown {
		clear(w.known)
	}
	w.known[sum] = id
	return id, nil
}

// find gives the id of a content that is in the store, else 0.
func (w *writer) find(ctx context.Context, sum [32]byte) (id int64, err error) {
	if id = w.known[sum]; id != 0 {
		return id, nil
	}
	s, err := w.prepared(ctx, "SELECT id FROM outputs WHERE sum = ?")
	if err != nil {
		return 0, err
	}
	err = s.QueryRowContext(ctx, sum[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		w.known[sum] = id
	}
	return id, err
}

// usesRows writes how the uses of outputs have changed.
func (w *writer) usesRows(ctx context.Context) error {
	for id, n := range w.refs {
		if n == 0 {
			continue
		}
		if err := w.exec(ctx, "UPDATE outputs SET refs = refs + ? WHERE id = ?", n, id); err != nil {
			return err
		}
		if n < 0 {
			clear(w.known)
			w.stored.forget()
			if err := w.exec(ctx, "DELETE FROM outputs WHERE id = ? AND refs <= 0", id); err != nil {
				return err
			}
		}
	}
	return nil
}

// packIDs makes the data of an output of coding list.
func packIDs(ids []int64) (data []byte) {
	for _, id := range ids {
		data = binary.AppendUvarint(data, uint64(id))
	}
	return data
}

func unpackIDs(data []byte) (ids []int64, err error) {
	for len(data) > 0 {
		id, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errors.New("the list of its pieces is damaged")
		}
		ids, data = append(ids, int64(id)), data[n:]
	}
	return ids, nil
}

// deflaters are kept, as making one takes longer than most outputs.
var deflaters = sync.Pool{New: func() any {
	z, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // of an unknown level
	}
	return z
}}

// squeeze compresses what is worth it; else the data are text itself.
func squeeze(text []byte) (coding int, data []byte) {
	if len(text) < worthwhile {
		return plain, text
	}
	var b bytes.Buffer
	z := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(z)
	z.Reset(&b)
	z.Write(text) //nolint:errcheck // a buffer
	z.Close()
	if b.Len() >= len(text)-len(text)/8 {
		return plain, text
	}
	return deflate, b.Bytes()
}

func expand(coding int, data []byte) (io.Reader, error) {
	switch coding {
	case plain:
		return bytes.NewReader(data), nil
	case deflate:
		return flate.NewReader(bytes.NewReader(data)), nil
	}
	return nil, fmt.Errorf("coding %d is unknown", coding)
}

// sizeText writes a number of bytes for people.
func sizeText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
