package redact

import "bytes"

// forms are what is looked for. They do not change.
type forms struct {
	list    [][]byte
	longest int
	// Where the list is long, it is looked up by the beginnings of its members.
	first  [256]bool             // by the first byte
	starts [1 << 16 / 64]uint64  // a bit for the first two bytes
	byHead map[[least]byte][]int // indexes in list
}

// few is up to how many forms are looked for one after the other, which is as fast
// as bytes.Index is.
const few = 100

// newForms takes the forms in the list, each once.
func newForms(list [][]byte) *forms {
	f := &forms{byHead: map[[least]byte][]int{}}
	seen := map[string]bool{}
	for _, form := range list {
		if seen[string(form)] {
			continue
		}
		seen[string(form)] = true
		head := [least]byte(form)
		f.byHead[head] = append(f.byHead[head], len(f.list))
		f.list = append(f.list, form)
		f.longest = max(f.longest, len(form))
		f.first[form[0]] = true
		start := uint(form[0])<<8 | uint(form[1])
		f.starts[start/64] |= 1 << (start % 64)
	}
	return f
}

// each gives every place in p where a form stands, in no order.
func (f *forms) each(p []byte) (all []span) {
	if len(f.list) > few {
		return f.eachByHead(p)
	}
	for _, form := range f.list {
		for at := 0; ; {
			i := bytes.Index(p[at:], form)
			if i < 0 {
				break
			}
			all = append(all, span{at + i, at + i + len(form)})
			at += i + 1
		}
	}
	return all
}

func (f *forms) eachByHead(p []byte) (all []span) {
	for i := 0; i+least <= len(p); i++ {
		start := uint(p[i])<<8 | uint(p[i+1])
		if f.starts[start/64]&(1<<(start%64)) == 0 {
			continue
		}
		for _, n := range f.byHead[[least]byte(p[i:])] {
			if form := f.list[n]; bytes.HasPrefix(p[i:], form) {
				all = append(all, span{i, i + len(form)})
			}
		}
	}
	return all
}

// open gives where the end of p begins that may be the beginning of a form; it is
// len(p) if no end is.
func (f *forms) open(p []byte) int {
	for i := max(0, len(p)-f.longest+1); i < len(p); i++ {
		rest := p[i:]
		if !f.first[rest[0]] {
			continue
		}
		if len(rest) == 1 {
			return i
		}
		start := uint(rest[0])<<8 | uint(rest[1])
		switch {
		case f.starts[start/64]&(1<<(start%64)) == 0:
			continue
		case len(rest) < least:
			return i
		}
		for _, n := range f.byHead[[least]byte(rest)] {
			if form := f.list[n]; len(form) > len(rest) && bytes.HasPrefix(form, rest) {
				return i
			}
		}
	}
	return len(p)
}
