package ansible

import "gopkg.in/yaml.v3"

// A node is ten times the size of its text, and an inventory of 100,000 hosts
// needs a million of them. So a small mapping of a file is kept as its text, in the
// Value of its node, once that is known to be good; yamlFile.open makes its nodes
// when they are looked at. No anchor is in such a text, so nothing else points there.

// maxFolded is the longest text in bytes that is kept so.
const maxFolded = 4 << 10

func isFolded(n *yaml.Node) bool { return n.Kind == yaml.MappingNode && n.Value != "" }

// open gives the mapping with its nodes.
func (y *yamlFile) open(n *yaml.Node) *yaml.Node {
	switch {
	case !isFolded(n):
		return n
	case y.strict:
		return openJSON(n)
	}
	return openPlain(n)
}
