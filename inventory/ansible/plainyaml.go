package ansible

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// plainYAML reads the YAML that most inventories are written in: mappings in
// block style, with words as keys and words, nothing, or one { } or [ ] of words as
// values, and comments behind them. It makes the
// nodes that the parser of YAML would, several times as fast. False for any text
// in which there is more: quotes with escapes, lists of lines, anchors, tags, texts of
// several lines, or a mistake. FuzzPlainYAML holds it to that parser.
func plainYAML(data []byte) (*yaml.Node, bool) {
	for _, c := range data {
		if c < ' ' && c != '\n' || c > '~' {
			return nil, false
		}
	}
	p := &plainFile{all: string(data)}
	p.rest = p.all
	if !p.next() || p.indent != 0 {
		return nil, false
	}
	root, ok := p.mapping(0)
	return root, ok && p.text == ""
}

// maxKey is the longest key in bytes, as the parser of YAML has it, or less.
const maxKey = 1000

// openPlain makes the nodes of a mapping that plainYAML folded.
func openPlain(n *yaml.Node) *yaml.Node {
	lines := strings.Count(n.Value, "\n") + 1
	p := &plainFile{all: n.Value, rest: n.Value, line: n.Line - 1, whole: true, nodes: make([]yaml.Node, 0, 2*lines+1)}
	p.next()
	m, _ := p.mapping(p.indent) // which went well before
	return m
}

// plainFile is such a text being read, line by line.
type plainFile struct {
	all    string
	start  int // in all, of the line at hand
	rest   string
	line   int
	text   string // of the line at hand, without indentation; empty at the end
	indent int
	bad    bool
	depth  int
	whole  bool        // nothing is folded
	nodes  []yaml.Node // made in blocks
}

// next goes to the next line that says anything.
func (p *plainFile) next() bool {
	for len(p.rest) > 0 {
		p.start = len(p.all) - len(p.rest)
		line, rest, _ := strings.Cut(p.rest, "\n")
		p.rest = rest
		p.line++
		text := strings.TrimLeft(line, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		p.indent = len(line) - len(text)
		if p.indent == 0 && (strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...")) {
			if text == "---" && p.depth == 0 && p.text == "" {
				p.text = text // once, before all else
				continue
			}
			p.bad = true
			return false
		}
		p.text = strings.TrimRight(text, " ")
		return true
	}
	p.text, p.start = "", len(p.all)
	return false
}

func (p *plainFile) node(kind yaml.Kind, tag, value string, line, column int) *yaml.Node {
	if len(p.nodes) == cap(p.nodes) {
		p.nodes = make([]yaml.Node, 0, 256)
	}
	p.nodes = append(p.nodes, yaml.Node{Kind: kind, Tag: tag, Value: value, Line: line, Column: column})
	return &p.nodes[len(p.nodes)-1]
}

// mapping reads the lines of one indentation, and those below them.
func (p *plainFile) mapping(indent int) (*yaml.Node, bool) {
	if p.depth++; p.depth > maxDepth {
		return nil, false
	}
	defer func() { p.depth-- }()
	m := p.node(yaml.MappingNode, "!!map", "", p.line, indent+1)
	for p.text != "" && p.indent == indent {
		key, value, ok := p.entry()
		if !ok {
			return nil, false
		}
		m.Content = append(m.Content, key, value)
		p.next()
		if p.bad {
			return nil, false
		}
		if p.text == "" || p.indent <= indent {
			continue
		}
		if value.Tag != "!!null" { // a text of several lines
			return nil, false
		}
		start, before := p.start, p.nodes
		below, ok := p.mapping(p.indent)
		if !ok {
			return nil, false
		}
		if text := p.all[start:p.start]; !p.whole && len(text) <= maxFolded {
			*value = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Value: text, Line: below.Line, Column: below.Column}
			if cap(before) > 0 && &before[:1][0] == &p.nodes[:1][0] {
				p.nodes = before
			}
			continue
		}
		m.Content[len(m.Content)-1] = below
	}
	return m, p.text == "" || p.indent < indent
}

// entry reads the key of the line at hand, and the value behind it.
func (p *plainFile) entry() (key, value *yaml.Node, ok bool) {
	name, style, end := plainWordAt(p.text, true)
	if end < 0 || end > maxKey {
		return nil, nil, false
	}
	key = p.node(yaml.ScalarNode, "!!str", name, p.line, p.indent+1)
	key.Style = style
	rest := p.text[end+1:] // behind the colon
	bare := strings.TrimLeft(rest, " ")
	column := p.indent + end + 1 + len(rest) - len(bare) + 1
	bare = withoutComment(bare)
	switch bare {
	case "":
		return key, p.node(yaml.ScalarNode, "!!null", "", p.line, column), true
	}
	switch bare[0] {
	case '{':
		value, ok = p.flow(bare, column)
		return key, value, ok
	case '[':
		value, ok = p.flowList(bare, column)
		return key, value, ok
	}
	text, style, end := plainWordAt(bare, false)
	if end != len(bare) {
		return nil, nil, false
	}
	value = p.node(yaml.ScalarNode, "!!str", text, p.line, column)
	value.Style = style
	return key, value, true
}

