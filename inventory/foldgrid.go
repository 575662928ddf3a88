package inventory

import (
	"cmp"
	"slices"
	"strings"
)

// maxPasses bounds the work of folding one shape. Real fleets take under ten;
// what is left unmerged after the last pass is merely written less short.
const maxPasses = 100

// foldGrid writes names with several numbers as few grids: a box is one list of
// numbers for each place, and stands for all their combinations. It begins with
// a box for each name and merges boxes that differ in one place only, in the
// order nodeset does, so that the result is the same; the boxes to merge with
// are found by hash, not by comparing all with all, so the time grows with
// n log n.
func (s *shape) foldGrid(b *strings.Builder) {
	g := newGrid(s)
	g.merge()
	texts := make([]string, s.dims)
	for _, box := range g.boxes {
		for d := range texts {
			texts[d] = rangeText(g.numbersOf(box[d]))
		}
		s.write(b, texts)
	}
}

// grid is the set of disjoint boxes of one shape.
type grid struct {
	dims  int
	words []string // distinct numbers, in the order of numbers
	rank  []uint32 // of words by plain text, which orders the boxes
	boxes [][]axis
}

// axis is the numbers in one place of a box, as indices into words.
type axis struct {
	list     []uint32
	hash     uint64 // sum over the list, whatever its order
	unsorted bool
}

func newGrid(s *shape) *grid {
	g := &grid{dims: s.dims}
	ids := g.number(s.numbers)
	axes := make([]axis, len(ids))
	g.boxes = make([][]axis, 0, len(ids)/s.dims)
	for i, id := range ids {
		axes[i] = axis{list: ids[i : i+1 : i+1], hash: mix(uint64(id) + 1)}
		if (i+1)%s.dims == 0 {
			g.boxes = append(g.boxes, axes[i+1-s.dims:i+1])
		}
	}
	g.sort()
	g.boxes = slices.CompactFunc(g.boxes, g.equal)
	return g
}

// number fills words and rank, and gives the index in words of each number.
func (g *grid) number(numbers []string) []uint32 {
	index := make(map[string]uint32)
	ids := make([]uint32, len(numbers))
	for i, w := range numbers {
		id, ok := index[w]
		if !ok {
			id = uint32(len(g.words))
			index[w] = id
			g.words = append(g.words, w)
		}
		ids[i] = id
	}
	slices.SortFunc(g.words, compareNumbers)
	place := make([]uint32, len(g.words)) // by first-come id
	byText := make([]uint32, len(g.words))
	for i, w := range g.words {
		place[index[w]] = uint32(i)
		byText[i] = uint32(i)
	}
	for i, id := range ids {
		ids[i] = place[id]
	}
	slices.SortFunc(byText, func(a, b uint32) int { return strings.Compare(g.words[a], g.words[b]) })
	g.rank = make([]uint32, len(g.words))
	for i, w := range byText {
		g.rank[w] = uint32(i)
	}
	return ids
}

// mix spreads the bits of x (the finalizer of SplitMix64, Steele et al. 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (g *grid) numbersOf(a axis) []string {
	a.sort()
	out := make([]string, len(a.list))
	for i, w := range a.list {
		out[i] = g.words[w]
	}
	return out
}

// sort puts the numbers of the axis in order. It writes to a list of its own
// only: unsorted lists were made by join.
func (a *axis) sort() {
	if a.unsorted {
		slices.Sort(a.list)
		a.unsorted = false
	}
}

// same compares exactly; the hash only makes the common answer quick.
func (a *axis) same(b *axis) bool {
	if a.hash != b.hash || len(a.list) != len(b.list) {
		return false
	}
	a.sort()
	b.sort()
	return slices.Equal(a.list, b.list)
}

// join adds the numbers of b, which a does not have.
func (a *axis) join(b *axis) {
	a.unsorted = a.unsorted || b.unsorted || a.list[len(a.list)-1] > b.list[0]
	a.list = append(a.list, b.list...)
	a.hash += b.hash
}

func (g *grid) equal(a, b []axis) bool {
	for d := range a {
		if !a[d].same(&b[d]) {
			return false
		}
	}
	return true
}

// sort orders boxes as nodeset does: those of more names first, then place by
// place those of more numbers, then by the text of the first and last number.
func (g *grid) sort() {
	size := func(box []axis) int {
		n := 1
		for d := range box {
			n *= len(box[d].list)
		}
		return n
	}
	for _, box := range g.boxes {
		for d := range box {
			box[d].sort()
		}
	}
	slices.SortFunc(g.boxes, func(a, b []axis) int {
		if c := size(b) - size(a); c != 0 {
			return c
		}
		for d := range a {
			x, y := a[d].list, b[d].list
			if c := len(y) - len(x); c != 0 {
				return c
			}
			if c := cmp.Compare(g.rank[x[0]], g.rank[y[0]]); c != 0 {
				return c
			}
			if c := cmp.Compare(g.rank[x[len(x)-1]], g.rank[y[len(y)-1]]); c != 0 {
				return c
			}
		}
		return 0
	})
}

