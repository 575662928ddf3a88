package clustershell

import (
	"fmt"
	"path"
	"strings"

	"fleet/inventory"
)

// Bounds of one expression.
const (
	maxNesting = 50                 // groups inside groups
	maxNodes   = inventory.MaxHosts // of one group
)

// meaning is what is known of a group.
type meaning struct {
	asked bool // the upcall was made
	words []string
	err   error
	busy  bool // it is being worked out
	done  bool
	nodes []string
}

func key(s *groupSource, name string) string { return s.name + ":" + name }

// group gives the nodes of a group. by is what asks for it.
func (r *reader) group(s *groupSource, name string, by part, depth int) ([]string, error) {
	m := r.memo[key(s, name)]
	if m == nil {
		m = &meaning{}
		r.memo[key(s, name)] = m
	}
	switch {
	case m.done:
		return m.nodes, m.err
	case m.busy:
		return nil, r.fault(by.at, by.text, fmt.Sprintf("group @%s:%s is part of itself", s.name, name), "")
	case depth > maxNesting:
		return nil, r.fault(by.at, by.text, fmt.Sprintf("groups inside groups more than %d levels deep", maxNesting), "")
	}
	m.busy = true
	parts, err := r.parts(s, name, m, by)
	if err == nil {
		m.nodes, err = r.union(s, parts, depth+1)
	}
	m.err, m.busy, m.done = err, false, true
	return m.nodes, m.err
}

// parts gives the texts that a group is made of.
func (r *reader) parts(s *groupSource, name string, m *meaning, by part) ([]part, error) {
	if s.calls == nil {
		g, ok := s.groups[name]
		if !ok {
			return nil, r.fault(by.at, by.text, fmt.Sprintf("no group %q in group source %q", name, s.name), "")
		}
		return g.parts, nil
	}
	if !m.asked {
		m.words, m.err = r.call(s, s.calls.mapping, map[string]string{"GROUP": name})
	}
	if m.err != nil {
		return nil, r.callFault(s, "map", fmt.Errorf("of group %q: %w", name, m.err))
	}
	parts := make([]part, len(m.words))
	for i, w := range m.words {
		parts[i] = part{w, s.at}
	}
	return parts, nil
}

// all gives every node of a source.
func (r *reader) all(s *groupSource, by part, depth int) ([]string, error) {
	if s.calls != nil && s.calls.all != "" {
		m := &meaning{}
		if m.words, m.err = r.call(s, s.calls.all, map[string]string{}); m.err != nil {
			return nil, r.callFault(s, "all", m.err)
		}
		parts := make([]part, len(m.words))
		for i, w := range m.words {
			parts[i] = part{w, s.at}
		}
		return r.union(s, parts, depth+1)
	}
	if _, ok := s.groups["all"]; ok {
		return r.group(s, "all", by, depth)
	}
	return r.groups(s, "*", by, depth)
}

// groups gives the nodes of all groups that a wildcard means.
func (r *reader) groups(s *groupSource, mask string, by part, depth int) ([]string, error) {
	names := s.order
	if s.calls != nil {
		var err error
		if names, err = r.list(s); err != nil {
			return nil, err
		}
	}
	set := newNodeSet()
	for _, name := range names {
		if ok, _ := path.Match(mask, name); !ok {
			continue
		}
		nodes, err := r.group(s, name, by, depth+1)
		if err != nil {
			return nil, err
		}
		set.apply(',', nodes)
	}
	return set.list(), nil
}

// union evaluates texts and joins what they mean.
func (r *reader) union(s *groupSource, parts []part, depth int) ([]string, error) {
	set := newNodeSet()
	for _, p := range parts {
		nodes, err := r.expression(s, p, depth)
		if err != nil {
			return nil, err
		}
		if set.apply(',', nodes); set.size() > maxNodes {
			return nil, r.fault(p.at, p.text, fmt.Sprintf("more than %d nodes", maxNodes), "")
		}
	}
	return set.list(), nil
}

