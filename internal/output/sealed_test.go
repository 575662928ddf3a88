package output

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// ram is a file in memory.
type ram struct{ b []byte }

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(r.b) {
		r.b = append(r.b, make([]byte, end-len(r.b))...)
	}
	return copy(r.b[off:], p), nil
}

func (r *ram) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r.b)) {
		return 0, io.EOF
	}
	n := copy(p, r.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *ram) Truncate(n int64) error { r.b = r.b[:n]; return nil }
func (r *ram) Close() error           { return nil }

// TestSealed writes and reads at any place, also anew: what is read is what was
// written last, and the file below holds nothing of it.
func TestSealed(t *testing.T) {
	const size = 200_000
	below := &ram{}
	f, err := seal(below)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("a secret, 16 b.\n"), size/16)
	given := bytes.Clone(want)
	if n, err := f.WriteAt(want, 0); err != nil || n != len(want) || !bytes.Equal(given, want) {
		t.Fatalf("%d, %v", n, err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		off, n := random.IntN(size-1000), random.IntN(1000)
		part := bytes.Repeat([]byte("s3cret"), n/6+1)[:n]
		if _, err := f.WriteAt(part, int64(off)); err != nil {
			t.Fatal(err)
		}
		copy(want[off:], part)
		got := make([]byte, random.IntN(1000))
		if _, err := f.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, want[off:off+len(got)]) {
			t.Fatalf("%d bytes at %d are not what was written, %v", len(got), off, err)
		}
	}
	for _, secret := range []string{"secret", "s3cret"} {
		if bytes.Contains(below.b, []byte(secret)) {
			t.Errorf("the file holds %q", secret)
		}
	}
	if n, err := f.ReadAt(make([]byte, 10), size-4); n != 4 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// TestSpillIsSealed looks below a spill at what the disk has.
func TestSpillIsSealed(t *testing.T) {
	f, err := openSpill(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("a secret"), 0); err != nil {
		t.Fatal(err)
	}
	below := make([]byte, 8)
	if _, err := f.(*sealed).file.ReadAt(below, 0); err != nil || string(below) == "a secret" {
		t.Errorf("the disk has %q, %v", below, err)
	}
}
