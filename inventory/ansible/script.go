package ansible

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// maxAsked bounds how many hosts a script is asked about one by one.
const maxAsked = 10_000

// Script reads what an inventory script writes for --list: groups with hosts,
// children and variables, and the hosts' variables under _meta. Where it writes no
// hostvars there, ask is called for each host, for what the script writes for
// --host; nil: there is no script to ask. The same text in a file is an inventory too.
func (r *Reader) Script(name string, data []byte, ask func(host string) ([]byte, error)) *inventory.Content {
	s := &scriptFile{yamlFile: yamlFile{file: r.open(name), strict: true}}
	root := s.json(data)
	if root == nil {
		return s.c
	}
	if root.Kind != yaml.MappingNode {
		s.wrong(root, fmt.Sprintf("the output is %s, want a mapping of groups", kindOf(root)), "")
		return s.c
	}
	s.pairs(root, func(key, value *yaml.Node) {
		if key.Value == "_meta" {
			s.meta(value)
			return
		}
		s.groupOf(key, value)
	})
	switch {
	case s.hostvars != nil:
		s.known()
	case ask != nil:
		s.ask(ask)
	}
	return s.c
}

// scriptFile is the output of a script being read.
type scriptFile struct {
	yamlFile
	hostvars *yaml.Node
	order    []*yaml.Node // hosts, each time they are named
}

// json parses the output, and says where it is wrong.
func (s *scriptFile) json(data []byte) *yaml.Node {
	if json.Valid(data) {
		return jsonNodes(string(data))
	}
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	at := inventory.Mark{Line: 1, Column: 1}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := string(data[:max(0, min(int(syntax.Offset)-1, len(data)))])
		at.Line = strings.Count(before, "\n") + 1
		at.Column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	}
	if len(data) == 0 {
		s.bad(at, "", "no output, want JSON", "")
		return nil
	}
	s.bad(at, "", "json: "+err.Error(), "")
	return nil
}

func (s *scriptFile) meta(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		s.wrong(n, fmt.Sprintf("_meta is %s, want a mapping", kindOf(n)), "")
		return
	}
	s.pairs(n, func(key, value *yaml.Node) {
		if key.Value == "hostvars" {
			s.hostvars = value
		}
	})
}

// groupOf reads a group: a list of hosts, a mapping of hosts, children and vars,
// or variables of a host that is called like the group.
func (s *scriptFile) groupOf(key, n *yaml.Node) {
	group, err := s.c.Group(key.Value, markOf(key))
	if err != nil {
		s.fail(err)
		return
	}
	if n.Kind != yaml.MappingNode {
		s.hostList(key, group, n)
		return
	}
	n = s.open(n)
	known := len(n.Content) == 0
	s.pairs(n, func(inner, _ *yaml.Node) {
		known = known || inner.Value == "hosts" || inner.Value == "children" || inner.Value == "vars"
	})
	if !known {
		s.host(key, group, key)
		s.vars(key, group, n)
		return
	}
	s.pairs(n, func(inner, value *yaml.Node) {
		switch inner.Value {
		case "hosts":
			s.hostList(key, group, value)
		case "vars":
			s.vars(inner, group, value)
		case "children":
			s.children(inner, group, value)
		}
	})
}

func (s *scriptFile) children(key *yaml.Node, group inventory.Entry, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode && n.Kind != yaml.MappingNode {
		s.wrong(key, fmt.Sprintf("children: want a list of groups, found %s", kindOf(n)), "")
		return
	}
	n = s.open(n)
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i < len(n.Content); i += step {
		child := n.Content[i]
		if _, err := s.c.Group(child.Value, markOf(child)); err != nil {
			s.fail(err)
			continue
		}
		group.AddChild(child.Value, markOf(child))
	}
}

func (s *scriptFile) hostList(key *yaml.Node, group inventory.Entry, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		s.wrong(key, fmt.Sprintf("hosts of group %q: want a list, found %s", short(key.Value), kindOf(n)), "")
		return
	}
	for _, item := range n.Content {
		s.host(key, group, item)
	}
}

func (s *scriptFile) host(key *yaml.Node, group inventory.Entry, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		s.wrong(n, fmt.Sprintf("want the name of a host, found %s", kindOf(n)), "")
		return
	}
	var err error
	if key.Value == inventory.All || key.Value == inventory.Ungrouped {
		_, err = s.c.Host(n.Value, markOf(n))
	} else {
		_, err = group.AddHost(n.Value, markOf(n))
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.order = append(s.order, n)
}

func (s *scriptFile) vars(key *yaml.Node, e inventory.Entry, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		s.wrong(key, fmt.Sprintf("variables of %q: want a mapping, found %s", short(key.Value), kindOf(n)), "")
		return
	}
	s.pairs(n, func(key, value *yaml.Node) {
		v := s.value(value, 0)
		if key.Value == "ansible_group_priority" {
			s.priority(e, v, markOf(key))
			return
		}
		s.set(e, key.Value, v, markOf(key))
	})
}

// known gives hosts the variables that _meta has for them; those of hosts that no group
// has are of no use.
func (s *scriptFile) known() {
	if s.hostvars.Kind != yaml.MappingNode {
		if !isNull(s.hostvars) {
			s.wrong(s.hostvars, fmt.Sprintf("hostvars: want a mapping of hosts, found %s", kindOf(s.hostvars)), "")
		}
		return
	}
	s.pairs(s.hostvars, func(key, value *yaml.Node) {
		if !s.c.HasHost(key.Value) {
			return
		}
		if h, err := s.c.Host(key.Value, markOf(key)); err == nil {
			s.vars(key, h, value)
		}
	})
}

// ask asks the script about each host.
func (s *scriptFile) ask(ask func(host string) ([]byte, error)) {
	done := make(map[string]bool)
	for _, n := range s.order {
		if done[n.Value] {
			continue
		}
		done[n.Value] = true
		if len(done) > maxAsked {
			s.wrong(n, fmt.Sprintf("more than %d hosts to ask the script about one by one", maxAsked), "let it write _meta with hostvars")
			return
		}
		data, err := ask(n.Value)
		if err != nil {
			s.fail(err)
			return
		}
		if len(strings.TrimSpace(string(data))) == 0 {
			continue
		}
		of := &scriptFile{yamlFile: yamlFile{file: s.file, strict: true}}
		root := of.json(data)
		if root == nil {
			return
		}
		if h, err := s.c.Host(n.Value, markOf(n)); err == nil {
			of.vars(n, h, root)
		}
	}
}
