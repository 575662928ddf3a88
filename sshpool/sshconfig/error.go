package sshconfig

import (
	"errors"
	"fmt"
)

// From is where a value comes from: a line of a file, or nowhere for a default
// and for what the Query gave.
type From struct {
	File string
	Line int // from 1
}

// String is "FILE:LINE", or "default".
func (f From) String() string {
	if f.File == "" {
		return "default"
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// IsSet says whether the value stands in a file.
func (f From) IsSet() bool { return f.File != "" }

// Error is a mistake in a file.
type Error struct {
	From
	Word string // the wrong word, or empty
	Text string // what is wrong; holds the word
	Err  error  // of Query.Exec, where that failed; else nil
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string { return e.From.String() + ": " + e.Text }

// Warning is something in a file that has no effect, or not the one that its
// author will expect.
type Warning struct {
	From
	Text string
}

func (w Warning) String() string { return w.From.String() + ": " + w.Text }

// maxErrors bounds how many mistakes are reported at once.
const maxErrors = 20

// wrong makes an error about a word, which format shows by %q.
func wrong(word, format string, more ...any) *Error {
	return &Error{Word: word, Text: fmt.Sprintf(format, append([]any{clip(word)}, more...)...)}
}

// bad makes an error about something that is not one word.
func bad(text string) *Error { return &Error{Text: text} }

// at gives an error its place, if it has none yet.
func at(from From, err error) error {
	var e *Error
	if errors.As(err, &e) && !e.From.IsSet() {
		e.From = from
	}
	return err
}

// clip keeps words from a file short in messages.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
