package ansible

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"fleet/inventory"
)

// INI reads an inventory in Ansible's INI format.
func (r *Reader) INI(name string, data []byte) *inventory.Content {
	p := &iniFile{file: r.open(name), part: partHosts, declared: make(map[string]bool)}
	if !utf8.Valid(data) {
		data = p.withoutOddComments(data)
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	for len(text) > 0 {
		line, rest := cutLine(text)
		text = rest
		p.line++
		p.read(line)
	}
	p.finish()
	return p.c
}

// cutLine cuts off the first line, whatever ends it: Python knows many ends.
func cutLine(text string) (line, rest string) {
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end = len(text)
	}
	line = text[:end]
	for i := range len(line) { // most lines have none of these
		if c := line[i]; c >= ' ' && c != 0xc2 && c != 0xe2 || c == '\t' {
			continue
		}
		switch r, n := utf8.DecodeRuneInString(line[i:]); {
		case r == '\r' && strings.HasPrefix(text[i:], "\r\n"):
			return text[:i], text[i+2:]
		case '\n' < r && r <= '\r', 0x1c <= r && r <= 0x1e, r == 0x85, r == 0x2028, r == 0x2029:
			return text[:i], text[i+n:]
		}
	}
	return line, text[min(end+1, len(text)):]
}

// withoutOddComments empties comments that are no UTF-8, and refuses other
// lines that are not.
func (p *iniFile) withoutOddComments(data []byte) []byte {
	var out []byte
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if !utf8.Valid(line) {
			if c := bytes.TrimLeft(line, " \t"); c[0] != '#' && c[0] != ';' {
				p.bad(inventory.Mark{Line: number, Column: 1}, "", "text that is not UTF-8", "")
			}
			line = []byte("\n")
		}
		out = append(out, line...)
	}
	return out
}

type iniPart uint8

const (
	partHosts iniPart = iota
	partVars
	partChildren
	partUnknown // after a header that was wrong
)

// iniFile is an INI file being read.
type iniFile struct {
	*file
	line  int // from 1
	part  iniPart
	name  string // of the section's group, "" for none
	group inventory.Entry
	words []word
	// Groups that a section of hosts or children declares, and the places where
	// others are spoken of.
	declared map[string]bool
	spoken   []mention
}

// mention is a group that has to be declared somewhere.
type mention struct {
	name, section string
	at            inventory.Mark
}

// mark is the place of the byte at in the line.
func (p *iniFile) mark(line string, at int) inventory.Mark {
	return inventory.Mark{Line: p.line, Column: utf8.RuneCountInString(line[:at]) + 1}
}

func (p *iniFile) read(line string) {
	bare := strings.TrimLeftFunc(line, unicode.IsSpace)
	from := len(line) - len(bare)
	bare = strings.TrimRightFunc(bare, unicode.IsSpace)
	if bare == "" || bare[0] == '#' || bare[0] == ';' {
		return
	}
	if bare[0] == '[' && p.header(line, bare, from) {
		return
	}
	switch p.part {
	case partHosts:
		p.hosts(line, bare, from)
	case partVars:
		p.variable(line, bare, from)
	case partChildren:
		p.child(line, bare, from)
	}
}

