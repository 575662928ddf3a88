package shell

import (
	"bufio"
	"io"
	"strings"
)

// Source reads lines, as from a pipe or a file, and counts them.
type Source struct {
	// More, where not nil, is called before a line is read that goes on with
	// the one before.
	More func()

	r      *bufio.Reader
	number int
}

// NewSource reads r, no further ahead than r gives at once.
func NewSource(r io.Reader) *Source { return &Source{r: bufio.NewReader(r)} }

// maxLine bounds a line with its continuations. The longest command that Linux
// gives a shell is 128 KiB (execve(2), MAX_ARG_STRLEN).
const maxLine = 1 << 20

// Next gives the next line without its break, together with the lines that it
// goes on in, and the number of its first; io.EOF at the end. Any other error
// but an *Error is that of the reader.
func (s *Source) Next() (text string, number int, err error) {
	number = s.number + 1
	var b strings.Builder
	for {
		line, err := s.line()
		switch {
		case err == io.EOF && b.Len() > 0:
			return "", number, wrong("", "the line ends in a backslash, and none comes after it")
		case err != nil:
			return "", number, err
		}
		b.WriteString(line)
		switch {
		case b.Len() > maxLine:
			return "", number, TooLong(maxLine)
		case !Continues(b.String()):
			return b.String(), number, nil
		}
		b.WriteByte('\n')
		if s.More != nil {
			s.More()
		}
	}
}

// TooLong is the error of a line that does not fit.
func TooLong(most int) error {
	return wrong("put it into a script on the hosts", "the line has %d characters or more", most)
}

// line reads one line. Of one that is too long it keeps too much, but not all.
func (s *Source) line() (string, error) {
	var line []byte
	for {
		piece, more, err := s.r.ReadLine()
		if err != nil {
			return "", err
		}
		if len(line) <= maxLine {
			line = append(line, piece...)
		}
		if !more {
			break
		}
	}
	s.number++
	text := string(line)
	if s.number == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	return text, nil
}
