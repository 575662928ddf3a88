package inventory

import (
	"bytes"
	"errors"
	"io"

	"gopkg.in/yaml.v3"
)

// blockSize is how much text in bytes is parsed at once, in files of several
// times that size.
const blockSize = 64 << 10

// block is some whole lines of a file.
type block struct {
	text  []byte
	line  int // of the first, from 0
	hosts bool
}

// splitBlocks cuts a large file so that the parser's nodes, twenty times the
// size of the text, need not all be in memory: what stands before the hosts
// section, its entries in blocks, and what follows. It gives nil where that
// could change the meaning: anchors and aliases reach over blocks, and markers
// of documents would come twice, and yaml knows line ends of its own. Elsewhere a line that begins where the keys of
// the section do can only begin an entry; a text that goes on over such lines
// leaves the block before it unfinished, which the parser reports.
func splitBlocks(data []byte, size int) []block {
	if len(data) < 4*size || bytes.ContainsAny(data, "&*\t\u0085\u2028\u2029") || bytes.Count(data, []byte("\r")) != bytes.Count(data, []byte("\r\n")) {
		return nil
	}
	s := blockSplitter{indent: -1, size: size}
	for text := range bytes.Lines(data) {
		if !s.add(text) {
			return nil
		}
	}
	if !s.seen {
		return nil
	}
	s.cut(false)
	return s.blocks
}

type blockSplitter struct {
	size   int // of blocks, about
	blocks []block
	cur    block
	line   int  // from 0
	seen   bool // the hosts section has begun
	inside bool // and has not ended
	indent int  // of its keys
}

// add takes a line; it reports false where the file must not be split.
func (s *blockSplitter) add(text []byte) bool {
	bare := bytes.TrimRight(text, " \r\n")
	indent := len(bare) - len(bytes.TrimLeft(bare, " "))
	content := len(bare) > 0 && bare[indent] != '#'
	switch {
	case bytes.HasPrefix(bare, []byte("---")), bytes.HasPrefix(bare, []byte("...")), bytes.HasPrefix(bare, []byte("%")):
		return false
	case !s.seen && string(bare) == "hosts:":
		s.cut(false)
		s.seen, s.inside = true, true
		s.line++
		s.cur.line = s.line
		return true
	case s.inside && content && indent == 0:
		s.cut(true)
		s.inside = false
	case s.inside && content && s.indent < 0:
		s.indent = indent
	case s.inside && content && indent < s.indent:
		return false
	case s.inside && content && indent == s.indent && len(s.cur.text) >= s.size:
		s.cut(true)
	}
	s.cur.text = append(s.cur.text, text...)
	s.line++
	return true
}

// cut ends the block before the line to come.
func (s *blockSplitter) cut(hosts bool) {
	s.cur.hosts = hosts || s.inside
	s.blocks = append(s.blocks, s.cur)
	s.cur = block{line: s.line}
}

// root parses the block; nil is a block without content.
func (b *block) root() (*yaml.Node, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b.text))
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the mapping")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode || root.Style != 0 || !b.hosts && root.Column != 1 {
		return nil, errors.New("no plain block mapping")
	}
	moveLines(root, b.line)
	return root, nil
}

func moveLines(n *yaml.Node, by int) {
	n.Line += by
	for _, child := range n.Content {
		moveLines(child, by)
	}
}

// readBlocks reads a file in blocks of about size bytes; false means that it has to be read whole,
// also to say what is wrong with it.
func readBlocks(file string, data []byte, limit, size int) (doc *document, errs Errors, ok bool) {
	defer func() {
		if recover() != nil { // the parser's; reading the whole file reports it
			ok = false
		}
	}()
	var rep report
	r := newReader(file, &rep, limit)
	doc = &document{file: file}
	var sections, hosts keySet
	for _, b := range splitBlocks(data, size) {
		ok = true
		root, err := b.root()
		if err != nil {
			return nil, nil, false
		}
		if b.hosts && hosts.empty() {
			sections.add(&yaml.Node{Kind: yaml.ScalarNode, Value: "hosts", Line: b.line, Column: 1})
		}
		if root == nil {
			continue
		}
		if b.hosts {
			r.hostsMapping(doc, root, &hosts)
		} else {
			r.sections(doc, root, &sections)
		}
	}
	return doc, rep.list, ok && rep.dropped == 0
}
