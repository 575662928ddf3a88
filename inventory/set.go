package inventory

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxSet is the largest number of names that one host set may stand for.
const MaxSet = 10_000_000

// maxDigits is the longest run of digits that ranges and folding count with.
// Longer runs are plain text.
const maxDigits = 18

// Set is a parsed host set. It holds no names: All makes them one by one. A
// Set is immutable and safe for concurrent use.
type Set struct {
	terms  []term
	shared map[string]bool // shapes that more than one term has
	size   int             // names, counting those that several terms name each time
}

// term is one comma-separated part of a host set: literals with ranges between
// them, len(lits) == len(ranges)+1.
type term struct {
	text   string
	column int // of the term in the whole set, from 1
	lits   []string
	ranges []numbers
	size   int
}

// ParseSet reads a host set: names and ranges separated by commas. It returns
// a *PatternError for what it cannot read, and for more than MaxSet names.
func ParseSet(set string) (*Set, error) {
	s := &Set{}
	p := &setParser{text: set}
	for {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		s.terms = append(s.terms, t)
		if s.size += t.size; s.size > MaxSet {
			return nil, p.tooMany(t, uint64(s.size))
		}
		if p.pos == len(p.text) {
			break
		}
		p.pos++ // the comma
	}
	s.findShared()
	return s, nil
}

// findShared notes the shapes that several terms have: only there can a name
// come twice.
func (s *Set) findShared() {
	if len(s.terms) == 1 {
		return
	}
	seen := make(map[string]bool, len(s.terms))
	for i := range s.terms {
		shape := s.terms[i].shape()
		if seen[shape] {
			if s.shared == nil {
				s.shared = make(map[string]bool)
			}
			s.shared[shape] = true
		}
		seen[shape] = true
	}
}

// shape is the term with each run of digits and ranges replaced by one sign.
func (t *term) shape() string {
	var b strings.Builder
	inDigits := false
	for i, lit := range t.lits {
		if i > 0 && !inDigits {
			b.WriteByte(0)
			inDigits = true
		}
		for j := range len(lit) {
			if isDigit(lit[j]) {
				if !inDigits {
					b.WriteByte(0)
				}
				inDigits = true
				continue
			}
			inDigits = false
			b.WriteByte(lit[j])
		}
	}
	return b.String()
}

// Len counts the names of the set. Where several ranges of one shape stand
// beside each other it has to make the names to do so.
func (s *Set) Len() int {
	if s.shared == nil {
		return s.size
	}
	n := 0
	for range s.All() {
		n++
	}
	return n
}

// All yields the names in the order written, the rightmost range turning
// fastest, each name once. Memory does not grow with the number of names,
// except where several terms have the same shape, as in web[1-5],web[3-9].
func (s *Set) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		var seen map[string]bool
		if s.shared != nil {
			seen = make(map[string]bool)
		}
		buf := make([]byte, 0, 64)
		for i := range s.terms {
			t := &s.terms[i]
			once := s.shared != nil && s.shared[t.shape()]
			more := t.each(buf, 0, func(name []byte) bool {
				if once {
					if seen[string(name)] {
						return true
					}
					seen[string(name)] = true
				}
				return yield(string(name))
			})
			if !more {
				return
			}
		}
	}
}

// each calls f for every name of the term, starting with part i; it reports
// whether f always wanted more. The bytes are valid during the call.
func (t *term) each(buf []byte, i int, f func([]byte) bool) bool {
	buf = append(buf, t.lits[i]...)
	if i == len(t.ranges) {
		return f(buf)
	}
	return t.ranges[i].each(buf, func(buf []byte) bool { return t.each(buf, i+1, f) })
}

// ExpandSet gives the names of a host set in the order written, each once:
// "web[01-03],db" is web01, web02, web03, db. The error is a *PatternError.
func ExpandSet(set string) ([]string, error) {
	s, err := ParseSet(set)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, s.size)
	for name := range s.All() {
		names = append(names, name)
	}
	return names, nil
}

// setParser reads the terms of one host set, or of one pattern.
type setParser struct {
	text string
	pos  int
	glob bool // in a pattern: wildcards may stand in a term, operators end it

	counted int // bytes of text whose characters were counted
	runes   int // characters in them
}

// columnAt is the column of a byte; places that go forward cost what lies between.
func (p *setParser) columnAt(at int) int {
	if at < p.counted {
		p.counted, p.runes = 0, 0
	}
	p.runes += utf8.RuneCountInString(p.text[p.counted:at])
	p.counted = at
	return p.runes + 1
}

func (p *setParser) fail(from, to int, msg, hint string) *PatternError {
	return &PatternError{
		Pattern: p.text,
		Column:  utf8.RuneCountInString(p.text[:from]) + 1,
		Word:    p.text[from:to],
		Msg:     msg,
		Hint:    hint,
	}
}

func (p *setParser) tooMany(t term, n uint64) *PatternError {
	from := p.pos - len(t.text)
	e := p.fail(max(from, 0), p.pos, fmt.Sprintf("host set of %s names, the limit is %d", count(n), MaxSet), "")
	e.Column, e.Word = t.column, t.text
	return e
}

