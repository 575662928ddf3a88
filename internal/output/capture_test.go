package output

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
)

// noise is n bytes that differ by seed.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(p)
	return p
}

// writeCut writes p in pieces of random length up to most.
func writeCut(c *Capture, r *rand.Rand, p []byte, most int) (kept int) {
	for len(p) > 0 {
		k := min(1+r.IntN(most), len(p))
		kept += c.Write(p[:k])
		p = p[k:]
	}
	return kept
}

func check(t *testing.T, c *Capture, want []byte) {
	t.Helper()
	if c.Len() != int64(len(want)) {
		t.Errorf("Len = %d, want %d", c.Len(), len(want))
	}
	got, err := io.ReadAll(onlyReader{c.Reader()})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want %d equal ones", len(got), err, len(want))
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, c.Reader()); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("WriteTo gave %d bytes, %v; want %d equal ones", b.Len(), err, len(want))
	}
	if c.Sum() != sha256.Sum256(want) {
		t.Error("Sum is not the SHA-256 of what was kept")
	}
}

// onlyReader hides WriteTo.
type onlyReader struct{ io.Reader }

func TestCaptureKeepsWhatFits(t *testing.T) {
	sizes := []int{0, 1, 300, 4095, 4096, 65535, 65536, 65537, 131072, 1 << 20, 1<<20 + 1, 3 << 20}
	for _, memory := range []int64{0, 100, 70_000, 200_000, 1 << 30} {
		for _, limit := range []int64{-1, 0, 1, 300, 65536, 1 << 20} {
			for i, size := range sizes {
				t.Run(fmt.Sprintf("memory=%d/limit=%d/size=%d", memory, limit, size), func(t *testing.T) {
					s := NewStore(memory, t.TempDir())
					defer s.Close()
					data := noise(uint64(i), size)
					want := data
					if limit >= 0 {
						want = data[:min(int64(size), limit)]
					}
					c := s.Capture(limit)
					r := rand.New(rand.NewPCG(uint64(i), 2))
					if kept := writeCut(c, r, data, 40_000); kept != len(want) {
						t.Errorf("kept %d, want %d", kept, len(want))
					}
					if c.Truncated() != (len(want) < size) {
						t.Errorf("Truncated = %v with %d of %d kept", c.Truncated(), len(want), size)
					}
					check(t, c, want)
					if s.Memory() > memory {
						t.Errorf("memory %d above the budget %d", s.Memory(), memory)
					}
					c.Discard()
					if s.Memory() != 0 || c.Len() != 0 {
						t.Errorf("after Discard: memory %d, length %d", s.Memory(), c.Len())
					}
					if s.Err() != nil {
						t.Error(s.Err())
					}
				})
			}
		}
	}
}

func TestCaptureReader(t *testing.T) {
	s := NewStore(100_000, t.TempDir())
	defer s.Close()
	data := noise(1, 400_000)
	c := s.Capture(-1)
	writeCut(c, rand.New(rand.NewPCG(1, 1)), data, 9000)
	if err := iotest.TestReader(onlyReader{c.Reader()}, data); err != nil {
		t.Error(err)
	}
}

func TestNilCapture(t *testing.T) {
	var c *Capture
	check(t, c, nil)
	if p, ok := c.Bytes(); len(p) != 0 || !ok || c.Truncated() {
		t.Errorf("Bytes = %q, %v, Truncated = %v", p, ok, c.Truncated())
	}
	c.Discard()
}

// A short output must cost one allocation besides its Capture.
func TestShortCaptureAllocates(t *testing.T) {
	s := NewStore(1<<30, t.TempDir())
	defer s.Close()
	data := noise(1, 300)
	allocs := testing.AllocsPerRun(100, func() {
		c := s.Capture(1 << 20)
		c.Write(data)
		c.Sum()
		c.Discard()
	})
	if allocs > 2 {
		t.Errorf("%v allocations, want at most 2", allocs)
	}
}

// A thousand hosts write a megabyte each at the same time, in small pieces.
func TestStoreHoldsItsBudget(t *testing.T) {
	const hosts, size, budget = 1000, 1 << 20, 16 << 20
	dir := t.TempDir()
	s := NewStore(budget, dir)
	defer s.Close()
	data := noise(7, size+hosts)
	captures := make([]*Capture, hosts)
	var wg sync.WaitGroup
	sem := make(chan struct{}, 64)
	for i := range hosts {
		captures[i] = s.Capture(size)
		wg.Go(func() {
			sem <- struct{}{}
			defer func() { <-sem }()
			for p := data[i : i+size]; len(p) > 0; {
				k := min(16<<10, len(p))
				if got := captures[i].Write(p[:k]); got != k {
					t.Errorf("capture %d: kept %d of %d", i, got, k)
					return
				}
				p = p[k:]
				if m := s.Memory(); m > budget+64*blockSize {
					t.Errorf("memory %d above the budget %d", m, budget)
				}
			}
		})
	}
	wg.Wait()
	if m := s.Memory(); m > budget || m < budget/2 {
		t.Errorf("memory %d, want at most, and most of, %d", m, budget)
	}
	held := 0
	for i, c := range captures {
		if c.Sum() != sha256.Sum256(data[i:i+size]) {
			t.Fatalf("capture %d differs from what was written", i)
		}
		held += cap(c.head)
		for _, p := range c.parts {
			held += len(p.mem)
		}
	}
	if int64(held) != s.Memory() {
		t.Errorf("captures hold %d bytes, the store counts %d", held, s.Memory())
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("the spill file has a name: %v", names)
	}
	for _, c := range captures {
		c.Discard()
	}
	if s.Memory() != 0 {
		t.Errorf("memory %d after all were discarded", s.Memory())
	}
}

