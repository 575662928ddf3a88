package inventory

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// yamlError turns the parser's "yaml: line 3: did not find ..." into an Error.
// The parser gives lines only, and those of the place where it gave up; where
// the text shows what is wrong, that is said instead.
func yamlError(file string, data []byte, err error) *Error {
	e := &Error{File: file, Err: err}
	e.Msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(e.Msg); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Msg = m[2]
	}
	e.Msg = "yaml: " + strings.Join(strings.Fields(e.Msg), " ")
	if line, column := findTab(data, e.Line); line > 0 {
		e.Line, e.Column, e.Word = line, column, "\t"
		e.Msg, e.Hint = "a tab in the indentation", "indent with spaces"
		return e
	}
	lines := bytes.Split(data, []byte("\n"))
	if e.Line > 0 && e.Line <= len(lines) {
		text := string(lines[e.Line-1])
		e.Column = len(text) - len(strings.TrimLeft(text, " ")) + 1
		e.Hint = yamlHint(text)
	}
	return e
}

// findTab finds the first tab before the text of a line, looking no further
// than just after line last, where the parser gave up.
func findTab(data []byte, last int) (line, column int) {
	for text := range bytes.Lines(data) {
		line++
		if last > 0 && line > last+1 {
			break
		}
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 && len(bytes.TrimSpace(text)) > 0 {
			return line, utf8.RuneCount(text[:tab]) + 1
		}
	}
	return 0, 0
}

// yamlHint knows the mistake that host sets invite.
func yamlHint(text string) string {
	flow := strings.IndexAny(text, "[{")
	if flow < 0 {
		return ""
	}
	if regexp.MustCompile(`[\[{,]\s*[\w.-]+\[`).MatchString(text[flow:]) {
		return `quote a range inside [ ] or { }, as in "web[1-3]"`
	}
	return ""
}