// withoutComment cuts off the comment behind a value.
func withoutComment(bare string) string {
	if bare == "" {
		return bare
	}
	from := 0
	switch c := bare[0]; c {
	case '#':
		return ""
	case '"', '\'':
		if from = strings.IndexByte(bare[1:], c) + 2; from < 2 {
			return bare
		}
		if !strings.HasPrefix(strings.TrimLeft(bare[from:], " "), "#") {
			return bare
		}
	}
	if i := strings.Index(bare[from:], " #"); i >= 0 {
		return strings.TrimRight(bare[:from+i], " ")
	}
	return bare
}

// flowList reads [WORD, WORD] with words as in flow.
func (p *plainFile) flowList(text string, column int) (*yaml.Node, bool) {
	list := p.node(yaml.SequenceNode, "!!seq", "", p.line, column)
	list.Style = yaml.FlowStyle
	end := len(text) - 1
	if text[end] != ']' {
		return nil, false
	}
	for at := 1; at < end; {
		last := at + flowWord(text[at:])
		if last == at || last != end && !strings.HasPrefix(text[last:], ", ") {
			return nil, false
		}
		list.Content = append(list.Content, p.node(yaml.ScalarNode, "!!str", text[at:last], p.line, column+at))
		if at = last; last < end {
			if at += 2; at >= end {
				return nil, false
			}
		}
	}
	return list, true
}

// flow reads {NAME: WORD, NAME: WORD} with words of letters, digits and few signs.
func (p *plainFile) flow(text string, column int) (*yaml.Node, bool) {
	m := p.node(yaml.MappingNode, "!!map", "", p.line, column)
	m.Style = yaml.FlowStyle
	if text[len(text)-1] != '}' {
		return nil, false
	}
	end := len(text) - 1
	for at := 1; at < end; {
		stop := at + flowWord(text[at:])
		if stop == at || !strings.HasPrefix(text[stop:], ": ") {
			return nil, false
		}
		from := stop + 2
		last := from + flowWord(text[from:])
		if last == from || last != end && !strings.HasPrefix(text[last:], ", ") {
			return nil, false
		}
		m.Content = append(m.Content,
			p.node(yaml.ScalarNode, "!!str", text[at:stop], p.line, column+at),
			p.node(yaml.ScalarNode, "!!str", text[from:last], p.line, column+from))
		if at = last; last < end {
			if at += 2; at >= end {
				return nil, false
			}
		}
	}
	return m, true
}

// flowWord is the length of the word that a text begins with.
func flowWord(text string) int {
	n := 0
	for n < len(text) && (isAlnum(text[n]) || n > 0 && text[n] == '-' || strings.IndexByte("_./", text[n]) >= 0) {
		n++
	}
	return n
}

// plainWordAt reads the word that a text begins with, and gives where it ends:
// for a key at its colon, for a value at the end of the text; -1 where it is no
// word of the simple kind.
func plainWordAt(text string, key bool) (word string, style yaml.Style, end int) {
	if q := text[0]; q == '"' || q == '\'' {
		length := strings.IndexByte(text[1:], q)
		if length < 0 || q == '"' && strings.IndexByte(text[1:1+length], '\\') >= 0 {
			return "", 0, -1
		}
		style, word, end = yaml.DoubleQuotedStyle, text[1:1+length], length+2
		if q == '\'' {
			style = yaml.SingleQuotedStyle
		}
	} else {
		if !isPlainStart(text) {
			return "", 0, -1
		}
		end = len(text)
		if i := strings.Index(text, ": "); i >= 0 {
			end = i
		} else if text[end-1] == ':' {
			end--
		}
		word = text[:end]
		if key && strings.IndexByte(word, ' ') >= 0 || strings.Contains(word, " #") || !key && end != len(text) {
			return "", 0, -1
		}
	}
	if key && (end >= len(text) || text[end] != ':' || end+1 < len(text) && text[end+1] != ' ') {
		return "", 0, -1
	}
	return word, style, end
}

// isPlainStart says whether a word without quotes may begin so; not all that
// YAML allows.
func isPlainStart(text string) bool {
	c := text[0]
	switch {
	case isAlnum(c), c == '_', c == '/', c == '.', c == '~', c == '+':
		return true
	case c == '-':
		return len(text) > 1 && text[1] != ' ' && text[1] != '-'
	}
	return false
}
