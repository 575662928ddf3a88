package ansible

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// YAML reads an inventory in Ansible's YAML format, or the same as JSON.
func (r *Reader) YAML(name string, data []byte) *inventory.Content {
	f := r.open(name)
	y := &yamlFile{file: f}
	root := y.parse(data)
	if root == nil {
		return f.c
	}
	if root.Kind != yaml.MappingNode {
		y.wrong(root, fmt.Sprintf("the inventory is %s, want groups by their names", kindOf(root)), "")
		return f.c
	}
	y.pairs(root, func(key, value *yaml.Node) {
		if key.Value == "plugin" {
			y.wrong(key, "this configures a plugin of Ansible, and holds no hosts", "ansible-inventory -i FILE --list writes what the plugin finds as JSON, which is an inventory too")
			return
		}
		y.groupKey(key, value)
	})
	return f.c
}

// yamlFile is a YAML file being read.
type yamlFile struct {
	*file
	strict bool // the text is JSON: words have its types, not those of YAML 1.1
	once   bool // there are no aliases: what was read is not looked at again
	values int  // converted so far, aliases followed
	tooBig bool // and that they were too many has been said
	depth  int  // of groups inside each other
}

// Limits on one file, far above what people write.
const (
	maxDepth  = 100       // of lists and mappings inside each other
	maxValues = 5_000_000 // with aliases followed
)

func markOf(n *yaml.Node) inventory.Mark { return inventory.Mark{Line: n.Line, Column: n.Column} }

func (y *yamlFile) wrong(n *yaml.Node, msg, hint string) {
	word := ""
	if n.Kind == yaml.ScalarNode {
		word = n.Value
	}
	y.bad(markOf(n), word, msg, hint)
}

// parse gives the root of the one document in data; nil where there is none or
// it is wrong, which is said then.
func (y *yamlFile) parse(data []byte) *yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	y.once = bytes.IndexByte(data, '*') < 0
	if y.strict = isJSON(data); y.strict {
		return jsonNodes(string(data))
	}
	if root, ok := plainYAML(data); ok {
		return root
	}
	root, err := inventory.ReadYAML(y.c.File(), data)
	if err != nil {
		y.c.Fail(err)
		return nil
	}
	return root
}

// kindOf names what a node is, in the words of its file.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return kindOf(n.Alias)
	}
	if isNull(n) {
		return "nothing"
	}
	return fmt.Sprintf("%q", short(n.Value))
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!null" || n.Style == 0 && scalar(n.Value) == nil)
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// pairs calls f for each key of a mapping, once: what << merges in first, as
// far as no other says it, and of keys that come twice the last.
func (y *yamlFile) pairs(n *yaml.Node, f func(key, value *yaml.Node)) {
	n = y.open(n)
	if !hasOdd(n) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			f(n.Content[i], n.Content[i+1])
		}
		return
	}
	var list []*yaml.Node
	index := make(map[string]int)
	y.gather(n, 0, func(key, value *yaml.Node, merged bool) {
		at, seen := index[key.Value]
		switch {
		case !seen:
			index[key.Value] = len(list)
			list = append(list, key, value)
		case !merged:
			list[at], list[at+1] = key, value
		}
	})
	for i := 0; i < len(list); i += 2 {
		f(list[i], list[i+1])
	}
}

// hasOdd says whether a mapping has keys that are more than words, or come twice.
func hasOdd(n *yaml.Node) bool {
	var seen map[string]bool
	if len(n.Content) > 16 {
		seen = make(map[string]bool, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Value == "<<" {
			return true
		}
		if seen != nil {
			if seen[key.Value] {
				return true
			}
			seen[key.Value] = true
			continue
		}
		for j := 0; j < i; j += 2 {
			if n.Content[j].Value == key.Value {
				return true
			}
		}
	}
	return false
}

// gather calls f for the keys of a mapping: those merged in first.
func (y *yamlFile) gather(n *yaml.Node, depth int, f func(key, value *yaml.Node, merged bool)) {
	if depth > maxDepth {
		y.wrong(n, fmt.Sprintf("merges more than %d levels deep", maxDepth), "")
		return
	}
	own := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := deref(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			y.wrong(key, fmt.Sprintf("a key is %s", kindOf(key)), "")
			continue
		}
		if key.ShortTag() == "!!merge" {
			y.merge(n.Content[i+1], depth, f)
			continue
		}
		if first := own[key.Value]; first != nil && depth == 0 {
			y.Notes.add(y.c.File(), markOf(key), "keys that come twice, the last counts: %s", "", short(key.Value))
		}
		own[key.Value] = key
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := deref(n.Content[i]); key.Kind == yaml.ScalarNode && key.ShortTag() != "!!merge" {
			f(key, n.Content[i+1], depth > 0)
		}
	}
}

func (y *yamlFile) merge(n *yaml.Node, depth int, f func(key, value *yaml.Node, merged bool)) {
	target := deref(n)
	list := []*yaml.Node{target}
	if target.Kind == yaml.SequenceNode {
		list = target.Content
	}
	for _, one := range list {
		one = y.open(deref(one))
		if one.Kind != yaml.MappingNode {
			y.wrong(n, fmt.Sprintf("<< wants a mapping, found %s", kindOf(one)), "")
			return
		}
		if !y.room(one, len(one.Content)) {
			return
		}
		y.gather(one, depth+1, f)
	}
}

