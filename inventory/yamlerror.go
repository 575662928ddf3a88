package inventory

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxRetried is the largest file in bytes that is parsed again, in parts, to
// find the line of a mistake.
const maxRetried = 1 << 20

// yamlError turns the parser's "yaml: line 3: did not find ..." into an Error.
// The parser gives lines only, often those where the broken part begins, or
// none; where the text shows what is wrong, that is said instead.
func yamlError(file string, data []byte, err error) *Error {
	msg, line := splitYAMLError(err)
	e := &Error{File: file, Line: line, Msg: "yaml: " + msg, Err: err}
	lines := bytes.Split(data, []byte("\n"))
	if tabLine, column := findTab(lines, line); tabLine > 0 {
		e.Line, e.Column, e.Word = tabLine, column, "\t"
		e.Msg, e.Hint = "a tab in the indentation", "indent with spaces"
		return e
	}
	if at, word := findOdd(data, msg); at >= 0 {
		before := data[:at]
		e.Word = word
		e.Line = bytes.Count(before, []byte("\n")) + 1
		e.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
		return e
	}
	if msg == "did not find expected key" || strings.Contains(msg, "'-' indicator") {
		e.Line = retryForLine(lines, msg, line)
	}
	if e.Line > len(lines) {
		e.Line = len(lines)
	}
	e.Column, e.Word, e.Hint = explainLine(string(lines[e.Line-1]))
	return e
}

// splitYAMLError gives the text and the line, from 1. The parser counts lines
// from 0 in errors of grammar and from 1 in those of single words, and leaves
// the first line out.
func splitYAMLError(err error) (msg string, line int) {
	msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	if strings.HasPrefix(msg, "did not find expected") {
		line++
	}
	return printable(msg), max(line, 1)
}

// findTab finds the first tab before the text of a line, looking no further
// than just after line last, where the parser gave up.
func findTab(lines [][]byte, last int) (line, column int) {
	for i, text := range lines[:min(last+1, len(lines))] {
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 && len(bytes.TrimSpace(text)) > 0 {
			return i + 1, tab + 1
		}
	}
	return 0, 0
}

// findOdd finds what the parser complains of without saying where: bytes that
// are no text, and aliases without an anchor.
func findOdd(data []byte, msg string) (at int, word string) {
	if name, ok := strings.CutPrefix(msg, "unknown anchor '"); ok {
		name = "*" + strings.TrimSuffix(name, "' referenced")
		return bytes.Index(data, []byte(name)), name
	}
	if !strings.Contains(msg, "UTF-8") && !strings.Contains(msg, "control characters") {
		return -1, ""
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' || 0x7f <= r && r < 0xa0 && r != 0x85 {
			return i, strconv.QuoteToASCII(string(data[i : i+n]))
		}
		i += n
	}
	return -1, ""
}

// retryForLine finds the line with which the error first comes, by parsing the
// text up to it; the parser says only where the enclosing part begins.
func retryForLine(lines [][]byte, msg string, from int) int {
	size := 0
	for _, l := range lines {
		size += len(l) + 1
	}
	if size > maxRetried {
		return from
	}
	n := sort.Search(len(lines), func(n int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(bytes.Join(lines[:n+1], []byte("\n"))))
		for {
			var doc yaml.Node
			if err := dec.Decode(&doc); err != nil {
				got, _ := splitYAMLError(err)
				return !errors.Is(err, io.EOF) && got == msg
			}
		}
	})
	if n == len(lines) {
		return from
	}
	return n + 1
}

// explainLine points into a line that the parser refused, and knows the
// mistakes that host sets and patterns invite.
func explainLine(text string) (column int, word, hint string) {
	column = len(text) - len(strings.TrimLeft(text, " ")) + 1
	if m := regexp.MustCompile("(?:^\\s*|[:,\\[{-]\\s+)([@`%&*!][^\\s,}\\]]*)").FindStringSubmatchIndex(text); m != nil {
		return utf8.RuneCountInString(text[:m[2]]) + 1, text[m[2]:m[3]], "quote a word that starts with a sign"
	}
	flow := strings.IndexAny(text, "[{")
	if flow < 0 {
		return column, "", ""
	}
	if m := regexp.MustCompile(`[\[{,]\s*([\w.-]+\[[^\]]*\]?)`).FindStringSubmatchIndex(text[flow:]); m != nil {
		word := text[flow+m[2] : flow+m[3]]
		return utf8.RuneCountInString(text[:flow+m[2]]) + 1, word, "quote a range inside [ ] or { }, as in \"web[1-3]\""
	}
	return utf8.RuneCountInString(text[:flow]) + 1, "", ""
}
