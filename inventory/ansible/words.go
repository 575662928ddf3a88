package ansible

import (
	"errors"
	"strings"
)

// word is one word of a line, without its quotes.
type word struct {
	text string
	at   int // where it begins in the line, in bytes
}

const wordSpace = " \t\r\n"

// splitWords splits a line as Python's shlex does with comments on: quotes and
// backslashes as in a shell, and a # outside quotes ends the line even inside a word.
func splitWords(line string, words []word) ([]word, error) {
	for i := 0; i < len(line); {
		if strings.IndexByte(wordSpace, line[i]) >= 0 {
			i++
			continue
		}
		if line[i] == '#' {
			break
		}
		n := strings.IndexAny(line[i:], wordSpace+`'"\#`)
		if n < 0 {
			return append(words, word{line[i:], i}), nil
		}
		if c := line[i+n]; strings.IndexByte(wordSpace, c) >= 0 || c == '#' {
			words = append(words, word{line[i : i+n], i})
			if c == '#' {
				break
			}
			i += n
			continue
		}
		text, end, err := quotedWord(line, i)
		if err != nil {
			return words, err
		}
		words = append(words, word{text, i})
		i = end
		if i < len(line) && line[i] == '#' {
			break
		}
	}
	return words, nil
}

// quotedWord reads the word at i, in which there are quotes or backslashes, and
// says where it ends.
func quotedWord(line string, i int) (string, int, error) {
	var out strings.Builder
	quote := byte(0)
	for ; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == '\\' && quote != '\'':
			if i++; i == len(line) {
				return "", i, errors.New("a backslash at the end of the line")
			}
			if quote == '"' && line[i] != '"' && line[i] != '\\' {
				out.WriteByte('\\')
			}
			out.WriteByte(line[i])
		case quote == 0 && (c == '#' || strings.IndexByte(wordSpace, c) >= 0):
			return out.String(), i, nil
		default:
			out.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", i, errors.New("a quote that is not closed")
	}
	return out.String(), i, nil
}
