package remote

import "strings"

// plain are the bytes that no shell reads as anything but themselves, wherever
// in a word they stand.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+"

// Quote quotes word so that a POSIX shell reads it as one word, exactly as it
// is (POSIX.1-2017, Shell Command Language, 2.2.2 Single-Quotes). A word cannot
// hold a NUL byte; Quote cuts it there, as every program's argv would.
func Quote(word string) string {
	word, isPlain := cut(word)
	if isPlain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func cut(word string) (upToNUL string, isPlain bool) {
	if i := strings.IndexByte(word, 0); i >= 0 {
		word = word[:i]
	}
	return word, word != "" && strings.Trim(word, plain) == ""
}

// special are the bytes that have a meaning between single quotes in a login
// shell that is no POSIX shell: the backslash in fish, the exclamation mark in
// csh. Outside quotes, behind a backslash, they have none in any of them.
var special = strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`, `!`, `'\!'`)

// quoteForAny is Quote for a word that a login shell of any kind reads, with one
// exception: csh takes no line break between quotes.
func quoteForAny(word string) string {
	word, isPlain := cut(word)
	if isPlain {
		return word
	}
	return "'" + special.Replace(word) + "'"
}
