package inventory

import (
	"cmp"
	"slices"
	"strings"
)

// Fold writes names as one host set: "web[01-18,20]". Order and repetition of
// the names do not matter. The result is what ClusterShell's nodeset -f prints:
// names that differ only in numbers come together, ordered by their text;
// numbers of equal length count on (09-11, 9-10), a zero-padded number never
// runs into a longer one (08-09,010). Where names have several numbers, each
// block of the result is a full grid: rack[1-2]node[01-20].
//
// Fold never fails. A name that could not stand in a host set, such as one with
// a bracket, is written as it is. ParseSet reads the result back.
func Fold(names []string) string {
	f := folder{index: make(map[string]int)}
	for _, name := range names {
		f.add(name)
	}
	return f.text()
}

// folder sorts names by shape.
type folder struct {
	index  map[string]int // by shape
	shapes []shape
	key    []byte
	one    []string
}

// shape is a set of names that differ only in their numbers: the text with
// "%s" for each number (nodeset's own form, as it decides the order of the
// result) and the numbers, dims for each name one after the other.
type shape struct {
	key     string
	dims    int
	numbers []string
}

// read splits a name into key and one.
func (f *folder) read(name string) {
	f.key, f.one = f.key[:0], f.one[:0]
	for i := 0; i < len(name); {
		if c := name[i]; !isDigit(c) {
			if f.key = append(f.key, c); c == '%' {
				f.key = append(f.key, c) // a text %s is no number
			}
			i++
			continue
		}
		from := i
		for i < len(name) && isDigit(name[i]) {
			i++
		}
		if i-from > maxDigits {
			f.key = append(f.key, name[from:i]...)
			continue
		}
		f.key = append(f.key, "%s"...)
		f.one = append(f.one, name[from:i])
	}
}

func (f *folder) shapeOf(name string) string {
	f.read(name)
	return string(f.key)
}

func (f *folder) add(name string) {
	f.read(name)
	at, ok := f.index[string(f.key)]
	if !ok {
		at = len(f.shapes)
		key := string(f.key)
		f.index[key] = at
		f.shapes = append(f.shapes, shape{key: key, dims: len(f.one)})
	}
	s := &f.shapes[at]
	s.numbers = append(s.numbers, f.one...)
}

func (f *folder) text() string {
	slices.SortFunc(f.shapes, func(a, b shape) int { return cmp.Compare(a.key, b.key) })
	var b strings.Builder
	var parts []string
	for i := range f.shapes {
		s := &f.shapes[i]
		switch {
		case len(s.numbers) == s.dims: // one name, or one without numbers
			s.write(&b, s.numbers)
		case s.dims == 1:
			parts = append(parts[:0], rangeText(sortNumbers(s.numbers)))
			s.write(&b, parts)
		default:
			s.foldGrid(&b)
		}
	}
	return b.String()
}

// write adds the shape with the given texts for its numbers, after a comma.
func (s *shape) write(b *strings.Builder, numbers []string) {
	if b.Len() > 0 {
		b.WriteByte(',')
	}
	n := 0
	for i := 0; i < len(s.key); i++ {
		if s.key[i] != '%' {
			b.WriteByte(s.key[i])
			continue
		}
		if i++; s.key[i] == '%' {
			b.WriteByte('%')
			continue
		}
		b.WriteString(numbers[n])
		n++
	}
}

// compareNumbers orders digits as nodeset does: by length, then by value.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return cmp.Compare(a, b)
}

// sortNumbers sorts in place and drops repetitions.
func sortNumbers(list []string) []string {
	slices.SortFunc(list, compareNumbers)
	return slices.Compact(list)
}

// rangeText writes sorted numbers as a range, in brackets if there are several.
//
// Each number keeps its own text. A run goes on as long as the next number is
// one higher and padding allows it: after a padded start all must have its
// width, after an unpadded one none may be padded. As in nodeset, the number
// after a gap is judged by its own padding if it ended a run of several, and by
// the last start's if it ended a lone number: 09-10,98-100 but 09,98-99,100.
func rangeText(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	b := make([]byte, 0, 64)
	b = append(b, '[')
	start, padded := 0, isPadded(list[0])
	value := digitsValue(list[0])
	for i := 1; i < len(list); i++ {
		next := list[i]
		last := value
		value = digitsValue(next)
		mismatch := padded && len(next) != len(list[start]) || !padded && isPadded(next)
		if !mismatch && value == last+1 {
			continue
		}
		b = appendRun(b, list[start:i])
		if mismatch || i-start > 1 {
			padded = isPadded(next)
		}
		start = i
	}
	b = appendRun(b, list[start:])
	b[len(b)-1] = ']'
	return string(b)
}

// appendRun writes FIRST-LAST, or the single number, and a comma.
func appendRun(b []byte, run []string) []byte {
	b = append(b, run[0]...)
	if len(run) > 1 {
		b = append(b, '-')
		b = append(b, run[len(run)-1]...)
	}
	return append(b, ',')
}

func digitsValue(text string) uint64 {
	var v uint64
	for i := range len(text) {
		v = v*10 + uint64(text[i]-'0')
	}
	return v
}
