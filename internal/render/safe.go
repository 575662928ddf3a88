package render

import (
	"unicode"
	"unicode/utf8"
)

// AppendSafe appends src to dst so that a terminal can show it: of control
// characters only line feeds and tabs remain, nothing that moves the cursor,
// sets the title, reorders or hides text. CR LF becomes LF. Everything taken
// out is shown in its place (\x1b, \r, \u202e; bytes that are no UTF-8 as \xNN),
// but sequences that only set colours or clear the rest of a line, which common
// tools write, are left out without a trace. A literal backslash is not doubled.
//
// The result is valid UTF-8 whatever src holds, and so is any concatenation of
// results; src may be cut anywhere, though a character that is cut is then
// shown as bytes.
func AppendSafe(dst, src []byte) []byte { return appendSafe(dst, src, true) }

// AppendSafeLine is AppendSafe for text that must stay within one line: line
// feeds and tabs are shown as \n and \t.
func AppendSafeLine(dst, src []byte) []byte { return appendSafe(dst, src, false) }

// SafeLine is AppendSafeLine for a string.
func SafeLine(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return string(AppendSafeLine(nil, []byte(s)))
		}
	}
	return s
}

const hexDigits = "0123456789abcdef"

func appendSafe(dst, src []byte, lines bool) []byte {
	for i := 0; i < len(src); {
		start := i
		for i < len(src) && (src[i] >= 0x20 && src[i] < 0x7f || src[i] == '\t' && lines) {
			i++
		}
		dst = append(dst, src[start:i]...)
		if i == len(src) {
			break
		}
		if src[i] < utf8.RuneSelf {
			var n int
			dst, n = appendControl(dst, src[i:], lines)
			i += n
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = appendByte(dst, src[i])
		case forbidden(r):
			dst = appendCodePoint(dst, r)
		default:
			dst = append(dst, src[i:i+n]...)
		}
		i += n
	}
	return dst
}

// appendControl shows the control character at the beginning of src and returns
// how many bytes of src that took.
func appendControl(dst, src []byte, lines bool) ([]byte, int) {
	switch src[0] {
	case '\n':
		if lines {
			return append(dst, '\n'), 1
		}
		return append(dst, `\n`...), 1
	case '\t':
		return append(dst, `\t`...), 1
	case '\r':
		if lines && len(src) > 1 && src[1] == '\n' {
			return dst, 1
		}
		return append(dst, `\r`...), 1
	case 0x1b:
		if n := plainSequence(src); n > 0 {
			return dst, n
		}
	}
	return appendByte(dst, src[0]), 1
}

// plainSequence is the length of the escape sequence at the beginning of src if
// it is one whose loss changes no text: SGR (colours), EL (erase to the end of
// the line) and the choice of ASCII that tput sgr0 writes. ECMA-48 8.3.117,
// 8.3.41; ISO 2022.
func plainSequence(src []byte) int {
	if len(src) < 3 {
		return 0
	}
	if src[1] == '(' && src[2] == 'B' {
		return 3
	}
	if src[1] != '[' {
		return 0
	}
	for i := 2; i < len(src) && i < 64; i++ {
		switch c := src[i]; {
		case c == 'm', c == 'K':
			return i + 1
		case c >= '0' && c <= '9', c == ';', c == ':':
		default:
			return 0
		}
	}
	return 0
}

func appendByte(dst []byte, c byte) []byte {
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

func appendCodePoint(dst []byte, r rune) []byte {
	digits := 4
	dst = append(dst, '\\', 'u')
	if r > 0xffff {
		dst[len(dst)-1] = 'U'
		digits = 8
	}
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[r>>shift&15])
	}
	return dst
}

// forbidden says that no terminal may be shown r, which is not ASCII: C1
// controls, format characters (bidirectional controls, zero-width characters,
// tags), line and paragraph separators, and letters that show nothing.
func forbidden(r rune) bool {
	if r < 0xad {
		return r < 0xa0
	}
	switch r {
	case 0x2028, 0x2029, // separators
		0x34f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xffa0: // invisible
		return true
	}
	return unicode.Is(unicode.Cf, r)
}
