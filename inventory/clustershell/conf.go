package clustershell

import (
	"bytes"
	"fmt"
	"strings"

	"fleet/inventory"
)

// conf is a groups.conf as written.
type conf struct {
	file     string
	sections []section
}

// section is a [name] with its options.
type section struct {
	name    string
	at      inventory.Position
	options []option
}

type option struct {
	name, value string
	at          inventory.Position // of the value
}

func (c *conf) section(name string) section {
	for _, s := range c.sections {
		if s.name == name {
			return s
		}
	}
	return section{name: name}
}

// value gives an option, the last of that name, or "".
func (s section) value(name string) (string, inventory.Position) {
	for i := len(s.options) - 1; i >= 0; i-- {
		if s.options[i].name == name {
			return s.options[i].value, s.options[i].at
		}
	}
	return "", s.at
}

// words gives the words of the first of the options that is there. Words may be
// in quotes, each is given once.
func (s section) words(names ...string) []string {
	for _, name := range names {
		if text, _ := s.value(name); text != "" {
			return splitWords(text)
		}
	}
	return nil
}

func splitWords(text string) []string {
	var words []string
	seen := make(map[string]bool)
	var b strings.Builder
	quote, inWord := byte(0), false
	end := func() {
		if inWord && !seen[b.String()] {
			seen[b.String()] = true
			words = append(words, b.String())
		}
		b.Reset()
		inWord = false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			end()
		default:
			b.WriteByte(c)
			inWord = true
		}
	}
	end()
	return words
}

// parseConf reads the text: sections in brackets, options NAME: VALUE or NAME =
// VALUE, whose values go on in lines that are indented; comments begin with # or ;.
func parseConf(file string, data []byte) (*conf, error) {
	c := &conf{file: file}
	var errs inventory.Errors
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if msg, column, word := c.line(text, n); msg != "" {
			errs = append(errs, &inventory.Error{File: file, Line: n, Column: column, Word: word, Msg: msg})
		}
		if len(errs) == 1000 {
			break
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return c, nil
}

// line takes one line; it says what is wrong with it.
func (c *conf) line(text string, n int) (msg string, column int, word string) {
	bare := strings.TrimSpace(text)
	indented := text != "" && (text[0] == ' ' || text[0] == '\t')
	switch {
	case bare == "" || bare[0] == '#' || bare[0] == ';':
		return "", 0, ""
	case indented && len(c.sections) > 0 && len(c.sections[len(c.sections)-1].options) > 0:
		s := &c.sections[len(c.sections)-1]
		s.options[len(s.options)-1].value += "\n" + bare
		return "", 0, ""
	}
	column = len(text) - len(strings.TrimLeft(text, " \t")) + 1
	if bare[0] == '[' {
		name, _, closed := strings.Cut(bare[1:], "]")
		if !closed || strings.TrimSpace(name) == "" {
			return "a section wants a name in brackets, as in [local]", column, bare
		}
		for _, s := range c.sections {
			if s.name == name {
				return fmt.Sprintf("duplicate section %q (first at line %d)", name, s.at.Line), column, name
			}
		}
		c.sections = append(c.sections, section{name: name, at: inventory.Position{File: c.file, Line: n, Column: column}})
		return "", 0, ""
	}
	if len(c.sections) == 0 {
		return "an option before the first section", column, bare
	}
	i := strings.IndexAny(bare, ":=")
	if i <= 0 {
		return fmt.Sprintf("%.60q is neither a section nor an option NAME: VALUE", bare), column, bare
	}
	value := strings.TrimSpace(bare[i+1:])
	at := column + len(bare) - len(value)
	s := &c.sections[len(c.sections)-1]
	s.options = append(s.options, option{
		name: strings.ToLower(strings.TrimSpace(bare[:i])), value: value,
		at: inventory.Position{File: c.file, Line: n, Column: at},
	})
	return "", 0, ""
}

// IsConf says whether a text looks like a groups.conf: a [Main] section, or a
// section with an option map.
func IsConf(data []byte) bool {
	const enough = 64 << 10
	data = data[:min(len(data), enough)]
	in := ""
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		name, _, ok := strings.Cut(text, ":")
		if !ok {
			name, _, ok = strings.Cut(text, "=")
		}
		switch name = strings.TrimSpace(name); {
		case strings.HasPrefix(text, "["):
			in = text
		case in == "[Main]" && ok && (name == "default" || name == "confdir" || name == "autodir" || name == "groupsdir"):
			return true
		case in != "" && ok && name == "map" && !strings.HasSuffix(in, ":vars]"):
			return true
		}
	}
	return false
}

// addConf makes sources of the sections; [a,b] is two sources that are alike.
func (r *reader) addConf(c *conf, dir string) error {
	for _, s := range c.sections {
		if s.name == "Main" {
			continue
		}
		calls := &upcalls{dir: dir}
		for name, to := range map[string]*string{"map": &calls.mapping, "all": &calls.all, "list": &calls.list, "reverse": &calls.reverse} {
			*to, _ = s.value(name)
		}
		if calls.mapping == "" {
			return r.fault(s.at, s.name, fmt.Sprintf("group source %q has no map upcall", s.name), "map: COMMAND that writes the nodes of $GROUP")
		}
		for name := range strings.SplitSeq(s.name, ",") {
			if name = strings.TrimSpace(name); name == "" || name == "Main" {
				continue
			}
			own := *calls
			if err := r.add(&groupSource{name: name, at: s.at, calls: &own}); err != nil {
				return err
			}
		}
	}
	return nil
}
