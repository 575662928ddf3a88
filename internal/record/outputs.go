package record

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"sync"

	"fleet/internal/output"
)

const (
	// outputLimit is the most that the outputs of one run may take in the store.
	outputLimit = 512 << 20
	// pieceSize is how much of an output goes into one row, in bytes before
	// compression. SQLite reads a row whole.
	pieceSize = 256 << 10
	// worthwhile is the size from which on an output is compressed.
	worthwhile = 512
)

const (
	plain   = 0
	deflate = 1
)

// output stores what a capture keeps, less secrets, if that content is not there
// already, and gives its id: nil for nothing. It is dropped if there is no room.
func (w *writer) output(ctx context.Context, c *output.Capture) (id any, dropped bool, err error) {
	if c.Len() == 0 {
		return nil, false, nil
	}
	if w.full {
		return nil, true, nil
	}
	text, short := c.Bytes()
	sum := [32]byte{}
	switch {
	case w.cfg.Secrets.Empty():
		sum = c.Sum()
	case short:
		text = w.cfg.Secrets.Bytes(text)
		sum = sha256.Sum256(text)
	default:
		h := sha256.New()
		if err := w.stream(c, h); err != nil {
			return nil, true, nil // told by the store of captures
		}
		h.Sum(sum[:0])
	}
	known, err := w.find(ctx, sum)
	if err != nil {
		return nil, false, err
	}
	if known != 0 {
		w.refs[known]++
		return known, false, nil
	}
	if w.stored > w.limit {
		w.full, w.missing = true, fmt.Sprintf("outputs beyond %d MiB", w.limit>>20)
		w.fail(fmt.Errorf("the outputs of this run take more than %d MiB: the rest is not recorded, outcomes are", w.limit>>20))
		return nil, true, nil
	}
	p := &pieces{w: w, ctx: ctx, sum: sum}
	if short {
		p.held = text // below pieceSize, as the first block of a capture is
	} else if err = w.stream(c, p); err != nil && p.err == nil {
		return nil, true, nil // a spill that cannot be read back
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return nil, false, err
	}
	const mostKnown = 20_000 // bounds memory
	if len(w.known) >= mostKnown {
		clear(w.known)
	}
	w.known[sum] = p.id
	return p.id, false, nil
}

// stream writes a capture, less secrets, to dst.
func (w *writer) stream(c *output.Capture, dst io.Writer) error {
	clean := w.cfg.Secrets.Writer(dst)
	if _, err := io.Copy(clean, c.Reader()); err != nil {
		return err
	}
	return clean.Close()
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

// pieces writes one content in rows of pieceSize. The first is the output's own;
// its size is known at the end.
type pieces struct {
	w    *writer
	ctx  context.Context
	sum  [32]byte
	held []byte
	size int64
	n    int // rows so far
	id   int64
	err  error
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		k := min(pieceSize-len(p.held), len(b)-n)
		p.held = append(p.held, b[n:n+k]...)
		n += k
		if len(p.held) == pieceSize {
			if p.err = p.flush(); p.err != nil {
				return n, p.err
			}
		}
	}
	return len(b), nil
}

// Close writes the last piece.
func (p *pieces) Close() error {
	if p.err != nil {
		return p.err
	}
	if err := p.flush(); err != nil {
		return err
	}
	if p.n == 1 {
		return nil
	}
	return p.w.exec(p.ctx, "UPDATE outputs SET size = ? WHERE id = ?", p.size, p.id)
}

func (p *pieces) flush() error {
	if len(p.held) == 0 && p.n > 0 {
		return nil
	}
	p.size += int64(len(p.held))
	coding, data := squeeze(p.held)
	p.w.stored += int64(len(data))
	p.held = p.held[:0]
	p.n++
	if p.n > 1 {
		return p.w.exec(p.ctx, "INSERT INTO pieces (output, n, coding, data) VALUES (?, ?, ?, ?)", p.id, p.n-1, coding, data)
	}
	res, err := p.w.do(p.ctx, "INSERT INTO outputs (sum, size, refs, coding, data) VALUES (?, ?, 1, ?, ?)", p.sum[:], p.size, coding, data)
	if err != nil {
		return err
	}
	p.id, err = res.LastInsertId()
	return err
}

// deflaters are kept, as making one takes longer than most outputs.
var deflaters = sync.Pool{New: func() any {
	z, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // of an unknown level
	}
	return z
}}

// squeeze compresses what is worth it.
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
