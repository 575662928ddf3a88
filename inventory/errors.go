package inventory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maxErrors bounds how many errors one load reports.
const maxErrors = 10_000

// Error is one thing wrong in an inventory file.
type Error struct {
	File         string // as given to Load or Parse
	Line, Column int    // from 1, Column in characters; 0 where unknown
	Word         string // the word that is wrong, where there is one
	Msg          string // what is wrong with it; on one line
	Hint         string // the way out, where there is one
	Err          error  // the cause from outside, such as an fs.PathError's; or nil
}

// Error gives FILE:LINE:COLUMN: MESSAGE (HINT) on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": ")
	b.WriteString(e.Msg)
	writeHint(&b, e.Hint)
	return b.String()
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Errors is all that was found wrong in one load, ordered by file, line and
// column; it is never empty. errors.As finds the first *Error in it.
type Errors []*Error

// Error gives each error on a line of its own.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors.
func (es Errors) Unwrap() []error {
	list := make([]error, len(es))
	for i, e := range es {
		list[i] = e
	}
	return list
}

// PatternError is what is wrong with a pattern or a host set.
type PatternError struct {
	Pattern string // the whole text
	Column  int    // of Word in Pattern, from 1, in characters
	Word    string // the word that is wrong
	Msg     string // what is wrong with it; on one line
	Hint    string // the way out, where there is one
	Err     error  // the cause from outside, such as that of Facts; or nil
}

// Unwrap gives Err.
func (e *PatternError) Unwrap() error { return e.Err }

// Error gives PATTERN: column N: MESSAGE (HINT) on one line.
func (e *PatternError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q: column %d: %s", abbreviate(e.Pattern), e.Column, e.Msg)
	writeHint(&b, e.Hint)
	return b.String()
}

func writeHint(b *strings.Builder, hint string) {
	if hint != "" {
		b.WriteString(" (")
		b.WriteString(hint)
		b.WriteByte(')')
	}
}

// abbreviate keeps error texts short whatever was typed.
func abbreviate(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// printable replaces what would disturb a terminal or break the line, in
// messages of others.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// report collects the errors of one load.
type report struct {
	list    Errors
	dropped int
}

func (r *report) add(e *Error) {
	if len(r.list) >= maxErrors {
		r.dropped++
		return
	}
	r.list = append(r.list, e)
}

func (r *report) join(o *report) {
	for _, e := range o.list {
		r.add(e)
	}
	r.dropped += o.dropped
}

// result gives the errors in the order of the given files, or nil if there are
// none.
func (r *report) result(files []string) error {
	if len(r.list) == 0 {
		return nil
	}
	slices.SortStableFunc(r.list, func(a, b *Error) int {
		if a.File != b.File {
			return slices.Index(files, a.File) - slices.Index(files, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if r.dropped > 0 {
		last := r.list[len(r.list)-1]
		r.list = append(r.list, &Error{File: last.File, Msg: fmt.Sprintf("%d more errors", r.dropped)})
	}
	return r.list
}
