package transfer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// SafeName is the name that an entry of a host, or a host, gets on this machine:
// what could act on a terminal, or is no text, or a backslash, is written as %XX
// for each byte. It can be undone: a % that would be read so is written so, too.
func SafeName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		bad := r == utf8.RuneError && n == 1 || r == '\\' || !unicode.IsGraphic(r) ||
			r == '%' && i+2 < len(name) && isHex(name[i+1]) && isHex(name[i+2])
		for _, c := range []byte(name[i : i+n]) {
			if bad {
				b.WriteByte('%')
				b.WriteByte(hexDigit(c >> 4))
				b.WriteByte(hexDigit(c & 15))
			} else {
				b.WriteByte(c)
			}
		}
		i += n
	}
	return b.String()
}

// RawName undoes SafeName.
func RawName(safe string) string {
	var b strings.Builder
	for i := 0; i < len(safe); i++ {
		if safe[i] == '%' && i+2 < len(safe) && isHex(safe[i+1]) && isHex(safe[i+2]) {
			b.WriteByte(unhex(safe[i+1])<<4 | unhex(safe[i+2]))
			i += 2
			continue
		}
		b.WriteByte(safe[i])
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f' }

func hexDigit(n byte) byte { return "0123456789ABCDEF"[n] }

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