// room counts values, and says once when they are too many.
func (y *yamlFile) room(n *yaml.Node, more int) bool {
	if y.values += more + 1; y.values <= maxValues {
		return true
	}
	if !y.tooBig {
		y.tooBig = true
		y.wrong(n, fmt.Sprintf("more than %d values with aliases followed", maxValues), "")
	}
	return false
}

// name gives a key that is to be a name of something; numbers and truths are not.
func (y *yamlFile) name(key *yaml.Node, what string) (string, bool) {
	if key.Style == 0 && !y.strict {
		if _, isText := scalar(key.Value).(string); !isText {
			y.wrong(key, fmt.Sprintf("the name of %s is %s, which YAML does not read as text", what, short(key.Value)), "put it into quotes")
			return "", false
		}
	}
	return key.Value, true
}

// groupKey reads a group by the key of it; false where it is none.
func (y *yamlFile) groupKey(key, value *yaml.Node) (string, bool) {
	name, ok := y.name(key, "a group")
	if !ok {
		return "", false
	}
	group, err := y.c.Group(name, markOf(key))
	if err != nil {
		y.fail(err)
		return "", false
	}
	value = deref(value)
	switch {
	case isNull(value):
	case value.Kind == yaml.MappingNode:
		y.group(name, group, value)
	default:
		y.Notes.add(y.c.File(), markOf(key), "what is no group is left out: %s", "a group has the keys hosts, children and vars", short(name))
	}
	return name, true
}

// group reads what is under a group's name.
func (y *yamlFile) group(name string, group inventory.Entry, n *yaml.Node) {
	n = y.open(n)
	if y.depth++; y.depth > maxDepth {
		y.wrong(n, fmt.Sprintf("groups more than %d levels deep, or an alias inside its own anchor", maxDepth), "")
	}
	defer func() { y.depth-- }()
	if y.depth > maxDepth || !y.room(n, len(n.Content)) {
		return
	}
	y.pairs(n, func(key, value *yaml.Node) {
		switch key.Value {
		case "vars", "children", "hosts":
		default:
			y.Notes.add(y.c.File(), markOf(key), "keys of groups that are none of hosts, children and vars: %s", "variables of a group go under vars", short(key.Value))
			return
		}
		section := y.section(key, value)
		if section == nil {
			return
		}
		y.pairs(section, func(inner, value *yaml.Node) {
			switch key.Value {
			case "vars":
				y.groupVar(group, inner, value)
			case "children":
				if child, ok := y.groupKey(inner, value); ok {
					group.AddChild(child, markOf(inner))
				}
			case "hosts":
				y.hosts(name, group, inner, value)
			}
		})
		if y.once {
			section.Content = nil // of large files the most, and not needed any more
		}
	})
}

// section gives the mapping under hosts, children or vars; nil where there is
// none. One name by itself is a mapping too.
func (y *yamlFile) section(key, value *yaml.Node) *yaml.Node {
	value = deref(value)
	switch {
	case isNull(value):
		return nil
	case value.Kind == yaml.MappingNode:
		return value
	case value.Kind == yaml.ScalarNode && y.isText(value):
		null := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: value.Line, Column: value.Column}
		return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{value, null}, Line: value.Line, Column: value.Column}
	}
	hint := ""
	if value.Kind == yaml.SequenceNode {
		hint = "each name is a key, with a colon behind it and no dash before it"
	}
	y.bad(markOf(key), key.Value, fmt.Sprintf("%s: want a mapping, found %s", key.Value, kindOf(value)), hint)
	return nil
}

func (y *yamlFile) isText(n *yaml.Node) bool {
	if n.Style != 0 || y.strict {
		return n.ShortTag() == "!!str"
	}
	_, isText := scalar(n.Value).(string)
	return isText
}

func (y *yamlFile) groupVar(group inventory.Entry, key, value *yaml.Node) {
	v := y.value(value, 0)
	if key.Value == "ansible_group_priority" {
		y.priority(group, v, markOf(key))
		return
	}
	y.set(group, y.keyText(key), v, markOf(key))
}

// hosts reads the hosts of one key, ranges among them.
func (y *yamlFile) hosts(name string, group inventory.Entry, key, value *yaml.Node) {
	text, ok := y.name(key, "a host")
	if !ok {
		return
	}
	if name == inventory.All || name == inventory.Ungrouped {
		name = ""
	}
	value = deref(value)
	if value.Kind != yaml.MappingNode {
		if v := y.value(value, 0); v != nil && v != false && v != "" && v != int64(0) && !isEmpty(v) {
			y.bad(markOf(key), text, fmt.Sprintf("host %q: want variables by their names, found %s", short(text), kindOf(value)), "")
			return
		}
		value = nil
	}
	y.eachHost(text, markOf(key), name, group, func(h inventory.Entry) {
		if value == nil {
			return
		}
		y.pairs(value, func(inner, value *yaml.Node) {
			y.set(h, y.keyText(inner), y.value(value, 0), markOf(inner))
		})
	})
}

func isEmpty(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) == 0
}

// keyText gives a key of variables; keys that are no text are written as JSON does.
func (y *yamlFile) keyText(key *yaml.Node) string {
	if key.Style != 0 || y.strict {
		return key.Value
	}
	if text, ok := keyText(scalar(key.Value)); ok {
		return text
	}
	return key.Value
}
