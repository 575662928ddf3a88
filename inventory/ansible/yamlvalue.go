package ansible

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// value converts a node to a variable's value.
func (y *yamlFile) value(n *yaml.Node, depth int) any {
	n = deref(n)
	if depth > maxDepth {
		y.wrong(n, fmt.Sprintf("more than %d levels deep, or an alias inside its own anchor", maxDepth), "")
		return nil
	}
	if !y.room(n, 0) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return y.mapping(y.open(n), depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			list = append(list, y.value(item, depth+1))
		}
		return list
	}
	return y.scalarNode(n)
}

func (y *yamlFile) mapping(n *yaml.Node, depth int) any {
	m := make(map[string]any, len(n.Content)/2)
	var numbers map[float64]string
	y.pairs(n, func(key, value *yaml.Node) {
		name := y.keyText(key)
		if key.Style == 0 && !y.strict {
			if number, ok := keyNumber(scalar(key.Value)); ok { // 1, 1.0 and yes are one key, written as the first
				if first, again := numbers[number]; again {
					name = first
				} else if numbers == nil {
					numbers = make(map[float64]string)
				}
				numbers[number] = name
			}
		}
		m[name] = y.value(value, depth+1)
	})
	if len(m) != 1 {
		return m
	}
	// What JSON writes for values that YAML marks by tags.
	if text, ok := m["__ansible_unsafe"].(string); ok {
		return text
	}
	if text, ok := m["__ansible_vault"].(string); ok {
		return y.decrypt(text, n)
	}
	return m
}

// scalarNode converts one word.
func (y *yamlFile) scalarNode(n *yaml.Node) any {
	tagged := n.Style&yaml.TaggedStyle != 0
	switch tag := n.ShortTag(); {
	case tag == "!vault" || tag == "!vault-encrypted":
		return y.decrypt(n.Value, n)
	case tag == "!unsafe":
		return n.Value
	case tagged && (tag == "!!str" || tag == "!!binary"):
		return n.Value
	case tagged && strings.HasPrefix(tag, "!!"):
		return y.typed(n, tag)
	case tagged:
		y.wrong(n, fmt.Sprintf("tag %s is not known", short(tag)), "")
		return nil
	case n.Style != 0:
		return n.Value
	case y.strict:
		return jsonWord(n.Value)
	}
	return scalar(n.Value)
}

// typed reads a word whose type is written before it.
func (y *yamlFile) typed(n *yaml.Node, tag string) any {
	v := scalar(n.Value)
	if tag == "!!float" {
		if i, ok := v.(int64); ok {
			return float64(i)
		}
	}
	ok := false
	switch v.(type) {
	case nil:
		ok = tag == "!!null"
	case bool:
		ok = tag == "!!bool"
	case int64, uint64:
		ok = tag == "!!int"
	case float64:
		ok = tag == "!!float"
	case string:
		ok = tag == "!!timestamp"
	}
	if !ok {
		y.wrong(n, fmt.Sprintf("%q is no %s", short(n.Value), strings.TrimPrefix(tag, "!!")), "")
	}
	return v
}

// decrypt opens a value that ansible-vault encrypted. Without any password it
// stays as it is, in case that nothing needs it.
func (y *yamlFile) decrypt(text string, n *yaml.Node) any {
	plain, err := y.Vault.Decrypt([]byte(text))
	var failed *VaultError
	if errors.As(err, &failed) && failed.None {
		y.Notes.add(y.c.File(), markOf(n), "values encrypted by ansible-vault that stay so, there being no password: at %s", failed.Way, fmt.Sprintf("line %d", n.Line))
		return inventory.NewSecret(text)
	}
	if err != nil {
		y.bad(markOf(n), "", err.Error(), hintOf(err))
		return nil
	}
	return inventory.NewSecret(string(plain))
}

// hintOf is the way out that an error knows.
func hintOf(err error) string {
	if way, ok := err.(interface{ Hint() string }); ok {
		return way.Hint()
	}
	return ""
}
