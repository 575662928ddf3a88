package output

import (
	"crypto/sha256"
	"hash"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	headMax   = 64 << 10 // the first block grows up to this size
	blockSize = 64 << 10 // further blocks of memory
	extentMin = 4 << 10  // extents of the spill file, powers of two
	extentMax = 4 << 20
	lazySum   = 1 << 20 // beyond it the sum is kept running
)

// Capture keeps the first bytes of one stream of one host. One goroutine
// writes; after that any number may read. Len, Truncated, Sum, Bytes, Reader
// and Discard work on a nil Capture as on an empty one.
type Capture struct {
	store     *Store
	limit     int64
	n         int64
	head      []byte // the beginning, if memory was left for it
	parts     []part // what follows
	full      bool   // nothing more is kept
	truncated bool
	running   hash.Hash // over the whole, once n is above lazySum
	once      sync.Once
	sum       [32]byte
	shares    atomic.Int32 // owners beside the first
}

// part is a piece of a capture: a block of memory, or an extent of the file.
type part struct {
	mem  []byte // nil if in the file
	off  int64  // in the file
	size int64  // of the extent
	n    int64  // bytes used
}

// Write keeps what fits in the limit and returns how many bytes that was; it
// never blocks on anything but the local disk. After the limit it keeps
// nothing. A full disk counts as the limit.
func (c *Capture) Write(p []byte) (kept int) {
	if c.full {
		c.truncated = c.truncated || len(p) > 0
		return 0
	}
	if room := c.limit - c.n; int64(len(p)) > room {
		p, c.full, c.truncated = p[:room], true, true
	}
	for kept < len(p) {
		k, err := c.put(p[kept:])
		c.hash(p[kept : kept+k])
		kept += k
		c.n += int64(k)
		if err != nil {
			c.full, c.truncated = true, true
			c.store.fail(err)
			break
		}
	}
	return kept
}

// put keeps a first piece of p, of at least one byte unless there is an error.
func (c *Capture) put(p []byte) (int, error) {
	if len(c.parts) == 0 {
		if k := c.putHead(p); k > 0 {
			return k, nil
		}
	}
	if k, err := c.putLast(p); k > 0 || err != nil {
		return k, err
	}
	size := min(blockSize, c.limit-c.n)
	if c.store.reserve(size) {
		c.parts = append(c.parts, part{mem: make([]byte, size)})
		return c.putLast(p)
	}
	size = extentFor(c.n)
	_, off, err := c.store.extent(size)
	if err != nil {
		return 0, err
	}
	c.parts = append(c.parts, part{off: off, size: size})
	return c.putLast(p)
}

// putHead grows the first block, doubling it, as far as budget and headMax go.
func (c *Capture) putHead(p []byte) int {
	if free := cap(c.head) - len(c.head); free > 0 {
		k := min(free, len(p))
		c.head = append(c.head, p[:k]...)
		return k
	}
	want := min(int64(len(c.head)+max(len(p), len(c.head))), headMax, c.limit)
	grow := want - int64(cap(c.head))
	if grow <= 0 || !c.store.reserve(grow) {
		return 0
	}
	head := make([]byte, len(c.head), want)
	copy(head, c.head)
	k := min(int(want)-len(head), len(p))
	c.head = append(head, p[:k]...)
	return k
}

// putLast fills the last part.
func (c *Capture) putLast(p []byte) (int, error) {
	if len(c.parts) == 0 {
		return 0, nil
	}
	last := &c.parts[len(c.parts)-1]
	if last.mem != nil {
		k := copy(last.mem[last.n:], p)
		last.n += int64(k)
		return k, nil
	}
	k := min(last.size-last.n, int64(len(p)))
	if k == 0 {
		return 0, nil
	}
	f, err := c.store.spill()
	if err != nil {
		return 0, err
	}
	w, err := f.WriteAt(p[:k], last.off+last.n)
	last.n += int64(w)
	return w, err
}

// extentFor makes extents grow with the capture, so that their number stays
// small and a short capture takes little of the file.
func extentFor(n int64) int64 {
	size := int64(1) << bits.Len64(uint64(n))
	return min(max(size, extentMin), extentMax)
}

// hash keeps the sum running for long captures. p is not yet counted in c.n.
func (c *Capture) hash(p []byte) {
	if c.running != nil {
		c.running.Write(p)
		return
	}
	if c.n+int64(len(p)) <= lazySum {
		return
	}
	h := sha256.New()
	r := reader{c: c, left: c.n + int64(len(p))}
	if _, err := r.WriteTo(h); err == nil {
		c.running = h
	}
}

