package ansible

import (
	"fmt"
	"strings"
	"unicode"

	"fleet/inventory"
)

// Notes gathers what is odd in the files of one load: each kind of oddity
// becomes one warning, however often it comes.
type Notes struct {
	kinds []*note
}

// note is one kind.
type note struct {
	msg, hint string
	at        inventory.Position // of the first
	names     []string           // of what it was found in, each once
	seen      map[string]bool
	seen1     string // the last name, which often comes again
}

// maxNamed is how many names stand in one warning.
const maxNamed = 3

// add notes that what msg says holds for name, at a place.
func (n *Notes) add(file string, at inventory.Mark, msg, hint, name string) {
	var k *note
	for _, known := range n.kinds {
		if known.msg == msg {
			k = known
			break
		}
	}
	if k == nil {
		k = &note{msg: msg, hint: hint, at: inventory.Position{File: file, Line: at.Line, Column: at.Column}, seen: map[string]bool{}}
		n.kinds = append(n.kinds, k)
	}
	if (name != k.seen1 || len(k.names) == 0) && !k.seen[name] {
		k.seen[name] = true
		k.names = append(k.names, printable(name))
	}
	k.seen1 = name
}

// Warnings gives a warning for each kind, at the place where it first came.
func (n *Notes) Warnings() []*inventory.Error {
	var out []*inventory.Error
	for _, k := range n.kinds {
		names := strings.Join(k.names[:min(len(k.names), maxNamed)], ", ")
		if more := len(k.names) - maxNamed; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, &inventory.Error{
			File: k.at.File, Line: k.at.Line, Column: k.at.Column, Word: k.names[0],
			Msg: fmt.Sprintf(k.msg, names), Hint: k.hint,
		})
	}
	return out
}

// printable replaces what would disturb a terminal or break the line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// short keeps texts of messages short.
func short(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