// header reads [GROUP], [GROUP:vars] or [GROUP:children]; false where the line
// is none, such as a host that begins with a range.
func (p *iniFile) header(line, bare string, from int) bool {
	end := strings.IndexByte(bare, ']')
	if end < 0 {
		return false
	}
	after := strings.TrimLeftFunc(bare[end+1:], unicode.IsSpace)
	name, part, typed := strings.Cut(bare[1:end], ":")
	if strings.ContainsFunc(name, unicode.IsSpace) || name == "" || after != "" && after[0] != '#' || typed && !isWord(part) {
		if !strings.HasSuffix(bare, "]") {
			return false
		}
		p.part = partUnknown
		p.bad(p.mark(line, from), bare, fmt.Sprintf("invalid section header %q", short(bare)), "write [GROUP], [GROUP:vars] or [GROUP:children], without spaces")
		return true
	}
	at := p.mark(line, from+1)
	switch part {
	case "", "hosts":
		p.part = partHosts
	case "vars":
		p.part = partVars
		p.spoken = append(p.spoken, mention{name, name + ":vars", at})
	case "children":
		p.part = partChildren
	default:
		p.part = partUnknown
		p.bad(p.mark(line, from+1+len(name)+1), part, fmt.Sprintf("section [%s:%s] is of an unknown kind", short(name), short(part)), "kinds are vars, children and hosts")
		return true
	}
	p.name = name
	if part != "vars" {
		p.declared[name] = true
	}
	if name == inventory.Ungrouped && p.part == partHosts {
		p.name = "" // which hosts are in it, those in no other say
		return true
	}
	group, err := p.c.Group(name, at)
	if err != nil {
		p.fail(err)
		p.part = partUnknown
	}
	p.group = group
	return true
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// hosts reads a line of hosts with variables.
func (p *iniFile) hosts(line, bare string, from int) {
	words, err := splitWords(bare, p.words[:0])
	p.words = words
	if err != nil {
		p.bad(p.mark(line, from), bare, fmt.Sprintf("host line: %v", err), "")
		return
	}
	if len(words) == 0 {
		return
	}
	if strings.TrimSpace(words[0].text) == "---" {
		p.bad(p.mark(line, from), "---", `"---" is no host`, "a YAML file is recognised by its keys, each with a colon after it")
		return
	}
	if text := words[0].text; strings.HasSuffix(text, ":") && strings.Count(text, ":") == 1 {
		p.bad(p.mark(line, from), text, fmt.Sprintf("%q ends in a colon, and no port follows", short(text)), "")
		return
	}
	at := p.mark(line, from)
	p.eachHost(words[0].text, at, p.name, p.group, func(h inventory.Entry) {
		for _, w := range words[1:] {
			name, value, ok := strings.Cut(w.text, "=")
			mark := p.mark(line, from+w.at)
			if !ok {
				p.bad(mark, w.text, fmt.Sprintf("want NAME=VALUE after a host, found %q", short(w.text)), "no spaces stand around =; a value with spaces is quoted")
				return
			}
			p.set(h, name, Value(value), mark)
		}
	})
}

// eachHost makes the hosts of a word with ranges and perhaps a port, puts them
// into the group, if it has a name, and calls f for each.
func (f *file) eachHost(text string, at inventory.Mark, name string, group inventory.Entry, each func(inventory.Entry)) {
	host, port := hostWord(text)
	add := func(host string) bool {
		made := f.c.HasHost(host)
		var h inventory.Entry
		var err error
		if name == "" {
			h, err = f.c.Host(host, at)
		} else {
			h, err = group.AddHost(host, at)
		}
		if err != nil {
			f.fail(err)
			return false
		}
		if port != 0 && !made {
			f.set(h, "ansible_port", int64(port), at)
		}
		each(h)
		return true
	}
	if !strings.ContainsAny(host, "[]") {
		add(host)
		return
	}
	r, err := parseRange(host)
	if err != nil {
		f.bad(at, host, err.Error(), "")
		return
	}
	r.each(add)
}

// variable reads NAME=VALUE of a section of variables.
func (p *iniFile) variable(line, bare string, from int) {
	name, value, ok := strings.Cut(bare, "=")
	at := p.mark(line, from)
	if !ok {
		p.bad(at, bare, fmt.Sprintf("want NAME=VALUE, found %q", short(bare)), "")
		return
	}
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	v := Value(strings.TrimLeftFunc(value, unicode.IsSpace))
	if name == "ansible_group_priority" {
		p.priority(p.group, v, at)
		return
	}
	p.set(p.group, name, v, at)
}

// priority sets which of several groups of equal depth is the stronger.
func (f *file) priority(group inventory.Entry, v any, at inventory.Mark) {
	switch n := v.(type) {
	case int64:
		group.SetPriority(int(n))
		return
	case float64:
		group.SetPriority(int(n))
		return
	case bool:
		group.SetPriority(map[bool]int{true: 1}[n])
		return
	case string:
		if n, err := strconv.Atoi(strings.TrimSpace(n)); err == nil {
			group.SetPriority(n)
			return
		}
	}
	f.bad(at, "ansible_group_priority", fmt.Sprintf("ansible_group_priority %q is no number", short(fmt.Sprint(v))), "")
}

// child reads the name of a group of a section of children.
func (p *iniFile) child(line, bare string, from int) {
	name, comment, _ := strings.Cut(bare, "#")
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	if name == "" || strings.ContainsAny(name, ":]") || strings.ContainsFunc(name, unicode.IsSpace) || comment != "" && strings.HasPrefix(bare, "#") {
		p.bad(p.mark(line, from), bare, fmt.Sprintf("want the name of a group, found %q", short(bare)), "a section of children names one group a line")
		return
	}
	at := p.mark(line, from)
	p.spoken = append(p.spoken, mention{name, p.name + ":children", at})
	p.group.AddChild(name, at)
}

// finish looks for groups that are spoken of and nowhere declared.
func (p *iniFile) finish() {
	for _, m := range p.spoken {
		if p.declared[m.name] || m.name == inventory.All || m.name == inventory.Ungrouped || p.Known != nil && p.Known(m.name) {
			continue
		}
		p.bad(m.at, m.name, fmt.Sprintf("section [%s] speaks of the unknown group %q", short(m.section), short(m.name)), fmt.Sprintf("a section [%s] declares it", short(m.name)))
	}
}
