package sshconfig

import "strings"

const blanks = " \t\r\n"

// splitLine splits one line into its keyword, in lower case, and the rest. The
// keyword is empty for blank lines and comments. Between them stands white
// space, "=", or "=" within white space.
func splitLine(line string) (keyword, rest string) {
	line = strings.TrimRight(line, blanks+"\f")
	keyword, rest, ok := nextDelimited(line)
	if ok && keyword == "" {
		keyword, rest, ok = nextDelimited(rest)
	}
	if !ok || keyword == "" || keyword[0] == '#' {
		return "", ""
	}
	return strings.ToLower(keyword), strings.TrimLeft(rest, blanks)
}

// nextDelimited splits off the next word that ends at white space or one "=".
// It may have a part in double quotes, which ends it. It is not ok at a quote
// without an end.
func nextDelimited(s string) (word, rest string, ok bool) {
	i := strings.IndexAny(s, blanks+"\"=")
	if i < 0 {
		return s, "", true
	}
	if s[i] == '"' {
		end := strings.IndexByte(s[i+1:], '"')
		if end < 0 {
			return "", "", false
		}
		word = s[:i] + s[i+1:i+1+end]
		return word, strings.TrimLeft(s[i+1+end+1:], blanks), true
	}
	word, rest = s[:i], strings.TrimLeft(s[i+1:], blanks)
	if s[i] != '=' && strings.HasPrefix(rest, "=") {
		rest = strings.TrimLeft(rest[1:], blanks)
	}
	return word, rest, true
}

// splitWords splits arguments at spaces and tabs. Words may be quoted in whole
// or in part by ' or "; a backslash takes the meaning off a quote, a backslash
// and, outside of quotes, a space. A word that begins with # ends the line. It
// is not ok if a quote has no end.
func splitWords(s string) (words []string, ok bool) {
	for i := 0; i < len(s); {
		if s[i] == ' ' || s[i] == '\t' {
			i++
			continue
		}
		if s[i] == '#' {
			break
		}
		word, n, ok := oneWord(s[i:])
		if !ok {
			return nil, false
		}
		words = append(words, word)
		i += n
	}
	return words, true
}

// oneWord reads the word at the start of s and gives how many bytes it took.
func oneWord(s string) (word string, n int, ok bool) {
	if end := strings.IndexAny(s, " \t'\"\\"); end < 0 {
		return s, len(s), true
	} else if s[end] == ' ' || s[end] == '\t' {
		return s[:end], end, true
	}
	var b strings.Builder
	var quote byte
	for n < len(s) {
		c := s[n]
		switch {
		case c == '\\' && n+1 < len(s) && (strings.IndexByte(`'"\`, s[n+1]) >= 0 || quote == 0 && s[n+1] == ' '):
			n++
			b.WriteByte(s[n])
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), n, true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			b.WriteByte(c)
		}
		n++
	}
	return b.String(), n, quote == 0
}
