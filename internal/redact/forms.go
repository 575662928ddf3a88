package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// formsOf lists the ways in which a secret may be written, itself first.
func formsOf(secret []byte) [][]byte {
	text := string(secret)
	list := [][]byte{secret}
	list = append(list, base64Forms(secret)...)
	for _, s := range []string{
		hex.EncodeToString(secret),
		strings.ToUpper(hex.EncodeToString(secret)),
		url.QueryEscape(text),
		lowerEscapes(url.QueryEscape(text)),
		url.PathEscape(text),
		lowerEscapes(url.PathEscape(text)),
		percentAll(secret, "%%%02X"),
		percentAll(secret, "%%%02x"),
		strings.ReplaceAll(text, `'`, `'\''`),  // within '...', as tasks.Quote and most do
		strings.ReplaceAll(text, `'`, `'"'"'`), // as Python's shlex does
		backslashed(text, "\"\\$`"),            // within "..."
		backslashed(text, "\"\\$`!"),           // the same, where history expansion is feared
		backslashed(text, "\\'"),               // within $'...'
		strings.ReplaceAll(text, "\n", "\r\n"), // as terminals end lines
		backslashed(text, " \t!\"#$&'()*,;<>?[\\]^`{|}"),
		backslashed(text, " \t!\"#$&'()*,;<=>?[\\]^`{|}~"),
	} {
		list = append(list, []byte(s))
	}
	return append(list, jsonForms(text)...)
}

// base64Forms are the characters that stand for the secret wherever it lies in
// what was encoded: three alignments, less the characters that its neighbours
// have a part in (RFC 4648, sections 4 and 5), and where the secret stands at the
// beginning also in lines. Fewer than four would be found in any text.
func base64Forms(secret []byte) (list [][]byte) {
	for before := range 3 {
		whole := (before + len(secret)) / 3 * 3 // bytes in groups that the secret ends
		padded := append(make([]byte, before), secret...)
		text := base64.StdEncoding.EncodeToString(padded[:whole])
		// Of the last, cut group all characters count but that which the next
		// byte has a part in.
		if rest := len(padded) - whole; rest > 0 {
			text += base64.RawStdEncoding.EncodeToString(padded[whole:])[:rest]
		}
		text = text[min(len(text), []int{0, 2, 3}[before]):]
		if len(text) < 4 {
			continue
		}
		list = append(list, []byte(text), []byte(strings.NewReplacer("+", "-", "/", "_").Replace(text)))
		if before > 0 {
			continue // only of what begins with the secret it is known where lines end
		}
		for _, columns := range []int{64, 76} { // openssl, PEM; base64(1), MIME
			if len(text) > columns {
				list = append(list, wrapped(text, columns, "\n"), wrapped(text, columns, "\r\n"))
			}
		}
	}
	return list
}

// wrapped is text in lines of so many columns.
func wrapped(text string, columns int, end string) (lines []byte) {
	for ; len(text) > columns; text = text[columns:] {
		lines = append(append(lines, text[:columns]...), end...)
	}
	return append(lines, text...)
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

func percentAll(secret []byte, format string) string {
	var b strings.Builder
	for _, c := range secret {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// backslashed puts a backslash before each of the special characters.
func backslashed(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// jsonForms are the text as JSON strings have it, with and without the escapes
// that are for HTML, and with ASCII alone, as Python writes it.
func jsonForms(text string) (list [][]byte) {
	for _, html := range []bool{false, true} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(html)
		if enc.Encode(text) == nil {
			form := bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(b.Bytes()), []byte(`"`)), []byte(`"`))
			list = append(list, form, asciiOnly(form))
		}
	}
	return list
}

// asciiOnly writes what is not ASCII as escapes of UTF-16 (RFC 8259, section 7).
func asciiOnly(text []byte) (form []byte) {
	for _, r := range string(text) {
		if r < utf8.RuneSelf {
			form = append(form, byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			form = fmt.Appendf(form, `\u%04x`, unit)
		}
	}
	return form
}
