package inventory

import (
	"fmt"
	"math"
	"strings"

	"gopkg.in/yaml.v3"
)

// converted is the value of an anchor, shared by its aliases.
type converted struct {
	value any
	size  int // values in it, aliases followed
	ready bool
}

// variables reads the vars mapping of p.
func (r *reader) variables(n *yaml.Node, p *patch) map[string]any {
	value, size := r.mapping(n, 0, p)
	if size > maxVars {
		r.bad(n, "", fmt.Sprintf("vars of more than %d values with aliases followed", maxVars), "")
		return nil
	}
	return value
}

// mapping converts a mapping; places of its keys are noted in p, if there is one.
func (r *reader) mapping(n *yaml.Node, depth int, p *patch) (map[string]any, int) {
	total := 1
	var m map[string]any
	r.pairs(n, place{kind: "vars"}, func(key, value *yaml.Node) {
		v, size := r.value(value, depth+1)
		total = min(total+size, maxVars+1)
		if m == nil {
			m = make(map[string]any)
		}
		m[key.Value] = v
		if p != nil {
			p.note(key.Value, false, markOf(key))
		}
	})
	if m == nil && depth > 0 {
		m = map[string]any{}
	}
	return m, total
}

// value converts a node to what encoding/json can write. It also gives the
// number of values in it, which stops at just above maxVars.
func (r *reader) value(n *yaml.Node, depth int) (any, int) {
	if depth > maxDepth {
		r.bad(n, "", fmt.Sprintf("vars more than %d levels deep, or an alias inside its own anchor", maxDepth), "")
		return nil, 1
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.alias(n, depth)
	case yaml.MappingNode:
		return r.mapping(n, depth, nil)
	case yaml.SequenceNode:
		list, total := make([]any, 0, len(n.Content)), 1
		for _, item := range n.Content {
			v, size := r.value(item, depth+1)
			total = min(total+size, maxVars+1)
			list = append(list, v)
		}
		return list, total
	}
	return r.scalar(n), 1
}

// alias converts an anchor once, however often it is used.
func (r *reader) alias(n *yaml.Node, depth int) (any, int) {
	c, ok := r.vars[n.Alias]
	if !ok {
		c = &converted{}
		r.vars[n.Alias] = c
		c.value, c.size = r.value(n.Alias, depth+1)
		c.ready = true
	}
	if !c.ready {
		r.bad(n, n.Value, fmt.Sprintf("alias *%s inside its own anchor", n.Value), "")
		return nil, 1
	}
	return c.value, c.size
}

// scalar keeps numbers, booleans and null; all else is text, among it numbers
// with leading zeros, dates, and what JSON cannot say (.inf, .nan).
func (r *reader) scalar(n *yaml.Node) any {
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp", "!!binary":
		return n.Value
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		if isPadded(strings.TrimLeft(n.Value, "+-")) && !strings.ContainsAny(n.Value, ".xXoObB") {
			return n.Value
		}
		var v any
		if err := n.Decode(&v); err != nil {
			r.bad(n, n.Value, fmt.Sprintf("%q is no %s", abbreviate(n.Value), strings.TrimPrefix(tag, "!!")), "")
			return nil
		}
		return jsonNumber(v, n.Value)
	default:
		r.bad(n, tag, fmt.Sprintf("tag %s is not known", tag), "")
		return nil
	}
}

func jsonNumber(v any, text string) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return text
		}
	}
	return v
}
