package inventory

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// The forms of patterns that come from Ansible: a:b, a:&b and a:!b, web[0:2],
// @FILE. In fleet's own grammar they are errors, so that no pattern means two things.

// part is a piece of a pattern, from one position to another.
type part struct{ from, to int }

// outside calls f for each position of text that stands in no brackets and no
// quotes, until f reports false.
func outside(text string, from int, f func(i int) bool) {
	depth, quoted := 0, false
	for i := from; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '(':
			depth++
		case c == ']' || c == ')':
			depth = max(0, depth-1)
		case depth == 0 && !f(i):
			return
		}
	}
}

// isAnsible says whether the pattern joins its parts as Ansible does: by :& and :!,
// or ,& and ,!, or begins with a sign and goes on with colons.
func (s *selection) isAnsible() bool {
	text := strings.TrimLeft(s.text, " ")
	found, colon, other := false, false, false
	outside(text, 1, func(i int) bool {
		switch c := text[i]; {
		case c == ',' || c == ':' && text[i-1] != ':':
			next := strings.TrimLeft(text[i+1:], " ")
			found = len(next) > 1 && (next[0] == '&' || next[0] == '!')
			colon = colon || c == ':'
			other = other || c == ','
		case strings.IndexByte(operators, c) >= 0:
			other = true
		}
		return !found
	})
	if found || text == "" {
		return found
	}
	at := s.pos
	s.pos = len(s.text) - len(strings.TrimLeft(text[1:], " ")) // behind a sign
	condition, _, _ := s.conditionAhead()
	s.pos = at
	if condition != "" { // disk:/var>1G has a colon of its own
		return false
	}
	switch text[0] {
	case '!':
		return colon && !other && !s.isName(text[1:])
	case '&':
		return (colon || strings.Contains(text, ",")) && !s.isName(text[1:])
	}
	return false
}

// isName says whether a word is one name, whatever colons there are in it.
func (s *selection) isName(word string) bool {
	if s.isKnown(word) || strings.Contains(word, "::") {
		return true
	}
	_, err := netip.ParseAddr(word)
	return err == nil
}

// splitOutside cuts the part at each sign that stands outside of brackets.
func splitOutside(text string, p part, sign byte) []part {
	var out []part
	from := p.from
	outside(text[:p.to], p.from, func(i int) bool {
		if text[i] == sign {
			out = append(out, part{from, i})
			from = i + 1
		}
		return true
	})
	return append(out, part{from, p.to})
}

// ansible evaluates a pattern as Ansible does: all parts that add hosts come
// first, then those with &, then those with !, wherever they stand.
func (s *selection) ansible() (hostBits, error) {
	whole := part{0, len(s.text)}
	parts := splitOutside(s.text, whole, ',')
	if len(parts) == 1 {
		parts = splitOutside(s.text, whole, ':')
	}
	result := newHostBits(len(s.inv.hosts))
	plain := 0
	for _, op := range []byte{',', '&', '!'} {
		for _, p := range parts {
			for p.from < p.to && s.text[p.from] == ' ' {
				p.from++
			}
			sign := byte(',')
			if p.from < p.to && (s.text[p.from] == '&' || s.text[p.from] == '!') {
				sign = s.text[p.from]
			}
			if sign != op {
				continue
			}
			if op == ',' {
				plain++
			} else {
				p.from++
			}
			bits, err := s.within(p, op, result)
			if err != nil {
				return nil, err
			}
			result.apply(op, bits)
		}
		if op == ',' && plain == 0 {
			result.fill(len(s.inv.hosts))
		}
	}
	return result, nil
}

// within evaluates a part of the pattern by itself.
func (s *selection) within(p part, op byte, so hostBits) (hostBits, error) {
	if s.depth++; s.depth > maxDepth {
		return nil, s.fail(p.from, p.to, "a pattern that is nested too deeply", "")
	}
	defer func() { s.depth-- }()
	sub := *s
	sub.text, sub.pos = s.text[:p.to], p.from
	bits, err := sub.operand(op, so)
	if err == nil && sub.pos < len(sub.text) {
		err = sub.further(bits)
	}
	var at *PatternError
	if errors.As(err, &at) && at.Pattern == sub.text {
		at.Pattern = s.text
	}
	return bits, err
}

// union evaluates a:b, which is a or b; false where the word is no such thing:
// a name that the inventory has, or an IPv6 address.
func (s *selection) union(to int, op byte, so hostBits) (hostBits, bool, error) {
	text := strings.TrimRight(s.text[s.pos:to], " ")
	whole := part{s.pos, s.pos + len(text)}
	if !strings.Contains(text, ":") || s.isName(strings.TrimPrefix(text, "@")) {
		return nil, false, nil
	}
	parts := splitOutside(s.text, whole, ':')
	if len(parts) == 1 {
		return nil, false, nil
	}
	if name, ok := strings.CutPrefix(text, "@"); ok && s.inv.isPrefix(name[:strings.IndexByte(name, ':')]) { // @SOURCE:GROUP
		return nil, false, nil
	}
	if name, ok := strings.CutPrefix(text, "@"); ok && s.inv.lookUp != nil {
		if _, known, err := s.inv.lookUp(name); known || err != nil { // @last:failed
			return nil, false, nil
		}
	}
	if strings.ContainsAny(text, "*?") {
		mask, group := strings.CutPrefix(text, "@")
		known := s.hostNames()
		if group {
			known = s.inv.groupNames()
		}
		for name := range known {
			if matchGlob(mask, name) {
				return nil, false, nil
			}
		}
	}
	out := newHostBits(len(s.inv.hosts))
	for i, p := range parts {
		bits, err := s.within(p, op, so)
		if err != nil {
			var at *PatternError
			if word := s.text[p.from:p.to]; errors.As(err, &at) && i == len(parts)-1 && at.Hint == "" && isPort(word) {
				at.Hint = "a port is given by --port, or in the inventory"
			}
			return nil, true, err
		}
		out.apply(',', bits)
	}
	s.pos = to
	return out, true, nil
}

