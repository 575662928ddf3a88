package inventory

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// maxMasks is the largest number of globs that ranges in one word may make.
const maxMasks = 1000

// Select gives the hosts that the pattern means, in inventory order, each once.
// The package documentation says what a pattern may hold. The result may be
// empty, as for web&db where no host is in both. What the inventory does not
// know is a *PatternError, as is what cannot be read.
func (inv *Inventory) Select(pattern string) ([]*Host, error) {
	s := &selection{inv: inv, setParser: setParser{text: pattern, glob: true}}
	if strings.TrimSpace(pattern) == "" {
		return nil, s.fail(0, len(pattern), "empty pattern", `write "all" for every host`)
	}
	result, err := s.evaluate()
	if err != nil {
		return nil, err
	}
	list := make([]*Host, 0, result.count())
	for i := range result.all() {
		list = append(list, inv.hosts[i])
	}
	return list, nil
}

// selection evaluates one pattern.
type selection struct {
	setParser
	inv   *Inventory
	depth int // of patterns inside it
}

// evaluate works from left to right; all operators bind alike.
func (s *selection) evaluate() (hostBits, error) {
	if s.isAnsible() {
		return s.ansible()
	}
	result := newHostBits(len(s.inv.hosts))
	op := byte(',')
	if s.skipSpaces(); s.text[s.pos] == '!' {
		s.pos++
		op = '!'
		result.fill(len(s.inv.hosts))
	}
	operand, err := s.operand(op, result)
	if err != nil {
		return nil, err
	}
	result.apply(op, operand)
	return result, s.further(result)
}

// further applies the operators and operands that follow to result.
func (s *selection) further(result hostBits) error {
	for s.pos < len(s.text) {
		op := s.text[s.pos]
		s.pos++
		if s.skipSpaces(); op == '&' && s.pos < len(s.text) && s.text[s.pos] == '!' {
			op = '!' // a&!b says a!b
			s.pos++
		}
		operand, err := s.operand(op, result)
		if err != nil {
			return err
		}
		result.apply(op, operand)
	}
	return nil
}

func (s *selection) skipSpaces() {
	for s.pos < len(s.text) && s.text[s.pos] == ' ' {
		s.pos++
	}
}

// operand reads one word, regular expression or condition and gives its hosts.
// Of the hosts before it, which are so, & and ! need no others.
func (s *selection) operand(op byte, so hostBits) (hostBits, error) {
	s.skipSpaces()
	if s.pos < len(s.text) && s.text[s.pos] == '~' {
		return s.regex(op)
	}
	if name, cmp, end := s.conditionAhead(); name != "" {
		if op == ',' || op == '^' {
			so = newHostBits(len(s.inv.hosts))
			so.fill(len(s.inv.hosts))
		}
		return s.condition(name, cmp, end, op, so)
	}
	for _, form := range []func(int, byte, hostBits) (hostBits, bool, error){s.union, s.counted} {
		if out, is, err := form(s.wordEnd(), op, so); is {
			return out, err
		}
	}
	at := s.pos
	group := at < len(s.text) && s.text[at] == '@'
	if group {
		s.pos++
	}
	t, err := s.term()
	if err != nil {
		return nil, err
	}
	w := &word{term: t, group: group, op: op, from: at, to: at + len(t.text)}
	if group {
		w.to++
	}
	out := newHostBits(len(s.inv.hosts))
	if strings.ContainsAny(strings.Join(t.lits, ""), "*?") {
		return out, s.glob(w, out)
	}
	return out, s.names(w, out)
}

// word is an operand that is no regular expression.
type word struct {
	term
	group    bool // written with @
	op       byte
	from, to int // in the pattern
}

// names adds the hosts and groups called exactly so. All of a range must exist.
func (s *selection) names(w *word, out hostBits) error {
	const mostMissing = 1000
	if w.group && w.size == 1 && s.inv.lookUp != nil {
		if _, ok := s.inv.groupAt(w.text); !ok && w.text != All {
			if known, err := s.lookedUp(w, out); known || err != nil {
				return err
			}
		}
	}
	var missing []string
	w.each(nil, 0, func(name []byte) bool {
		if !s.addNamed(string(name), w.group, out) {
			missing = append(missing, string(name))
		}
		return len(missing) < mostMissing
	})
	if len(missing) == 0 {
		return nil
	}
	if w.group && w.size == 1 {
		if is, err := s.file(w, out); is {
			return err
		}
	}
	return s.unknown(w, missing)
}