// What is discarded makes room in the file for what comes.
func TestSpillFileIsUsedAgain(t *testing.T) {
	s := NewStore(0, t.TempDir())
	defer s.Close()
	data := noise(3, 300_000)
	for range 100 {
		c := s.Capture(-1)
		c.Write(data)
		check(t, c, data)
		c.Discard()
	}
	if s.Spilled() > 2<<20 {
		t.Errorf("the file has grown to %d bytes for one capture at a time", s.Spilled())
	}
}

// A host that sends single bytes must not cost more than their number.
func TestSingleBytesStaySmall(t *testing.T) {
	s := NewStore(0, t.TempDir())
	defer s.Close()
	data := noise(4, 50_000)
	c := s.Capture(-1)
	writeCut(c, rand.New(rand.NewPCG(1, 1)), data, 1)
	check(t, c, data)
	if len(c.parts) > 10 {
		t.Errorf("%d parts for %d bytes", len(c.parts), len(data))
	}
}

// fullDisk takes room bytes and then has no space.
type fullDisk struct {
	file
	mu   sync.Mutex
	room int
}

func (d *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	k := min(len(p), d.room)
	d.room -= k
	d.mu.Unlock()
	n, err := d.file.WriteAt(p[:k], off)
	if err == nil && k < len(p) {
		err = &os.PathError{Op: "write", Path: "spill", Err: syscall.ENOSPC}
	}
	return n, err
}

func diskOf(t *testing.T, room int) func() (file, error) {
	return func() (file, error) {
		f, err := openSpill(t.TempDir())
		return &fullDisk{file: f, room: room}, err
	}
}

func TestFullDiskTruncates(t *testing.T) {
	s := NewStore(10_000, "")
	s.open = diskOf(t, 25_000)
	defer s.Close()
	data := noise(5, 100_000)
	a, b := s.Capture(-1), s.Capture(-1)
	a.Write(data[:10_000])
	if kept := a.Write(data[10_000:40_000]); kept != 25_000 {
		t.Errorf("kept %d, want the 25,000 that the disk took", kept)
	}
	if kept := a.Write(data[40_000:]); kept != 0 {
		t.Errorf("kept %d after the disk was full", kept)
	}
	if kept := b.Write(data); kept != 0 {
		t.Errorf("another capture kept %d", kept)
	}
	if !a.Truncated() || !b.Truncated() {
		t.Error("captures do not say that they are truncated")
	}
	check(t, a, data[:35_000])
	check(t, b, nil)
	if !errors.Is(s.Err(), syscall.ENOSPC) || !strings.HasPrefix(s.Err().Error(), "spill output: ") {
		t.Errorf("Err = %v", s.Err())
	}
	a.Discard()
	c := s.Capture(-1)
	if kept := c.Write(data[:5000]); kept != 5000 {
		t.Errorf("kept %d of 5,000 in the memory that was given back", kept)
	}
}

func TestNoSpillDirectory(t *testing.T) {
	s := NewStore(0, t.TempDir()+"/none")
	defer s.Close()
	c := s.Capture(-1)
	if kept := c.Write([]byte("x")); kept != 0 || !c.Truncated() {
		t.Errorf("kept %d, truncated %v", kept, c.Truncated())
	}
	if !errors.Is(s.Err(), os.ErrNotExist) {
		t.Errorf("Err = %v, want that the directory does not exist", s.Err())
	}
}

func TestClosedStore(t *testing.T) {
	s := NewStore(0, t.TempDir())
	c := s.Capture(-1)
	c.Write([]byte("abc"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := io.ReadAll(c.Reader()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading gave %v", err)
	}
	if kept := c.Write([]byte("d")); kept != 0 {
		t.Errorf("kept %d after Close", kept)
	}
	c.Discard()
}

// After the writer is done, any number may read.
func TestCaptureManyReaders(t *testing.T) {
	s := NewStore(80_000, t.TempDir())
	defer s.Close()
	data := noise(9, 500_000)
	c := s.Capture(-1)
	c.Write(data)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { check(t, c, data) })
	}
	wg.Wait()
}

func BenchmarkCapture(b *testing.B) {
	for _, size := range []int{300, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := NewStore(1<<30, b.TempDir())
			defer s.Close()
			data := noise(1, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c := s.Capture(1 << 20)
				for p := data; len(p) > 0; {
					k := c.Write(p[:min(len(p), 32<<10)])
					p = p[k:]
				}
				c.Discard()
			}
		})
	}
}

func BenchmarkSum(b *testing.B) {
	s := NewStore(1<<30, b.TempDir())
	defer s.Close()
	data := noise(1, 300)
	b.ReportAllocs()
	for b.Loop() {
		c := s.Capture(1 << 20)
		c.Write(data)
		c.Sum()
		c.Discard()
	}
}