// Len is the number of bytes kept.
func (c *Capture) Len() int64 {
	if c == nil {
		return 0
	}
	return c.n
}

// Truncated says that more was written than was kept.
func (c *Capture) Truncated() bool { return c != nil && c.truncated }

// Sum is the SHA-256 of the kept bytes. If they cannot be read back from the
// disk, it is the sum of those that could and the store has the error.
func (c *Capture) Sum() [32]byte {
	if c == nil {
		return sha256.Sum256(nil)
	}
	c.once.Do(func() {
		if b, ok := c.Bytes(); ok {
			c.sum = sha256.Sum256(b)
			return
		}
		h := c.running
		if h == nil {
			h = sha256.New()
			if _, err := io.Copy(h, c.Reader()); err != nil {
				c.store.fail(err)
			}
		}
		h.Sum(c.sum[:0])
	})
	return c.sum
}

// Bytes gives the kept bytes if they lie in memory in one piece, which short
// captures do while the budget lasts. They must not be changed.
func (c *Capture) Bytes() ([]byte, bool) {
	if c == nil {
		return nil, true
	}
	return c.head, len(c.parts) == 0
}

// Reader reads the kept bytes from the start. It is an io.WriterTo.
func (c *Capture) Reader() io.Reader {
	if c == nil {
		return &reader{c: &Capture{}}
	}
	return &reader{c: c, left: c.n}
}

// Share gives the capture one more owner: it is kept until each has discarded
// it. It is called by an owner, after the last Write; owners may read at the
// same time.
func (c *Capture) Share() {
	if c != nil {
		c.shares.Add(1)
	}
}

// Discard gives the capture's memory and its place in the file back to the
// store, if no other owner is left (see Share). The capture is empty for this
// owner afterwards and keeps nothing more.
func (c *Capture) Discard() {
	if c == nil || c.store == nil || c.shares.Add(-1) >= 0 {
		return
	}
	held := int64(cap(c.head))
	for _, p := range c.parts {
		if p.mem != nil {
			held += int64(len(p.mem))
		} else {
			c.store.giveBack(p.off, p.size)
		}
	}
	c.store.release(held)
	c.head, c.parts, c.n, c.full, c.running = nil, nil, 0, true, nil
}

// reader reads a capture: the head, then its parts.
type reader struct {
	c    *Capture
	part int   // 0 is the head
	off  int64 // in that part
	left int64
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for r.left > 0 {
		mem, fileOff, n := r.here()
		if n == 0 {
			r.part, r.off = r.part+1, 0
			continue
		}
		n = min(n, int64(len(p)), r.left)
		if mem != nil {
			copy(p, mem[:n])
		} else {
			f, err := r.c.store.spill()
			if err != nil {
				return 0, err
			}
			if k, err := f.ReadAt(p[:n], fileOff); int64(k) < n {
				r.off, r.left = r.off+int64(k), r.left-int64(k)
				return k, err
			}
		}
		r.off, r.left = r.off+n, r.left-n
		return int(n), nil
	}
	return 0, io.EOF
}

// here says what comes next: memory or a place in the file, and how much of it.
func (r *reader) here() (mem []byte, fileOff, n int64) {
	if r.part == 0 {
		return r.c.head[r.off:], 0, int64(len(r.c.head)) - r.off
	}
	p := r.c.parts[r.part-1]
	if p.mem != nil {
		return p.mem[r.off:p.n], 0, p.n - r.off
	}
	return nil, p.off + r.off, p.n - r.off
}

// WriteTo implements io.WriterTo: what lies in memory is not copied.
func (r *reader) WriteTo(w io.Writer) (total int64, err error) {
	var buf []byte
	for r.left > 0 {
		mem, _, n := r.here()
		n = min(n, r.left)
		if n == 0 {
			r.part, r.off = r.part+1, 0
			continue
		}
		if mem != nil {
			r.off, r.left = r.off+n, r.left-n
			mem = mem[:n]
		} else {
			if buf == nil {
				buf = make([]byte, min(n, 64<<10))
			}
			k, err := r.Read(buf)
			if err != nil {
				return total, err
			}
			mem = buf[:k]
		}
		k, err := w.Write(mem)
		total += int64(k)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
