package redact

import "io"

// Writer gives a writer that passes on to w what is written to it, with secrets
// replaced by Mark, also those that several writes bring together. It holds back
// what may be the beginning of a secret, and nothing else; Close passes that on
// and does not close w. It looks for the secrets that are in the set at the
// time of each write. One goroutine uses it.
func (s *Set) Writer(w io.Writer) io.WriteCloser { return &writer{set: s, w: w} }

type writer struct {
	set *Set
	w   io.Writer
	// held is what was written and may be the beginning of a secret. Of it the
	// first covered bytes belong to secrets whose Mark was passed on.
	held    []byte
	covered int
	out     []byte
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.set.Empty() && len(w.held) == 0 {
		return w.w.Write(p)
	}
	const piece = 64 << 10 // bounds what is held of a large write
	for n := 0; n < len(p); {
		k := min(piece, len(p)-n)
		w.held = append(w.held, p[n:n+k]...)
		if err := w.pass(false); err != nil {
			return n, err
		}
		n += k
	}
	return len(p), nil
}

// Close implements io.Closer.
func (w *writer) Close() error { return w.pass(true) }

// pass passes on what cannot be the beginning of a secret any more; at the end,
// all.
func (w *writer) pass(end bool) error {
	var found []span
	upTo := len(w.held)
	if !w.set.Empty() {
		f := w.set.all()
		if found = f.find(w.held); !end {
			upTo = f.open(w.held)
		}
	}
	w.out = w.out[:0]
	at := min(w.covered, upTo)
	covered := w.covered
	for _, s := range found {
		if s.from >= upTo {
			break
		}
		if s.from > at {
			w.out = append(w.out, w.held[at:s.from]...)
		}
		if s.from >= covered { // else it goes on from one that has its mark
			w.out = append(w.out, Mark...)
		}
		covered = max(covered, s.to)
		at = max(at, min(s.to, upTo))
	}
	if at < upTo {
		w.out = append(w.out, w.held[at:upTo]...)
	}
	w.held = append(w.held[:0], w.held[upTo:]...)
	w.covered = max(0, covered-upTo)
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.w.Write(w.out)
	return err
}
