package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"fleet/inventory"
)

// maxIncludes bounds how deep #include goes, and maxListed how many errors of
// one list are told.
const (
	maxIncludes = 10
	maxListed   = 1000
)

// nodesetRange is a range as Ansible does not write it, whole or not.
var nodesetRange = regexp.MustCompile(`^[A-Za-z0-9_.-]+\[[0-9]+[-/,][0-9]*`)

// isHostList takes lists of hosts that are sure to be nothing else: with ranges as
// ClusterShell and pdsh write them, [USER@]HOST:PORT, several hosts in a line, or
// #include.
func isHostList(it *item) bool {
	if it.info.IsDir() {
		return false
	}
	data, err := it.content()
	if err != nil {
		return false
	}
	sure := false
	for line := range bytes.Lines(data) {
		bare := strings.TrimSpace(string(line))
		if strings.HasPrefix(bare, "#include ") {
			sure = true
		}
		text, _, _ := strings.Cut(bare, "#")
		if strings.ContainsAny(text, "={}\"'") || strings.HasPrefix(text, "[") && strings.HasSuffix(strings.TrimSpace(text), "]") || strings.HasPrefix(text, "- ") || strings.HasSuffix(text, ":") || strings.Contains(text, ": ") {
			return false
		}
		words := splitHosts(text)
		sure = sure || len(words) > 1
		for _, word := range words {
			e, err := parseListed(word.text)
			if err != nil && !nodesetRange.MatchString(word.text) {
				return false
			}
			sure = sure || err != nil || e.user != "" || e.port != "" || strings.Contains(e.set, "[")
		}
	}
	return sure
}

// readHostList reads a list of hosts: host sets, or [USER@]HOST[:PORT], between
// blanks, commas and line ends; # begins a comment, "#include FILE" reads another.
func readHostList(l *loader, it *item) error {
	data, err := it.content()
	if err != nil {
		return err
	}
	c := inventory.NewContent(it.path)
	r := &lister{content: c, source: it.text, errs: &inventory.Errors{}}
	if err := r.read(it.path, data, 0); err != nil {
		return err
	}
	if len(*r.errs) > 0 {
		return *r.errs
	}
	return l.add(it, c)
}

// lister reads one list with all that it includes.
type lister struct {
	content *inventory.Content
	source  string
	errs    *inventory.Errors
	found   func(name string, e listed) // may be nil
}

func (r *lister) read(file string, data []byte, depth int) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if name, ok := strings.CutPrefix(strings.TrimSpace(text), "#include "); ok {
			if err := r.include(file, strings.Trim(strings.TrimSpace(name), `"`), n, depth); err != nil {
				return err
			}
			continue
		}
		text, _, _ = strings.Cut(text, "#")
		for _, word := range splitHosts(text) {
			if len(*r.errs) >= maxListed {
				return nil
			}
			if err := r.add(word, n); err != nil {
				*r.errs = append(*r.errs, located(err, file, n, word.column))
			}
		}
	}
	return nil
}

func (r *lister) include(from, name string, line, depth int) error {
	if depth >= maxIncludes {
		*r.errs = append(*r.errs, &inventory.Error{File: from, Line: line, Column: 1, Word: name, Msg: fmt.Sprintf("#include more than %d levels deep", maxIncludes)})
		return nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(from), name)
	}
	it := &item{text: r.source, path: name}
	data, err := it.content()
	if err != nil {
		*r.errs = append(*r.errs, &inventory.Error{File: from, Line: line, Column: 1, Word: name, Msg: fmt.Sprintf("#include %s: %v", name, pathCause(causeOf(err))), Err: err})
		return nil
	}
	return r.read(name, data, depth+1)
}

