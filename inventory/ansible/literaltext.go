package ansible

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// texts reads string literals side by side, which are one string.
func (p *literal) texts(depth int) (any, bool) {
	var all strings.Builder
	var bytes bool
	for first := true; ; first = false {
		at := p.pos
		p.space(depth > 0)
		end := p.pos
		for end < len(p.text) && isAlnum(p.text[end]) {
			end++
		}
		prefix := strings.ToLower(p.text[p.pos:end])
		if end >= len(p.text) || p.text[end] != '"' && p.text[end] != '\'' || prefix != "" && !isPrefix(prefix) {
			p.pos = at
			break
		}
		if isBytes := strings.Contains(prefix, "b"); !first && isBytes != bytes {
			return nil, false
		} else {
			bytes = isBytes
		}
		p.pos = end
		body, ok := p.quoted()
		if !ok {
			return nil, false
		}
		if !strings.Contains(prefix, "r") {
			if body, ok = p.unescape(body, bytes); !ok {
				return nil, false
			}
		}
		all.WriteString(body)
	}
	if bytes {
		return rawBytes(all.String()), true
	}
	return all.String(), true
}

// quoted reads up to the closing quote, one or three, and gives what is between.
func (p *literal) quoted() (string, bool) {
	quote := p.text[p.pos : p.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.text[p.pos:], triple) {
		quote = triple
	}
	p.pos += len(quote)
	from := p.pos
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '\\':
			p.pos += 2
		case strings.HasPrefix(p.text[p.pos:], quote):
			body := p.text[from:p.pos]
			p.pos += len(quote)
			return body, true
		case len(quote) == 1 && (c == '\n' || c == '\r'):
			return "", false
		default:
			p.pos++
		}
	}
	return "", false
}

// unescape replaces the escapes of a string, or of bytes. Half of a surrogate
// pair is no text for JSON, so the whole literal stays as written.
func (p *literal) unescape(body string, bytes bool) (string, bool) {
	if !strings.Contains(body, `\`) {
		return body, !bytes || isASCII(body)
	}
	var out strings.Builder
	for i := 0; i < len(body); {
		c := body[i]
		if c != '\\' {
			if bytes && c >= utf8.RuneSelf {
				return "", false
			}
			out.WriteByte(c)
			i++
			continue
		}
		n, ok := p.escape(&out, body[i+1:], bytes)
		if !ok {
			return "", false
		}
		i += 1 + n
	}
	return out.String(), true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// escape writes what follows a backslash and gives the length of it in rest.
func (p *literal) escape(out *strings.Builder, rest string, bytes bool) (int, bool) {
	c := rest[0]
	if i := strings.IndexByte(`\'"abfnrtv`, c); i >= 0 {
		out.WriteByte("\\'\"\a\b\f\n\r\t\v"[i])
		return 1, true
	}
	switch {
	case c == '\n':
		return 1, true
	case '0' <= c && c <= '7':
		n := 1
		for n < 3 && n < len(rest) && '0' <= rest[n] && rest[n] <= '7' {
			n++
		}
		code, _ := strconv.ParseUint(rest[:n], 8, 16)
		put(out, rune(code), bytes)
		return n, true
	case c == 'x':
		return p.code(out, rest, 2, bytes)
	case c == 'u' && !bytes:
		return p.code(out, rest, 4, false)
	case c == 'U' && !bytes:
		return p.code(out, rest, 8, false)
	case c == 'N' && !bytes:
		return 0, false // names of characters are not known here
	}
	out.WriteByte('\\')
	return 0, true
}

func put(out *strings.Builder, code rune, bytes bool) {
	if bytes {
		out.WriteByte(byte(code))
		return
	}
	out.WriteRune(code)
}

// code writes a character by its number of so many hexadecimal digits.
func (p *literal) code(out *strings.Builder, rest string, digits int, bytes bool) (int, bool) {
	if len(rest) < 1+digits {
		return 0, false
	}
	code, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
	if err != nil || code > utf8.MaxRune {
		return 0, false
	}
	if 0xd800 <= code && code < 0xe000 {
		p.odd = true
	}
	put(out, rune(code), bytes)
	return 1 + digits, true
}
