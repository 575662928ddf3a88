package source

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"fleet/inventory"
)

// wordsFile is what words of the command line are called in messages.
const wordsFile = "-w"

// readWords reads hosts as pdsh's -w has them: host sets, [USER@]HOST[:PORT],
// ^FILE for a list in a file, -NAME and -^FILE to leave hosts out, /REGEX/ to
// keep only hosts that match and -/REGEX/ those that do not. It gives the names
// of those that are left, in order.
func (l *loader) readWords() ([]string, error) {
	w := &words{l: l, content: inventory.NewContent(wordsFile), out: make(map[string]bool)}
	for _, text := range l.Words {
		for _, word := range splitWords(text) {
			if err := w.word(word); err != nil {
				return nil, wordFault(word, err)
			}
		}
	}
	var names []string
	for _, name := range w.names {
		if !w.out[name] && w.passes(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, &Error{Msg: wordsFile + ": no host is left of " + strings.Join(l.Words, ",")}
	}
	left := inventory.NewContent(wordsFile) // without hosts that were left out
	for _, name := range names {
		e := w.entries[name]
		h, err := left.Host(name, inventory.Mark{})
		if err != nil {
			return nil, wordFault(name, err)
		}
		for setting, value := range map[string]string{"user": e.user, "port": e.port} {
			if value != "" {
				if err := h.Setting(setting, inventory.Mark{}, value); err != nil {
					return nil, wordFault(name, err)
				}
			}
		}
	}
	return names, l.add(&item{}, left)
}

func wordFault(word string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	var e *inventory.Error
	if errors.As(err, &e) {
		return &Error{Msg: fmt.Sprintf("%s %.80q: %s", wordsFile, word, e.Msg), Way: e.Hint, Err: err}
	}
	return &Error{Msg: fmt.Sprintf("%s %.80q: %v", wordsFile, word, err), Err: err}
}

// splitWords cuts at commas outside brackets and regular expressions.
func splitWords(text string) []string {
	var words []string
	depth, from := 0, 0
	for i := 0; i < len(text); i++ {
		start := strings.TrimLeft(text[from:i], " -") == "" // of a word
		switch c := text[i]; {
		case c == '/' && start:
			if end := closingSlash(text[i+1:]); end >= 0 {
				i += end + 1
			}
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth <= 0:
			words = append(words, text[from:i])
			from = i + 1
		}
	}
	words = append(words, text[from:])
	var out []string
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// closingSlash finds the first slash without a backslash before it, or -1.
func closingSlash(text string) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '/':
			return i
		}
	}
	return -1
}

// words is the reading of them.
type words struct {
	l       *loader
	content *inventory.Content
	names   []string
	entries map[string]listed
	out     map[string]bool
	keep    []*regexp.Regexp
	drop    []*regexp.Regexp
}

func (w *words) passes(name string) bool {
	for _, re := range w.keep {
		if !re.MatchString(name) {
			return false
		}
	}
	for _, re := range w.drop {
		if re.MatchString(name) {
			return false
		}
	}
	return true
}

func (w *words) word(text string) error {
	if text == "-" {
		text = "^-"
	}
	inner, exclude := strings.CutPrefix(text, "-")
	if exclude {
		text = inner
	}
	switch {
	case text == "":
		return errors.New("a name is missing")
	case text[0] == '/':
		return w.filter(text, exclude)
	case text[0] == '^':
		return w.file(text[1:], exclude)
	}
	e, err := parseListed(text)
	if err != nil {
		return err
	}
	names, err := e.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		w.take(name, e, exclude)
	}
	return nil
}

func (w *words) take(name string, e listed, exclude bool) {
	if exclude {
		w.out[name] = true
		return
	}
	if w.entries == nil {
		w.entries = make(map[string]listed)
	}
	if _, known := w.entries[name]; !known {
		w.names = append(w.names, name)
	}
	w.entries[name] = e
}

func (w *words) filter(text string, exclude bool) error {
	end := closingSlash(text[1:])
	if end != len(text)-2 || end < 1 {
		return errors.New("a regular expression stands between two slashes")
	}
	re, err := regexp.Compile(strings.ReplaceAll(text[1:1+end], `\/`, "/"))
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if exclude {
		w.drop = append(w.drop, re)
	} else {
		w.keep = append(w.keep, re)
	}
	return nil
}

// file takes the hosts of a list.
func (w *words) file(name string, exclude bool) error {
	if name == "" {
		return errors.New("^ names no file")
	}
	it := &item{text: "^" + name, path: name}
	if name == "-" {
		if err := w.l.stdin(it); err != nil {
			return err
		}
	}
	data, err := it.content()
	if err != nil {
		return err
	}
	r := &lister{content: inventory.NewContent(name), source: it.text, errs: &inventory.Errors{}, found: func(name string, e listed) { w.take(name, e, exclude) }}
	if err := r.read(it.path, data, 0); err != nil {
		return err
	}
	if len(*r.errs) > 0 {
		return &Error{Msg: (*r.errs).Error(), Err: *r.errs}
	}
	return nil
}

// WCOLL gives the source that pdsh's variable WCOLL names, or "".
func WCOLL(getenv func(string) string) string {
	file := getenv("WCOLL")
	if file == "" {
		return ""
	}
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return "hostfile:" + file
}