func isPort(word string) bool {
	n, err := strconv.ParseUint(word, 10, 16)
	return err == nil && n > 0
}

func (s *selection) isKnown(name string) bool {
	if _, ok := s.inv.byName[name]; ok {
		return true
	}
	_, ok := s.inv.groupAt(name)
	return ok || name == All
}

// wordEnd is where the word at the place ends: at the next operator outside brackets.
func (s *selection) wordEnd() int {
	end := len(s.text)
	outside(s.text, s.pos, func(i int) bool {
		if strings.IndexByte(operators, s.text[i]) >= 0 {
			end = i
			return false
		}
		return true
	})
	return end
}

// subscript is [N], [FROM:TO] or [FROM:] behind a word, which counts hosts from 0 and takes
// both ends; a negative N counts from the end.
type subscript struct {
	from, to int
	one      bool
	open     bool // to the end
	sure     bool // no host set can be written like that
}

// cutSubscript finds the subscript at the end of a word.
func cutSubscript(word string) (base string, sub subscript, ok bool) {
	open := strings.LastIndexByte(word, '[')
	if open <= 0 || !strings.HasSuffix(word, "]") {
		return "", sub, false
	}
	body := word[open+1 : len(word)-1]
	base = word[:open]
	if n, err := strconv.Atoi(body); err == nil && body[0] != '+' {
		return base, subscript{from: n, to: n, one: true, sure: n < 0}, true
	}
	first, last, ok := strings.Cut(body, ":")
	if !ok {
		return "", sub, false
	}
	sub.sure = true
	var err1, err2 error
	sub.from, err1 = strconv.Atoi(first)
	if sub.open = last == ""; !sub.open {
		sub.to, err2 = strconv.Atoi(last)
	}
	return base, sub, err1 == nil && err2 == nil && sub.from >= 0 && sub.to >= 0
}

// counted evaluates a word with a subscript; false where it is a host set after
// all, or no such word.
func (s *selection) counted(to int, op byte, so hostBits) (hostBits, bool, error) {
	text := strings.TrimRight(s.text[s.pos:to], " ")
	base, sub, ok := cutSubscript(text)
	if !ok {
		return nil, false, nil
	}
	if !sub.sure && !s.isCount(base) {
		return nil, false, nil
	}
	bits, err := s.within(part{s.pos, s.pos + len(base)}, op, so)
	if err != nil {
		return nil, true, err
	}
	total := bits.count()
	from, last := sub.from, sub.to
	if sub.one && from < 0 {
		from += total
		last = from
	}
	if sub.open {
		last = total - 1
	}
	if sub.one && (from < 0 || from >= total) {
		return nil, true, s.fail(s.pos+len(base), s.pos+len(text), fmt.Sprintf("%s has %s, counted from 0", abbreviate(base), plural(total, "host", "hosts")), "")
	}
	out := newHostBits(len(s.inv.hosts))
	at := 0
	for i := range bits.all() {
		if from <= at && at <= last {
			out.set(i)
		}
		at++
	}
	s.pos = to
	return out, true, nil
}

// isCount says whether web[1] can only mean the second host of the group web:
// there is such a group, and nothing that is called web1, web01 or the like.
func (s *selection) isCount(base string) bool {
	name, group := strings.CutPrefix(base, "@")
	if _, ok := s.inv.groupAt(name); !ok && name != All {
		return false
	}
	var f folder
	want := f.shapeOf(name + "0")
	known := s.inv.groupNames()
	if !group {
		known = chain(known, s.hostNames())
	}
	for other := range known {
		if f.shapeOf(other) == want {
			return false
		}
	}
	return true
}

// maxPatternFile bounds a file of patterns in bytes.
const maxPatternFile = 64 << 20

// file evaluates @FILE, a file with a pattern a line, such as Ansible's retry
// files; false where there is no such file.
func (s *selection) file(w *word, out hostBits) (bool, error) {
	info, err := os.Stat(w.text)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.Contains(w.text, "/"):
		return false, nil
	case err == nil && (!info.Mode().IsRegular() || info.Size() > maxPatternFile):
		err = errors.New("no file of patterns")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(w.text)
	}
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return true, s.fail(w.from, w.to, fmt.Sprintf("read %s: %v", abbreviate(w.text), err), "")
	}
	if s.depth++; s.depth > maxDepth {
		return true, s.fail(w.from, w.to, "files of patterns that name each other", "")
	}
	defer func() { s.depth-- }()
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	lines.Buffer(nil, maxPatternFile+1)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		sub := &selection{inv: s.inv, depth: s.depth, setParser: setParser{text: line, glob: true}}
		bits, err := sub.evaluate()
		if err != nil {
			return true, s.fail(w.from, w.to, printable(fmt.Sprintf("%s:%d: %v", w.text, number, err)), "")
		}
		out.apply(',', bits)
	}
	return true, nil
}