// causeOf is the cause of an *Error, else the error itself.
func causeOf(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// located gives an error its place.
func located(err error, file string, line, column int) *inventory.Error {
	var e *inventory.Error
	if errors.As(err, &e) {
		e.File, e.Line, e.Column = file, line, column
		return e
	}
	var p *inventory.PatternError
	if errors.As(err, &p) {
		return &inventory.Error{File: file, Line: line, Column: column + p.Column - 1, Word: p.Word, Msg: p.Msg, Hint: p.Hint}
	}
	return &inventory.Error{File: file, Line: line, Column: column, Msg: err.Error()}
}

// listedWord is a word of a list and its column, from 1, in characters.
type listedWord struct {
	text   string
	column int
}

// splitHosts cuts a line at blanks, and at commas outside brackets.
func splitHosts(text string) []listedWord {
	var words []listedWord
	depth, from := 0, -1
	end := func(at int) {
		if from >= 0 {
			words = append(words, listedWord{text[from:at], utf8.RuneCountInString(text[:from]) + 1})
		}
		from = -1
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		}
		if c := text[i]; c == '\t' || c == ' ' && depth <= 0 || c == ',' && depth <= 0 {
			end(i)
		} else if from < 0 {
			from = i
		}
	}
	end(len(text))
	return words
}

// listed is a word of a list taken apart.
type listed struct{ user, set, port string }

// parseListed reads [USER@]HOST[:PORT], where HOST is a host set or an address;
// one of IPv6 stands in brackets where a port follows.
func parseListed(word string) (listed, error) {
	var e listed
	rest := word
	if user, after, ok := strings.Cut(rest, "@"); ok {
		if user == "" || strings.ContainsAny(user, "[]:") {
			return e, fmt.Errorf("%.80q is not [USER@]HOST[:PORT]", word)
		}
		e.user, rest = user, after
	}
	if _, err := netip.ParseAddr(rest); err == nil {
		e.set = rest
		return e, nil
	}
	if inner, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && strings.HasPrefix(rest, "[") {
		if addr, err := netip.ParseAddr(inner); err == nil && addr.Is6() && (after == "" || after[0] == ':') {
			e.set, e.port = inner, strings.TrimPrefix(after, ":")
			return e, nil
		}
	}
	e.set = rest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		e.set, e.port = rest[:i], rest[i+1:]
		if e.port == "" || strings.Trim(e.port, "0123456789") != "" {
			return e, fmt.Errorf("%.80q is not [USER@]HOST[:PORT]", word)
		}
	}
	_, err := inventory.ParseSet(e.set)
	return e, err
}

// names writes the hosts out.
func (e listed) names() ([]string, error) {
	if _, err := netip.ParseAddr(e.set); err == nil {
		return []string{e.set}, nil
	}
	return inventory.ExpandSet(e.set)
}

// add takes one word of a list.
func (r *lister) add(word listedWord, line int) error {
	e, err := parseListed(word.text)
	if err != nil {
		return err
	}
	names, err := e.names()
	if err != nil {
		return err
	}
	at := inventory.Mark{Line: line, Column: word.column}
	for _, name := range names {
		h, err := r.content.Host(name, at)
		if err != nil {
			return err
		}
		if r.found != nil {
			r.found(name, e)
		}
		for setting, value := range map[string]string{"user": e.user, "port": e.port} {
			if value == "" {
				continue
			}
			if err := h.Setting(setting, at, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// standardInput is what a source says of itself that is read from there.
type standardInput struct{ size int64 }

func (standardInput) Name() string       { return "-" }
func (s standardInput) Size() int64      { return s.size }
func (standardInput) Mode() fs.FileMode  { return 0o600 }
func (standardInput) ModTime() time.Time { return time.Time{} }
func (standardInput) IsDir() bool        { return false }
func (standardInput) Sys() any           { return nil }

// readStdin reads a source of any kind from standard input.
func (l *loader) readStdin(it *item) error {
	if err := l.stdin(it); err != nil {
		return err
	}
	return l.claim(it)
}

// stdin has the item hold what standard input does.
func (l *loader) stdin(it *item) error {
	if l.Stdin == nil {
		return &Error{Source: it.text, Msg: "standard input is no inventory here", Way: "it can be one once, and only where nothing else reads it"}
	}
	data, err := io.ReadAll(io.LimitReader(l.Stdin, maxFile+1))
	l.Stdin = nil
	switch {
	case err != nil:
		return &Error{Source: it.text, Msg: "read standard input: " + err.Error(), Err: err}
	case len(data) > maxFile:
		return &Error{Source: it.text, Msg: fmt.Sprintf("standard input of more than %d bytes", maxFile)}
	case len(bytes.TrimSpace(data)) == 0:
		return &Error{Source: it.text, Msg: "standard input is empty", Err: os.ErrNotExist}
	}
	it.path, it.data, it.read, it.info = "(standard input)", data, true, standardInput{int64(len(data))}
	return nil
}
