package ansible

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNested is how deep brackets may stand inside each other in a literal; the
// parser of Python stops there too.
const maxNested = 200

// Value reads the text of a variable as Ansible's INI inventories do: what is a
// literal of Python (ast.literal_eval) is that value, everything else is text.
// Tuples become lists. What no JSON can say is text as well: sets, complex
// numbers, bytes inside other values, keys that are tuples, numbers that are
// infinite or integers beyond 64 bits.
func Value(text string) any {
	if word, ok := plainWord(text); ok {
		return word
	}
	p := literal{text: strings.TrimLeft(text, " \t")}
	v, ok := p.expression(0)
	if !ok || !p.atEnd() {
		return text
	}
	if raw, isBytes := v.(rawBytes); isBytes {
		if !utf8.ValidString(string(raw)) {
			return text
		}
		return string(raw)
	}
	if p.odd {
		return text
	}
	return v
}

// plainWord answers for the words that most values are: numbers of a few digits,
// and words that begin no literal.
func plainWord(text string) (any, bool) {
	if text == "" {
		return text, true
	}
	c := text[0]
	switch {
	case '1' <= c && c <= '9' && len(text) < 18:
		n := int64(0)
		for i := 0; i < len(text); i++ {
			if text[i] < '0' || text[i] > '9' {
				if text[i] == '.' && strings.Count(text, ".") == 3 && strings.Trim(text, ".0123456789") == "" {
					return text, true // an IPv4 address
				}
				return nil, false
			}
			n = n*10 + int64(text[i]-'0')
		}
		return n, true
	case 'a' <= c && c <= 'z' && c != 'u' && c != 'r' && c != 'b' && c != 's', 'A' <= c && c <= 'Z' && strings.IndexByte("TFNURB", c) < 0, c == '/', c == '~', c == '@':
		return text, true
	}
	return nil, false
}

// rawBytes is a bytes literal.
type rawBytes string

// literal reads one Python literal.
type literal struct {
	text string
	pos  int
	odd  bool // a value that JSON has no word for
}

// space skips white space and comments; line ends count as space in brackets only.
func (p *literal) space(nested bool) {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == ' ' || c == '\t' || c == '\f':
			p.pos++
		case c == '#':
			if end := strings.IndexByte(p.text[p.pos:], '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.text)
			}
		case nested && (c == '\n' || c == '\r'):
			p.pos++
		default:
			return
		}
	}
}

func (p *literal) atEnd() bool {
	for p.space(true); p.pos < len(p.text); p.space(true) {
		return false
	}
	return true
}

func (p *literal) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// expression reads a value, and commas after it that make a tuple.
func (p *literal) expression(depth int) (any, bool) {
	v, ok := p.value(depth)
	if !ok || depth > 0 {
		return v, ok
	}
	if p.space(false); p.peek() != ',' {
		return v, true
	}
	list, ok := p.items(v, 0, depth)
	return list, ok
}