// count writes n, which saturates.
func count(n uint64) string {
	if n == ^uint64(0) {
		return "too many"
	}
	return strconv.FormatUint(n, 10)
}

const operators = ",&!^"

// term reads up to the next operator outside brackets, without spaces around.
func (p *setParser) term() (term, error) {
	for p.pos < len(p.text) && p.text[p.pos] == ' ' {
		p.pos++
	}
	start := p.pos
	t := term{column: p.columnAt(start), size: 1}
	lit := start
	for p.pos < len(p.text) && !p.atEnd() {
		switch p.text[p.pos] {
		case '[':
			if err := p.closeLiteral(&t, lit); err != nil {
				return term{}, err
			}
			if err := p.bracket(&t); err != nil {
				return term{}, err
			}
			lit = p.pos
		case ']':
			return term{}, p.fail(p.pos, p.pos+1, `"]" without "["`, "")
		default:
			if err := p.checkChar(start); err != nil {
				return term{}, err
			}
			_, n := utf8.DecodeRuneInString(p.text[p.pos:])
			p.pos += n
		}
	}
	end := start + len(strings.TrimRight(p.text[start:p.pos], " "))
	t.lits = append(t.lits, p.text[min(lit, end):end])
	t.text = p.text[start:end]
	if i := strings.IndexByte(t.text, ' '); i >= 0 && !t.spaceInBrackets() {
		return term{}, p.fail(start, end, fmt.Sprintf("space inside %q", abbreviate(t.text)), "separate names with a comma")
	}
	if t.text == "" {
		return term{}, p.missing(start)
	}
	return t, nil
}

func (t *term) spaceInBrackets() bool {
	for _, lit := range t.lits {
		if strings.Contains(lit, " ") {
			return false
		}
	}
	return true
}

func (p *setParser) missing(at int) *PatternError {
	if strings.TrimSpace(p.text) == "" {
		return p.fail(0, len(p.text), "empty host set", "")
	}
	if at < len(p.text) {
		hint := ""
		if p.text[at] == '!' && at > 0 {
			hint = "web!db is all of web but db, without a comma"
		}
		return p.fail(at, at+1, fmt.Sprintf("name missing before %q", p.text[at:at+1]), hint)
	}
	return p.fail(at, at, "name missing at the end", "")
}

func (p *setParser) atEnd() bool {
	c := p.text[p.pos]
	return c == ',' || p.glob && strings.IndexByte(operators, c) >= 0
}

// checkChar refuses what no name may hold, and what only a pattern may.
func (p *setParser) checkChar(start int) error {
	r, n := utf8.DecodeRuneInString(p.text[p.pos:])
	word := p.text[p.pos : p.pos+n]
	switch {
	case r == ' ':
		return nil // around a term, or reported for the whole term
	case r == utf8.RuneError && n == 1:
		return p.fail(p.pos, p.pos+n, fmt.Sprintf("byte 0x%02x is not UTF-8", word[0]), "")
	case !strconv.IsPrint(r):
		return p.fail(p.pos, p.pos+n, fmt.Sprintf("character %q in a name", r), "")
	case p.glob:
		return nil
	case strings.ContainsRune("&!^*?", r), p.pos == start && (r == '@' || r == '~'):
		return p.fail(p.pos, p.pos+n, fmt.Sprintf("%q in a host set", word), "a host set holds names and ranges, a pattern may hold more")
	}
	return nil
}

// closeLiteral ends the literal before a bracket. Digits alone between two
// brackets are refused: one name could then come from several numbers.
func (p *setParser) closeLiteral(t *term, from int) error {
	lit := p.text[from:p.pos]
	if len(t.ranges) > 0 && strings.Trim(lit, "0123456789") == "" {
		return p.fail(p.pos, p.pos+1, "two ranges side by side", "put a character that is no digit between them")
	}
	t.lits = append(t.lits, lit)
	return nil
}

// bracket reads one [..] and adds it to the term.
func (p *setParser) bracket(t *term) error {
	open := p.pos
	length := strings.IndexByte(p.text[open:], ']')
	if length < 0 {
		return p.fail(open, len(p.text), `"[" without "]"`, "")
	}
	body := p.text[open+1 : open+length]
	if i := strings.IndexByte(body, '['); i >= 0 {
		return p.fail(open+1+i, open+2+i, `"[" inside "["`, "")
	}
	var r numbers
	at := open + 1
	for part := range strings.SplitSeq(body, ",") {
		if err := p.addSpan(&r, part, at); err != nil {
			return err
		}
		at += len(part) + 1
	}
	if r.size <= MaxSet {
		r.dedupe()
	}
	p.pos = open + length + 1
	hi, lo := bits.Mul64(r.size, uint64(t.size))
	if hi != 0 || lo > MaxSet {
		if hi != 0 {
			lo = ^uint64(0)
		}
		return p.fail(open, p.pos, fmt.Sprintf("range of %s names, the limit is %d", count(lo), MaxSet), "")
	}
	t.size = int(lo)
	t.ranges = append(t.ranges, r)
	return nil
}
