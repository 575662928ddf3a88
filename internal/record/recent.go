package record

import (
	"bytes"
	"crypto/sha256"
	"hash/maphash"
	"sync"
)

// content is what a piece holds, with what is worked out from it. It may belong to
// many pieces at once, and does not change.
type content struct {
	text []byte
	sum  [sha256.Size]byte

	once   sync.Once
	coding int
	data   []byte
}

// squeezed is the text as the store has it. first says that nobody has asked before.
func (c *content) squeezed() (coding int, data []byte, first bool) {
	c.once.Do(func() {
		c.coding, c.data = squeeze(c.text)
		first = true
	})
	return c.coding, c.data, first
}

// recent are the pieces of late. Hosts that write the same mostly do so at about
// the same time: then it is summed and compressed once, and of the others it is
// only seen that theirs is equal, which takes a quarter of the time of a sum.
type recent struct {
	seed maphash.Seed

	mu    sync.Mutex
	known map[uint64]*content
	order []uint64 // of known: the oldest is at next
	next  int
}

// mostRecent bounds what is held: 4 MB of text, and as much again at most.
const mostRecent = 128

func newRecent() *recent {
	return &recent{seed: maphash.MakeSeed(), known: make(map[uint64]*content, mostRecent)}
}

// of gives the content that is this text, of which it keeps a copy.
func (r *recent) of(text []byte) *content {
	key := maphash.Bytes(r.seed, text)
	r.mu.Lock()
	c := r.known[key]
	r.mu.Unlock()
	if c != nil && bytes.Equal(c.text, text) {
		return c
	}
	c = &content{text: bytes.Clone(text), sum: sha256.Sum256(text)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.known[key]; there { // another was as fast, or is not equal
		r.known[key] = c
		return c
	}
	if len(r.order) < mostRecent {
		r.order = append(r.order, key)
	} else {
		delete(r.known, r.order[r.next])
		r.order[r.next] = key
		r.next = (r.next + 1) % mostRecent
	}
	r.known[key] = c
	return c
}
