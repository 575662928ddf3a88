package record

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"testing"
)

// TestRecent asks for more contents than are kept, again and again: each is the
// text that was asked for, what is equal is worked out once, and no more is held
// than is said.
func TestRecent(t *testing.T) {
	r := newRecent()
	for round := range 3 {
		for i := range 3 * mostRecent {
			text := fmt.Appendf(nil, "text %d %s", i, bytes.Repeat([]byte("same "), 1000))
			c := r.of(text)
			if !bytes.Equal(c.text, text) || c.sum != sha256.Sum256(text) {
				t.Fatalf("round %d: %.20q is taken for %.20q", round, text, c.text)
			}
			text[0] = 'X' // the writer's buffer is used again
			if c.text[0] != 't' {
				t.Fatal("no copy is kept")
			}
			text[0] = 't'
			if again := r.of(text); again != c {
				t.Fatalf("round %d: %.20q is worked out again", round, text)
			}
			_, data, first := c.squeezed()
			if _, same, again := c.squeezed(); !first || again || len(data) > 1000 || &same[0] != &data[0] {
				t.Fatal("it is compressed again")
			}
		}
	}
	if len(r.known) != mostRecent || len(r.order) != mostRecent {
		t.Errorf("%d and %d are held, want %d", len(r.known), len(r.order), mostRecent)
	}
}

// TestRecentIsNotItsKey has two texts of the same key: they stay apart.
func TestRecentIsNotItsKey(t *testing.T) {
	r := newRecent()
	a, b := []byte("one text"), []byte("another")
	first := r.of(a)
	for key := range r.known { // as if b had it
		delete(r.known, key)
		r.known[maphash.Bytes(r.seed, b)] = first
		r.order[0] = maphash.Bytes(r.seed, b)
	}
	if c := r.of(b); string(c.text) != "another" || c.sum != sha256.Sum256(b) {
		t.Errorf("%q", c.text)
	}
}
