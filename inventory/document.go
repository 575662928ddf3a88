package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits on one file, far above what people write.
const (
	maxDepth  = 100        // of lists and mappings inside each other
	maxMerged = 10_000_000 // entries that come by << merges
	maxVars   = 100_000    // values in one set of variables, aliases followed
)

// document is one parsed source.
type document struct {
	file     string
	defaults *patch
	hosts    []hostEntry
	groups   []groupEntry
	traits
}

// hostEntry is one key under hosts.
type hostEntry struct {
	names     names
	patch     *patch
	addresses *Set // beside names, where the address holds a range
	file      int  // index of the document
	tags      []names
}

// Mark is a place in the text of a source.
type Mark struct {
	Line, Column int // from 1, Column in characters; 0 where unknown
}

func markOf(n *yaml.Node) Mark { return Mark{n.Line, n.Column} }

// names is a host set with its place; plain where it is a single name.
type names struct {
	plain string
	set   *Set
	at    Mark
}

// word is the names as written, or nearly.
func (n *names) word() string {
	if n.set == nil {
		return n.plain
	}
	parts := make([]string, len(n.set.terms))
	for i := range n.set.terms {
		parts[i] = n.set.terms[i].text
	}
	return strings.Join(parts, ",")
}

func (n *names) size() int {
	if n.set == nil {
		return 1
	}
	return n.set.Len()
}

func (n *names) each(yield func(string) bool) {
	if n.set == nil {
		yield(n.plain)
		return
	}
	n.set.All()(yield)
}

// groupEntry is one key under groups.
type groupEntry struct {
	name     string
	at       Mark
	patch    *patch
	priority *int // of groups of equal depth, the higher is the stronger; nil: not said
	hosts    []names
	children []childRef
}

// childRef is a group named as a child, and where.
type childRef struct {
	name string
	pos  Position
}

// reader turns the nodes of one file into a document.
type reader struct {
	file     string
	rep      *report
	limit    int                       // of hosts
	merged   int                       // entries that came by <<
	overfull bool                      // and that they were too many has been said
	vars     map[*yaml.Node]*converted // of anchors
}

func (r *reader) bad(n *yaml.Node, word, msg, hint string) {
	r.rep.add(&Error{File: r.file, Line: n.Line, Column: n.Column, Word: word, Msg: msg, Hint: hint})
}

// patch is a new one for an entry of the file.
func (r *reader) patch() *patch { return &patch{file: r.file} }

func newReader(file string, rep *report, limit int) *reader {
	return &reader{file: file, rep: rep, limit: limit, vars: make(map[*yaml.Node]*converted)}
}

// parseDocument reads data; what is wrong goes to rep, and so do sets of more
// than limit names.
func parseDocument(file string, data []byte, rep *report, limit int) *document {
	if doc, errs, ok := readBlocks(file, data, limit, blockSize); ok {
		for _, e := range errs {
			rep.add(e)
		}
		return doc
	}
	doc := &document{file: file}
	root, err := readYAML(file, data)
	if err != nil {
		rep.add(err)
		return doc
	}
	newReader(file, rep, limit).sections(doc, root, &keySet{})
	return doc
}

// sections reads the keys of the file's root.
func (r *reader) sections(doc *document, root *yaml.Node, seen *keySet) {
	r.pairsSeen(root, place{kind: "the inventory"}, seen, 0, func(key, value *yaml.Node) {
		switch key.Value {
		case "defaults":
			doc.defaults = r.defaults(value)
		case "hosts":
			r.hosts(doc, value)
		case "groups":
			r.groups(doc, value)
		default:
			if !strings.HasPrefix(key.Value, "x-") {
				r.unknown(key, "section", []string{"defaults", "hosts", "groups"})
			}
		}
	})
}

// ReadYAML gives the root node of the one YAML document in data; file is its
// name in the error, which has the place of the mistake.
func ReadYAML(file string, data []byte) (*yaml.Node, *Error) { return readYAML(file, data) }

