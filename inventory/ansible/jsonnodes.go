package ansible

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// jsonNodes makes nodes of valid JSON, as the parser of YAML would: that one
// knows neither pairs of surrogates nor numbers such as 1e5.
func jsonNodes(text string) *yaml.Node {
	p := &jsonText{text: text, line: 1}
	return p.value()
}

// openJSON makes the nodes of a mapping that jsonNodes folded.
func openJSON(n *yaml.Node) *yaml.Node {
	p := &jsonText{text: n.Value, line: n.Line, chars: n.Column - 1, whole: true}
	return p.value()
}

// jsonText is valid JSON being read.
type jsonText struct {
	text  string
	pos   int
	line  int
	seen  int // position up to which characters of the line are counted
	chars int // and their number
	depth int
	whole bool // nothing is folded
}

func (p *jsonText) space() byte {
	for ; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; c {
		case ' ', '\t', '\r':
		case '\n':
			p.line++
			p.seen, p.chars = p.pos+1, 0
		default:
			return c
		}
	}
	return 0
}

func (p *jsonText) node(kind yaml.Kind, tag string) *yaml.Node {
	p.chars += utf8.RuneCountInString(p.text[p.seen:p.pos]) // never from the start: scripts write one long line
	p.seen = p.pos
	return &yaml.Node{Kind: kind, Tag: tag, Line: p.line, Column: p.chars + 1}
}

func (p *jsonText) value() *yaml.Node {
	switch p.space() {
	case '{':
		n := p.node(yaml.MappingNode, "!!map")
		if p.whole || p.depth == 0 || !p.fold(n) {
			p.list(n, '}')
		}
		return n
	case '[':
		return p.list(p.node(yaml.SequenceNode, "!!seq"), ']')
	case '"':
		n := p.node(yaml.ScalarNode, "!!str")
		n.Style = yaml.DoubleQuotedStyle
		n.Value = p.quoted()
		return n
	}
	n := p.node(yaml.ScalarNode, "!!int")
	from := p.pos
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n,]}", p.text[p.pos]) < 0 {
		p.pos++
	}
	switch n.Value = p.text[from:p.pos]; n.Value {
	case "null":
		n.Tag = "!!null"
	case "true", "false":
		n.Tag = "!!bool"
	}
	return n
}

// fold keeps the mapping that begins here as its text, if that is short.
func (p *jsonText) fold(n *yaml.Node) bool {
	end, open, quoted := p.pos, 0, false
	for last := min(len(p.text), p.pos+maxFolded); ; end++ {
		if end == last {
			return false
		}
		switch c := p.text[end]; {
		case quoted && c == '\\':
			end = min(end+1, last-1)
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			open++
		case c == '}':
			open--
		}
		if open == 0 {
			break
		}
	}
	end++
	n.Value = p.text[p.pos:end]
	if lines := strings.Count(n.Value, "\n"); lines > 0 {
		p.line += lines
		p.seen, p.chars = p.pos+strings.LastIndexByte(n.Value, '\n')+1, 0
	}
	p.pos = end
	return true
}

// list reads the values of a list or mapping.
func (p *jsonText) list(n *yaml.Node, end byte) *yaml.Node {
	p.pos++
	p.depth++
	for p.pos < len(p.text) {
		switch p.space() {
		case end:
			p.pos++
			p.depth--
			return n
		case ',', ':':
			p.pos++
		default:
			n.Content = append(n.Content, p.value())
		}
	}
	return n
}

func (p *jsonText) quoted() string {
	from := p.pos
	escaped := false
	for p.pos++; p.pos < len(p.text) && p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] == '\\' {
			escaped = true
			p.pos++
		}
	}
	p.pos++
	if !escaped {
		return p.text[from+1 : p.pos-1]
	}
	var s string
	if json.Unmarshal([]byte(p.text[from:p.pos]), &s) != nil {
		return p.text[from+1 : p.pos-1]
	}
	return s
}
