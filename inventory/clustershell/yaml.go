package clustershell

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// addYAML reads a file of groups.d: sources, in them groups, in these nodes as
// one text or a list of texts.
func (r *reader) addYAML(file string, data []byte) error {
	root, err := parseYAML(file, data)
	if err != nil {
		return err
	}
	if root == nil {
		return nil
	}
	var errs inventory.Errors
	bad := func(n *yaml.Node, msg, hint string) {
		errs = append(errs, &inventory.Error{File: file, Line: n.Line, Column: n.Column, Word: n.Value, Msg: msg, Hint: hint})
	}
	pos := func(n *yaml.Node) inventory.Position {
		return inventory.Position{File: file, Line: n.Line, Column: n.Column}
	}
	if root.Kind != yaml.MappingNode {
		bad(root, "want group sources, found no mapping", "SOURCE: {GROUP: 'node[1-9]'}")
		return errs
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], deref(root.Content[i+1])
		if !isText(key) {
			bad(key, "name of a group source is no text", "put it in quotes")
			continue
		}
		if value.Kind != yaml.MappingNode {
			bad(value, fmt.Sprintf("group source %q is no mapping", key.Value), "GROUP: 'node[1-9]'")
			continue
		}
		s := &groupSource{name: key.Value, at: pos(key), groups: make(map[string]staticGroup)}
		for j := 0; j+1 < len(value.Content); j += 2 {
			name, nodes := value.Content[j], deref(value.Content[j+1])
			if !isText(name) {
				bad(name, "name of a group is no text", "put it in quotes")
				continue
			}
			g := staticGroup{at: pos(name)}
			list := []*yaml.Node{nodes}
			if nodes.Kind == yaml.SequenceNode {
				list = nodes.Content
			}
			for _, n := range list {
				if n = deref(n); n.Kind != yaml.ScalarNode {
					bad(n, fmt.Sprintf("nodes of %q are no text", name.Value), "put a range in quotes, as in 'node[1-9]'")
				} else if n.ShortTag() != "!!null" {
					g.parts = append(g.parts, part{n.Value, pos(n)})
				}
			}
			if first, twice := s.groups[name.Value]; twice {
				bad(name, fmt.Sprintf("duplicate group %q", name.Value), fmt.Sprintf("first at line %d", first.at.Line))
				continue
			}
			s.groups[name.Value] = g
			s.order = append(s.order, name.Value)
		}
		if err := r.add(s); err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func isText(n *yaml.Node) bool {
	n = deref(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && n.Value != ""
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// parseYAML gives the root of the one document; nil for an empty file.
func parseYAML(file string, data []byte) (root *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, inventory.Errors{{File: file, Msg: fmt.Sprintf("the yaml parser gave up: %v", p)}}
		}
	}()
	var doc yaml.Node
	switch err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		e := &inventory.Error{File: file, Line: 1, Column: 1, Msg: printable(err.Error()), Err: err}
		if m := regexp.MustCompile(`^yaml: line (\d+): (.*)$`).FindStringSubmatch(e.Msg); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Msg = "yaml: " + m[2]
		}
		return nil, inventory.Errors{e}
	}
	if root = deref(doc.Content[0]); root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}
	return root, nil
}

// printable takes what would disturb a terminal or break the line.
func printable(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\\`, `\`)
}

// IsYAML says whether a text looks like a file of groups.d: sources with groups
// whose nodes are texts, and nothing by which hosts.yaml and Ansible's
// inventories are known.
func IsYAML(data []byte) bool {
	const most = 4 << 20
	if len(data) > most || !bytes.Contains(data, []byte(":")) {
		return false
	}
	for line := range bytes.Lines(data) {
		for _, key := range []string{"hosts:", "groups:", "defaults:", "all:", "x-", "{", "[", "-", "plugin:"} {
			if bytes.HasPrefix(line, []byte(key)) && !bytes.HasPrefix(line, []byte("---")) {
				return false
			}
		}
	}
	root, err := parseYAML("", data)
	if err != nil || root == nil || root.Kind != yaml.MappingNode {
		return false
	}
	groups := 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i].Value, deref(root.Content[i+1])
		switch key { // quoted, or behind a byte order mark
		case "hosts", "groups", "defaults", "all", "plugin":
			return false
		}
		if value.Kind != yaml.MappingNode || strings.HasPrefix(key, "x-") {
			return false
		}
		for j := 0; j+1 < len(value.Content); j += 2 {
			name, nodes := value.Content[j].Value, deref(value.Content[j+1])
			if name == "children" || name == "hosts" || name == "vars" || nodes.Kind == yaml.MappingNode {
				return false
			}
			groups++
		}
	}
	return groups > 0
}