// expression evaluates a text: nodes and groups joined by "," "!" "&" and "^",
// from left to right. Groups without a source are of s.
func (r *reader) expression(s *groupSource, p part, depth int) ([]string, error) {
	set := newNodeSet()
	op, rest := byte(','), p.text
	for {
		end := termEnd(rest)
		term := strings.TrimSpace(rest[:end])
		var nodes []string
		var err error
		switch {
		case term == "" && (op == ',' && end == len(rest) || set.empty() && op == ','):
			// "a," and "!a" are read as ClusterShell does
		case term == "":
			err = r.fault(p.at, p.text, fmt.Sprintf("a name is missing in %.80q", p.text), "")
		case term[0] == '@':
			nodes, err = r.term(s, term[1:], p, depth)
		case strings.ContainsAny(term, "*?"):
			err = r.fault(p.at, p.text, fmt.Sprintf("wildcard in %.80q", term), "list the nodes, or groups by @name*")
		default:
			nodes, err = r.expand(term, p)
		}
		if err != nil {
			return nil, err
		}
		set.apply(op, nodes)
		if end == len(rest) {
			return set.list(), nil
		}
		op, rest = rest[end], rest[end+1:]
	}
}

// termEnd finds the first operator outside brackets.
func termEnd(text string) int {
	depth := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth <= 0 && strings.IndexByte(",!&^", c) >= 0:
			return i
		}
	}
	return len(text)
}

func (r *reader) expand(text string, p part) ([]string, error) {
	set, err := inventory.ParseSet(text)
	if err != nil {
		return nil, inventory.Errors{{File: p.at.File, Line: p.at.Line, Column: p.at.Column, Word: text, Msg: err.Error(), Err: err}}
	}
	names := make([]string, 0, min(set.Len(), maxNodes))
	for name := range set.All() {
		if len(names) == maxNodes {
			return nil, r.fault(p.at, p.text, fmt.Sprintf("more than %d nodes", maxNodes), "")
		}
		names = append(names, name)
	}
	return names, nil
}

// term gives the nodes of what stands behind an "@": [SOURCE:]GROUP, with ranges
// or wildcards.
func (r *reader) term(s *groupSource, text string, p part, depth int) ([]string, error) {
	if source, name, ok := strings.Cut(text, ":"); ok {
		other := r.source(source)
		if other == nil {
			return nil, r.fault(p.at, p.text, fmt.Sprintf("no group source %q", source), r.sourceNames())
		}
		s, text = other, name
	}
	if text == "*" {
		return r.all(s, p, depth)
	}
	if strings.ContainsAny(text, "*?") {
		return r.groups(s, text, p, depth)
	}
	names, err := r.expand(text, p)
	if err != nil {
		return nil, err
	}
	set := newNodeSet()
	for _, name := range names {
		nodes, err := r.group(s, name, p, depth)
		if err != nil {
			return nil, err
		}
		set.apply(',', nodes)
	}
	return set.list(), nil
}

// nodeSet is a set that keeps the order in which nodes came.
type nodeSet struct {
	order []string
	in    map[string]bool // false: taken out again
}

func newNodeSet() *nodeSet { return &nodeSet{in: make(map[string]bool)} }

func (n *nodeSet) size() int   { return len(n.order) }
func (n *nodeSet) empty() bool { return len(n.order) == 0 }

func (n *nodeSet) add(name string) {
	if _, known := n.in[name]; !known {
		n.order = append(n.order, name)
	}
	n.in[name] = true
}

func (n *nodeSet) apply(op byte, names []string) {
	switch op {
	case ',':
		for _, name := range names {
			n.add(name)
		}
	case '!':
		for _, name := range names {
			if n.in[name] {
				n.in[name] = false
			}
		}
	case '&':
		both := make(map[string]bool, len(names))
		for _, name := range names {
			both[name] = true
		}
		for name := range n.in {
			n.in[name] = n.in[name] && both[name]
		}
	case '^':
		once := make(map[string]bool, len(names))
		for _, name := range names {
			if !once[name] {
				once[name] = true
				if n.in[name] {
					n.in[name] = false
				} else {
					n.add(name)
				}
			}
		}
	}
}

func (n *nodeSet) list() []string {
	out := make([]string, 0, len(n.order))
	for _, name := range n.order {
		if n.in[name] {
			out = append(out, name)
		}
	}
	return out
}
