package shell

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fileWord gives the word at the end of text, without its backslashes, where it is
// the name of a file of this machine: any word of :push, and the first one of
// :script and :stdin. Words in quotes are not looked into.
func fileWord(text string) (word string, ok bool) {
	action, rest, found := strings.Cut(text, " ")
	if !found || action != ":push" && action != ":script" && action != ":stdin" {
		return "", false
	}
	var b strings.Builder
	before := 0
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '\'', '"':
			return "", false
		case ' ', '\t':
			if b.Len() > 0 {
				before++
			}
			b.Reset()
		case '\\':
			if i++; i == len(rest) {
				return "", false
			}
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), before == 0 || action == ":push"
}

// files gives the files whose names begin with prefix; folders end in a slash.
// Hidden ones are left out, unless the prefix asks for them, as are those whose
// names cannot be typed.
func files(prefix string) []string {
	dir, base := filepath.Split(prefix)
	from := dir
	if from == "" {
		from = "."
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		hidden := name[0] == '.' && base == ""
		if hidden || !strings.HasPrefix(name, base) || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			continue
		}
		name = dir + name
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name += "/"
		}
		found = append(found, name)
	}
	return found
}

// quoteMore is what whole has after word, quoted as splitWords reads it, and
// without a character of which a part is missing.
func quoteMore(whole, word string) string {
	var b strings.Builder
	for more := strings.TrimPrefix(whole, word); more != ""; {
		r, n := utf8.DecodeRuneInString(more)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if strings.ContainsRune(" \\'\"", r) {
			b.WriteByte('\\')
		}
		b.WriteString(more[:n])
		more = more[n:]
	}
	return b.String()
}
