package tasks

import "strings"

// plain are the bytes that no shell reads as anything but themselves, wherever
// in a word they stand.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+"

// Quote quotes word so that a POSIX shell reads it as one word, exactly as it
// is (POSIX.1-2017, Shell Command Language, 2.2.2 Single-Quotes). A word cannot
// hold a NUL byte; Quote cuts it there, as every program's argv would.
func Quote(word string) string {
	if i := strings.IndexByte(word, 0); i >= 0 {
		word = word[:i]
	}
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// QuoteAll quotes each word and joins them with spaces.
func QuoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
