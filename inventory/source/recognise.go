package source

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// shape is what a text looks like.
type shape uint8

const (
	shapeOther       shape = iota
	shapeHostsYAML         // keys of hosts.yaml
	shapeAnsibleYAML       // groups by their names, with hosts, children or vars
	shapeAnsibleJSON       // what an inventory script writes
	shapeINI               // sections, and hosts one a line
)

// maxParsed is the largest text in bytes that is parsed whole to see what it is;
// in larger ones keys are looked for where their lines begin.
const maxParsed = 1 << 20

// shapeOf says what a text looks like; path lends its extension only.
func shapeOf(path string, data []byte) shape {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch strings.ToLower(filepath.Ext(path)) {
	case ".ini", ".cfg":
		return shapeINI
	case ".yml", ".yaml":
		return yamlShape(data)
	}
	line := firstLine(data)
	switch {
	case line == "":
		return shapeOther
	case line[0] == '{':
		if s := jsonShape(data); s != shapeOther {
			return s
		}
		return yamlShape(data)
	case strings.HasPrefix(line, "---"), line[0] == '%':
		return yamlShape(data)
	case line[0] == '[' && json.Valid(data):
		return shapeOther
	case keyOf(line) != "":
		return yamlShape(data)
	}
	return shapeINI
}

// firstLine is the first that is no comment, without spaces around it.
func firstLine(data []byte) string {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && line[0] != ';' {
			return string(line)
		}
	}
	return ""
}

// keyOf gives the key of a line of YAML that has one: what stands before a colon
// that ends the line or has a space behind it; no word of a host's line does.
func keyOf(line string) string {
	word, rest := line, ""
	if q := line[0]; q == '"' || q == '\'' {
		end := strings.IndexByte(line[1:], q)
		if end < 0 {
			return ""
		}
		word, rest = line[1:end+1], line[end+2:]
		if !strings.HasPrefix(strings.TrimLeft(rest, " "), ":") {
			return ""
		}
		return word
	}
	for i := range len(line) {
		switch line[i] {
		case ' ', '\t':
			if strings.HasPrefix(strings.TrimLeft(line[i:], " "), ": ") {
				return line[:i]
			}
			return ""
		case ':':
			if i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t' {
				return line[:i]
			}
		}
	}
	return ""
}

// isOurs says whether a key at the top is one of hosts.yaml.
func isOurs(key string) bool {
	return key == "hosts" || key == "groups" || key == "defaults" || strings.HasPrefix(key, "x-")
}

// ofGroup says whether a key is one that groups have in Ansible's YAML.
func ofGroup(key string) bool { return key == "hosts" || key == "children" || key == "vars" }

// yamlShape tells hosts.yaml from Ansible's YAML.
func yamlShape(data []byte) shape {
	if len(data) <= maxParsed {
		var root yaml.Node
		if yaml.Unmarshal(data, &root) == nil && len(root.Content) == 1 {
			return nodeShape(root.Content[0])
		}
	}
	return blockShape(data)
}

func nodeShape(root *yaml.Node) shape {
	if root.Kind != yaml.MappingNode {
		return shapeOther
	}
	found := shapeHostsYAML // with its own errors, where it is nothing at all
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case key.Value == "all" || key.Value == "plugin":
			return shapeAnsibleYAML
		case isOurs(key.Value):
			return shapeHostsYAML
		}
		if value.Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j < len(value.Content); j += 2 {
			if ofGroup(value.Content[j].Value) {
				found = shapeAnsibleYAML
			}
		}
	}
	return found
}

// blockShape looks at lines only: at those that begin with a key, and at the
// first ones below them.
func blockShape(data []byte) shape {
	found := shapeHostsYAML
	below := false // the line before began at the left
	for line := range bytes.Lines(data) {
		text := string(bytes.TrimRight(line, " \r\n"))
		bare := strings.TrimLeft(text, " ")
		if bare == "" || bare[0] == '#' || strings.HasPrefix(text, "---") {
			continue
		}
		key := keyOf(bare)
		if len(bare) < len(text) {
			if below && ofGroup(key) {
				found = shapeAnsibleYAML
			}
			below = false
			continue
		}
		below = true
		switch {
		case key == "all":
			return shapeAnsibleYAML
		case isOurs(key):
			return shapeHostsYAML
		}
	}
	return found
}

// jsonShape tells what a script writes from the rest: there hosts are lists.
func jsonShape(data []byte) shape {
	var groups map[string]json.RawMessage
	if json.Unmarshal(data, &groups) != nil {
		return shapeOther
	}
	found := shapeOther
	for name, text := range groups {
		if name == "_meta" || len(text) > 0 && text[0] == '[' && !isOurs(name) {
			return shapeAnsibleJSON
		}
		var group map[string]json.RawMessage
		if isOurs(name) || json.Unmarshal(text, &group) != nil {
			continue
		}
		for key, inner := range group {
			switch {
			case (key == "hosts" || key == "children") && len(inner) > 0 && inner[0] == '[':
				return shapeAnsibleJSON
			case ofGroup(key):
				found = shapeAnsibleYAML
			}
		}
	}
	if _, ok := groups["all"]; ok {
		found = shapeAnsibleYAML
	}
	return found
}