// lookedUp adds the hosts that an @NAME stands for which is no group.
func (s *selection) lookedUp(w *word, out hostBits) (known bool, err error) {
	hosts, known, err := s.inv.lookUp(w.text)
	if err != nil {
		return known, s.fail(w.from, w.to, printable(err.Error()), "")
	}
	var missing, there []string
	for _, name := range hosts {
		if i, ok := s.inv.byName[name]; ok {
			out.set(int(i))
			there = append(there, name)
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return known, nil
	}
	hint := "is it the same inventory?"
	if len(there) > 0 {
		hint = "the others are " + abbreviate(Fold(there))
	}
	return known, s.fail(w.from, w.to, fmt.Sprintf("%s of it the inventory does not have", abbreviate(Fold(missing))), hint)
}

// unknown says which names of a word the inventory does not have.
func (s *selection) unknown(w *word, missing []string) error {
	what, known := "host or group", chain(s.inv.groupNames(), s.hostNames())
	if w.group {
		what, known = "group", s.inv.groupNames()
	}
	folded := Fold(missing)
	e := s.fail(w.from, w.to, fmt.Sprintf("no %s %q", what, abbreviate(folded)), "")
	if w.size > len(missing) {
		e.Word = folded
	}
	if len(w.ranges) > 0 && !w.group {
		e.Hint = s.alike(missing[0])
		if base, _, ok := cutSubscript(w.text); ok && e.Hint != "" && s.isKnown(base) {
			e.Hint += "; the first of a group is " + base + "[0:0]"
		}
	}
	if _, ok := s.inv.byName[missing[0]]; ok && w.group {
		e.Hint = "it is a host: write it without @"
	}
	if e.Hint == "" {
		e.Hint = didYouMean(missing[0], known)
	}
	return e
}

// alike names the hosts that differ from name in their numbers only.
func (s *selection) alike(name string) string {
	var f folder
	want := f.shapeOf(name)
	var names []string
	for other := range s.hostNames() {
		if f.shapeOf(other) == want {
			names = append(names, other)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "there is " + abbreviate(Fold(names))
}

// addNamed adds the host and the group of the name; false if there is neither.
func (s *selection) addNamed(name string, group bool, out hostBits) bool {
	if name == All {
		out.fill(len(s.inv.hosts))
		return true
	}
	found := false
	if i, ok := s.inv.byName[name]; ok && !group {
		out.set(int(i))
		found = true
	}
	if i, ok := s.inv.groupAt(name); ok {
		for g := range s.inv.groups[i].walk() {
			for _, h := range g.Hosts {
				out.set(int(h.index))
			}
		}
		found = true
	}
	return found
}

func (s *selection) hostNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range s.inv.hosts {
			if !yield(h.Name) {
				return
			}
		}
	}
}

func chain(seqs ...iter.Seq[string]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, seq := range seqs {
			for v := range seq {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// glob adds the hosts, or with @ the groups, that match.
func (s *selection) glob(w *word, out hostBits) error {
	if w.size > maxMasks {
		return s.fail(w.from, w.to, fmt.Sprintf("range of %d names beside a wildcard, the limit is %d", w.size, maxMasks), "")
	}
	found := false
	w.each(nil, 0, func(b []byte) bool {
		mask := string(b)
		if w.group {
			for _, g := range s.inv.groups {
				if matchGlob(mask, g.Name) {
					found = s.addNamed(g.Name, true, out) || found
				}
			}
			return true
		}
		for i, h := range s.inv.hosts {
			if matchGlob(mask, h.Name) {
				out.set(i)
				found = true
			}
		}
		return true
	})
	return s.checkFound(found, w)
}

// checkFound refuses a word that was to add hosts and matches none. One that
// only takes away may match nothing.
func (s *selection) checkFound(found bool, w *word) error {
	if found || w.op == '!' || w.op == '&' {
		return nil
	}
	what := "host"
	if w.group {
		what = "group"
	}
	e := s.fail(w.from, w.to, "", "")
	e.Msg = fmt.Sprintf("no %s matches %q", what, abbreviate(e.Word))
	if !w.group && len(w.lits) > 0 {
		for _, g := range s.inv.groups {
			if matchGlob(w.text, g.Name) {
				e.Hint = fmt.Sprintf("groups do: write %q", "@"+abbreviate(w.text))
			}
		}
	}
	return e
}

// matchGlob matches * against any text and ? against one character.
func matchGlob(mask, name string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(name) {
		switch {
		case i < len(mask) && mask[i] == '*':
			star, mark = i, j
			i++
		case i < len(mask) && mask[i] == '?':
			i++
			for j++; j < len(name) && name[j]&0xc0 == 0x80; j++ {
			}
		case i < len(mask) && mask[i] == name[j]:
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(mask[i:], "*") == ""
}

// regex reads ~/.../ or ~ and all that follows, and adds the hosts that match
// anywhere in their names.
func (s *selection) regex(op byte) (hostBits, error) {
	from := s.pos
	re, end, err := s.expression(from, s.text[from+1:])
	if err != nil {
		return nil, err
	}
	w := &word{op: op, from: from, to: end}
	s.pos = end
	if err := s.afterExpression(); err != nil {
		return nil, err
	}
	out := newHostBits(len(s.inv.hosts))
	found := false
	for i, h := range s.inv.hosts {
		if re.MatchString(h.Name) {
			out.set(i)
			found = true
		}
	}
	return out, s.checkFound(found, w)
}

// closingSlash finds the first slash without a backslash before it, or -1.
func closingSlash(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '/':
			return i
		}
	}
	return -1
}

// hostBits is a set of hosts by index.
type hostBits []uint64

func newHostBits(n int) hostBits { return make(hostBits, (n+63)/64) }

func (b hostBits) set(i int) { b[i/64] |= 1 << (i % 64) }

// apply joins b and o by an operator, into b.
func (b hostBits) apply(op byte, o hostBits) {
	for i := range b {
		switch op {
		case ',':
			b[i] |= o[i]
		case '&':
			b[i] &= o[i]
		case '!':
			b[i] &^= o[i]
		case '^':
			b[i] ^= o[i]
		}
	}
}

func (b hostBits) fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[len(b)-1] = 1<<(n%64) - 1
	}
}

func (b hostBits) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

func (b hostBits) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b hostBits) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range b {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}