// items reads the rest of a list whose first value was read, up to the sign
// that closes it, or the end of the text for 0.
func (p *literal) items(first any, end byte, depth int) ([]any, bool) {
	p.mark(first)
	list := []any{first}
	for {
		p.space(end != 0)
		if p.peek() == end && (end != 0 || p.pos == len(p.text)) {
			return list, true
		}
		if p.peek() != ',' {
			return list, end == 0 && p.atEnd()
		}
		p.pos++
		if p.space(end != 0); p.peek() == end && (end != 0 || p.pos == len(p.text)) {
			return list, true
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		p.mark(v)
		list = append(list, v)
	}
}

// mark notes that bytes stand inside another value.
func (p *literal) mark(v any) {
	if _, ok := v.(rawBytes); ok {
		p.odd = true
	}
}

func (p *literal) value(depth int) (any, bool) {
	p.space(depth > 0)
	if depth > maxNested || p.pos >= len(p.text) {
		return nil, false
	}
	switch c := p.peek(); {
	case c == '[':
		return p.list(depth)
	case c == '(':
		return p.tuple(depth)
	case c == '{':
		return p.dict(depth)
	case c == '+' || c == '-':
		p.pos++
		p.space(depth > 0)
		v, ok := p.number()
		if !ok {
			return nil, false
		}
		if c == '-' {
			v = p.negative(v)
		}
		return p.sum(v, depth)
	case '0' <= c && c <= '9' || c == '.':
		v, ok := p.number()
		if !ok {
			return nil, false
		}
		return p.sum(v, depth)
	case c == '"' || c == '\'':
		return p.texts(depth)
	}
	return p.word(depth)
}

// sum reads the second half of a complex number, which is a literal too.
func (p *literal) sum(v any, depth int) (any, bool) {
	at := p.pos
	p.space(depth > 0)
	if c := p.peek(); c != '+' && c != '-' {
		p.pos = at
		return v, true
	}
	p.pos++
	p.space(depth > 0)
	from := p.pos
	if _, ok := p.number(); !ok || p.text[p.pos-1]|0x20 != 'j' || p.pos-from < 2 {
		return nil, false
	}
	p.odd = true
	return v, true
}

func (p *literal) list(depth int) (any, bool) {
	p.pos++
	if p.space(true); p.peek() == ']' {
		p.pos++
		return []any{}, true
	}
	return p.rest(']', depth)
}

// rest reads values up to the closing sign.
func (p *literal) rest(end byte, depth int) (any, bool) {
	first, ok := p.value(depth + 1)
	if !ok {
		return nil, false
	}
	list, ok := p.items(first, end, depth)
	if !ok || p.peek() != end {
		return nil, false
	}
	p.pos++
	return list, true
}

// tuple reads what stands in ( ): a list, or one value without a comma.
func (p *literal) tuple(depth int) (any, bool) {
	p.pos++
	if p.space(true); p.peek() == ')' {
		p.pos++
		return []any{}, true
	}
	first, ok := p.value(depth + 1)
	if !ok {
		return nil, false
	}
	if p.space(true); p.peek() == ')' {
		p.pos++
		return first, true
	}
	if p.peek() != ',' {
		return nil, false
	}
	list, ok := p.items(first, ')', depth)
	if !ok || p.peek() != ')' {
		return nil, false
	}
	p.pos++
	return list, true
}

// dict reads { }, which is a set where the first value has no colon after it.
func (p *literal) dict(depth int) (any, bool) {
	p.pos++
	m := map[string]any{}
	numbers := map[float64]string{}
	for first := true; ; first = false {
		if p.space(true); p.peek() == '}' {
			p.pos++
			return m, true
		}
		if !first {
			if p.peek() != ',' {
				return nil, false
			}
			p.pos++
			if p.space(true); p.peek() == '}' {
				p.pos++
				return m, true
			}
		}
		key, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		p.space(true)
		if first && (p.peek() == ',' || p.peek() == '}') { // a set
			p.odd = true
			list, ok := p.items(key, '}', depth)
			if !ok || p.peek() != '}' {
				return nil, false
			}
			p.pos++
			return list, true
		}
		if p.peek() != ':' {
			return nil, false
		}
		p.pos++
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		p.mark(v)
		name, ok := keyText(key)
		if !ok {
			p.odd = true
		}
		if n, ok := keyNumber(key); ok { // 1, 1.0 and True are one key, written as the first
			if first, again := numbers[n]; again {
				name = first
			}
			numbers[n] = name
		}
		m[name] = v
	}
}

// word reads True, False, None, and strings with letters before them.
func (p *literal) word(depth int) (any, bool) {
	from := p.pos
	for p.pos < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.pos:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		p.pos += n
	}
	switch word := p.text[from:p.pos]; word {
	case "True":
		return true, true
	case "False":
		return false, true
	case "None":
		return nil, true
	default:
		if c := p.peek(); (c == '"' || c == '\'') && isPrefix(word) {
			p.pos = from
			return p.texts(depth)
		}
		if word == "set" && strings.HasPrefix(p.text[p.pos:], "()") {
			p.pos += 2
			p.odd = true
			return nil, true
		}
	}
	return nil, false
}

func isPrefix(word string) bool {
	switch strings.ToLower(word) {
	case "u", "b", "r", "br", "rb":
		return true
	}
	return false
}