// readYAML gives the root node of the one document in data.
func readYAML(file string, data []byte) (root *yaml.Node, failed *Error) {
	defer func() {
		if p := recover(); p != nil {
			root, failed = nil, &Error{File: file, Msg: fmt.Sprintf("the yaml parser gave up: %v", p)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		return nil, &Error{File: file, Line: 1, Column: 1, Msg: "the inventory is empty", Hint: "write hosts under a key hosts:"}
	}
	if err != nil {
		return nil, yamlError(file, data, err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &Error{File: file, Line: second.Line, Column: second.Column, Word: "---", Msg: "a second yaml document", Hint: "use a file for each, and -i for each file"}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(file, data, err)
	}
	return doc.Content[0], nil
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// deref follows an alias.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// kindName names what a node is, in the words of its file.
func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return fmt.Sprintf("%q", abbreviate(n.Value))
}

// place is where a mapping stands, for errors.
type place struct{ kind, name string }

func (p place) String() string {
	if p.name == "" {
		return p.kind
	}
	return fmt.Sprintf("%s %q", p.kind, abbreviate(p.name))
}

// pairs calls f for each entry of a mapping: its own, then those merged in by
// <<, of which the first of a name counts. Null is an empty mapping. Keys that
// are no words, or come twice, are reported.
func (r *reader) pairs(n *yaml.Node, what place, f func(key, value *yaml.Node)) {
	r.pairsSeen(n, what, &keySet{}, 0, f)
}

func (r *reader) pairsSeen(n *yaml.Node, what place, seen *keySet, depth int, f func(key, value *yaml.Node)) {
	at := n
	n = deref(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.bad(at, wordOf(n), fmt.Sprintf("%s: want a mapping, found %s", what, kindName(n)), "")
		return
	}
	if depth > 0 && !r.mayMerge(at, depth, len(n.Content)) {
		return
	}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := deref(key)
		switch {
		case name.Kind != yaml.ScalarNode:
			r.bad(key, "", fmt.Sprintf("%s: a key is %s", what, kindName(name)), "quote a range inside { }, as in \"web[1-3]\"")
		case name.ShortTag() == "!!merge":
			merges = append(merges, value)
		default:
			first, isNew := seen.add(name)
			if isNew {
				f(name, value)
			} else if depth == 0 {
				r.bad(key, name.Value, fmt.Sprintf("duplicate key %q", abbreviate(name.Value)), fmt.Sprintf("first at line %d, column %d", first.Line, first.Column))
			}
		}
	}
	for _, m := range merges {
		r.merge(m, what, seen, depth+1, f)
	}
}

// mayMerge bounds what << may bring: merges of merges grow without end.
func (r *reader) mayMerge(at *yaml.Node, depth, entries int) bool {
	switch r.merged += entries + 1; {
	case depth > maxDepth:
		r.bad(at, "<<", fmt.Sprintf("merges more than %d levels deep, or an alias inside its own anchor", maxDepth), "")
		return false
	case r.merged > maxMerged:
		if !r.overfull {
			r.overfull = true
			r.bad(at, "<<", fmt.Sprintf("merges of more than %d entries", maxMerged), "")
		}
		return false
	}
	return true
}

// merge does one <<, of a mapping or a list of mappings.
func (r *reader) merge(m *yaml.Node, what place, seen *keySet, depth int, f func(key, value *yaml.Node)) {
	list := []*yaml.Node{m}
	if target := deref(m); target.Kind == yaml.SequenceNode {
		list = target.Content
	}
	for _, one := range list {
		r.pairsSeen(one, what, seen, depth, f)
	}
}

// keySet finds keys that come twice.
type keySet struct {
	few  []*yaml.Node
	many map[string]*yaml.Node
}

func (s *keySet) empty() bool { return len(s.few) == 0 }

// add reports whether the key is new; if not, it gives the first.
func (s *keySet) add(key *yaml.Node) (*yaml.Node, bool) {
	const fewAt = 8
	if s.many == nil {
		i := slices.IndexFunc(s.few, func(k *yaml.Node) bool { return k.Value == key.Value })
		if i >= 0 {
			return s.few[i], false
		}
		s.few = append(s.few, key)
		if len(s.few) > fewAt {
			s.many = make(map[string]*yaml.Node)
			for _, k := range s.few {
				s.many[k.Value] = k
			}
		}
		return key, true
	}
	if first, ok := s.many[key.Value]; ok {
		return first, false
	}
	s.many[key.Value] = key
	return key, true
}

func wordOf(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// unknown reports a key that is none of the known ones.
func (r *reader) unknown(key *yaml.Node, what string, known []string) {
	hint := didYouMean(key.Value, slices.Values(known))
	if hint == "" {
		hint = "known: " + strings.Join(known, ", ")
	}
	r.bad(key, key.Value, fmt.Sprintf("unknown %s %q", what, abbreviate(key.Value)), hint)
}
