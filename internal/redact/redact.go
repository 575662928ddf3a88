// Package redact takes known secrets out of text and of streams of bytes.
//
// A [Set] is the secrets; it finds each as it stands and in the forms in which
// hosts and programs write it: base64 at every alignment, URL-encoded, hex,
// quoted for shells and in JSON (forms.go). [Set.Bytes] does a whole text,
// [Set.Writer] a stream in pieces, across whose borders a secret may lie
// (writer.go).
//
// It knows exact secrets only: a password that a user types into a command is
// not one, as nothing says that it is.
package redact

import (
	"bytes"
	"sort"
	"sync"
	"sync/atomic"
)

// Mark stands where a secret was.
const Mark = "[redacted]"

// least is the length in bytes below which a secret is not looked for: taking
// each "1" out of a text would leave nothing of it to read.
const least = 3

// Set is some secrets. The zero value is an empty set. It is safe for concurrent
// use.
type Set struct {
	mu    sync.Mutex
	known map[string]bool
	list  [][]byte              // all ways in which they may be written
	forms atomic.Pointer[forms] // of list, or nil after it has changed
	some  atomic.Bool           // there are secrets
}

// Add adds a secret to the set, also without the line ends behind it, which shells
// drop. Those that are shorter than three bytes are not looked for.
func (s *Set) Add(secret []byte) {
	if short := bytes.TrimRight(secret, "\r\n"); len(short) < len(secret) {
		s.Add(short)
	}
	if len(secret) < least {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	if s.known[string(secret)] {
		return
	}
	s.known[string(secret)] = true
	s.list = append(s.list, formsOf(secret)...)
	s.forms.Store(nil)
	s.some.Store(true)
}

// Empty says that there is nothing to look for.
func (s *Set) Empty() bool { return s == nil || !s.some.Load() }

// all gives what is to be looked for.
func (s *Set) all() *forms {
	if f := s.forms.Load(); f != nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := newForms(s.list)
	s.forms.Store(f)
	return f
}

// Bytes gives p with each secret replaced by Mark: p itself if it holds none.
func (s *Set) Bytes(p []byte) []byte {
	if s.Empty() {
		return p
	}
	found := s.all().find(p)
	if len(found) == 0 {
		return p
	}
	out := make([]byte, 0, len(p))
	at := 0
	for _, f := range found {
		out = append(append(out, p[at:f.from]...), Mark...)
		at = f.to
	}
	return append(out, p[at:]...)
}

// String is Bytes for a string.
func (s *Set) String(text string) string {
	if s.Empty() {
		return text
	}
	return string(s.Bytes([]byte(text)))
}

// span is a part of a text that is not to be shown.
type span struct{ from, to int }

// find gives the parts of p that hold secrets, in order; those that overlap are
// one.
func (f *forms) find(p []byte) []span {
	all := f.each(p)
	if len(all) < 2 {
		return all
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].from != all[j].from {
			return all[i].from < all[j].from
		}
		return all[i].to > all[j].to
	})
	merged := all[:1]
	for _, s := range all[1:] {
		last := &merged[len(merged)-1]
		if s.from < last.to {
			last.to = max(last.to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}