// merge runs passes until nothing changes: first over neighbours only, then
// over all.
func (g *grid) merge() {
	changed := true
	for pass := 0; pass < maxPasses && changed; pass++ {
		if changed = g.mergeNeighbours(); changed {
			g.sort()
		}
	}
	changed = true
	for pass := 0; pass < maxPasses && changed; pass++ {
		if changed = g.mergeAll(); changed {
			g.sort()
		}
	}
}

// differ gives the one place in which the boxes differ, or -1.
func differ(a, b []axis) int {
	at := -1
	for d := range a {
		if !a[d].same(&b[d]) {
			if at >= 0 {
				return -1
			}
			at = d
		}
	}
	return at
}

func (g *grid) mergeNeighbours() bool {
	kept := g.boxes[:1]
	for _, box := range g.boxes[1:] {
		last := kept[len(kept)-1]
		if d := differ(last, box); d >= 0 {
			last[d].join(&box[d])
			continue
		}
		kept = append(kept, box)
	}
	changed := len(kept) < len(g.boxes)
	g.boxes = kept
	return changed
}

// mergeAll takes each box in turn and merges into it every later box that
// differs in one place, scanning onwards once.
func (g *grid) mergeAll() bool {
	ix := newGridIndex(g)
	for i, box := range g.boxes {
		if ix.gone[i] {
			continue
		}
		for at := i; ; {
			next, d := ix.next(box, i, at)
			if d < 0 {
				break
			}
			box[d].join(&g.boxes[next][d])
			ix.gone[next] = true
			at = next
		}
	}
	kept := g.boxes[:0]
	for i, box := range g.boxes {
		if !ix.gone[i] {
			kept = append(kept, box)
		}
	}
	changed := len(kept) < len(ix.gone)
	g.boxes = kept
	return changed
}

// gridIndex finds, for a box, the next one that differs from it in one place.
// Boxes stand in bins by their hash without that place, as they were when the
// index was made; that is right for all that come after the one worked on.
type gridIndex struct {
	g      *grid
	gone   []bool
	places []placeIndex
}

// placeIndex is the bins for one place left out.
type placeIndex struct {
	byHash map[uint64]int32
	of     []int32 // by box: its bin
	start  []int32 // by bin: where its boxes begin in list
	end    []int32 // by bin: where they end, without a tail of boxes that are gone
	list   []int32 // boxes, bin by bin, ascending in each
}

func newGridIndex(g *grid) *gridIndex {
	ix := &gridIndex{g: g, gone: make([]bool, len(g.boxes)), places: make([]placeIndex, g.dims)}
	for d := range ix.places {
		ix.places[d] = newPlaceIndex(g.boxes, d)
	}
	return ix
}

func newPlaceIndex(boxes [][]axis, without int) placeIndex {
	p := placeIndex{byHash: make(map[uint64]int32, len(boxes)), of: make([]int32, len(boxes))}
	var size []int32
	for i, box := range boxes {
		hash := hashWithout(box, without)
		bin, ok := p.byHash[hash]
		if !ok {
			bin = int32(len(size))
			p.byHash[hash] = bin
			size = append(size, 0)
		}
		p.of[i] = bin
		size[bin]++
	}
	p.start = make([]int32, len(size))
	for bin := 1; bin < len(size); bin++ {
		p.start[bin] = p.start[bin-1] + size[bin-1]
	}
	p.end = slices.Clone(p.start)
	p.list = make([]int32, len(boxes))
	for i, bin := range p.of {
		p.list[p.end[bin]] = int32(i)
		p.end[bin]++
	}
	return p
}

func hashWithout(box []axis, without int) uint64 {
	var h uint64
	for d := range box {
		h *= 31
		if d != without {
			h = mix(h + box[d].hash + 1)
		}
	}
	return h
}

// next gives the first box after position at that differs from the box worked
// on in one place, and the place; or -1 for the place. The box stands at
// position self, and has changed since the index was made if at is not self.
func (ix *gridIndex) next(box []axis, self, at int) (int, int) {
	best, place := len(ix.gone), -1
	for d := range box {
		p := &ix.places[d]
		bin := p.of[self]
		if at != self {
			var ok bool
			if bin, ok = p.byHash[hashWithout(box, d)]; !ok {
				continue
			}
		}
		if i := p.after(bin, int32(at), int32(best), ix.gone); i >= 0 && differ(box, ix.g.boxes[i]) == d {
			best, place = int(i), d
		}
	}
	return best, place
}

// after gives the first box of the bin after position at and before position
// end that is not gone, or -1.
func (p *placeIndex) after(bin, at, end int32, gone []bool) int32 {
	list := p.list[p.start[bin]:p.end[bin]]
	from, _ := slices.BinarySearch(list, at+1)
	for _, i := range list[from:] {
		if i >= end {
			return -1
		}
		if !gone[i] {
			return i
		}
	}
	p.end[bin] = p.start[bin] + int32(from)
	return -1
}
