package source

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"fleet/inventory"
)

// isGenders takes files that are called so: their text looks like a list of hosts.
func isGenders(it *item) bool {
	name := filepath.Base(it.path)
	return !it.info.IsDir() && (name == "genders" || filepath.Ext(name) == ".genders")
}

// readGenders reads a genders file: lines of NODES ATTR[=VALUE],...; each
// attribute is a group of the nodes that have it, and where it has a value a
// variable of theirs, in which %n is the node's name and %% is %.
func readGenders(l *loader, it *item) error {
	data, err := it.content()
	if err != nil {
		return err
	}
	c := inventory.NewContent(it.path)
	g := &genders{content: c, seen: make(map[string]int)}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text, _, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), "#")
		if err := g.line(text, n); err != nil {
			g.errs = append(g.errs, located(err, it.path, n, columnOf(text)))
		}
		if len(g.errs) >= maxListed {
			break
		}
	}
	if len(g.errs) > 0 {
		return g.errs
	}
	return l.add(it, c)
}

func columnOf(text string) int { return len(text) - len(strings.TrimLeft(text, " \t")) + 1 }

// genders is a file being read.
type genders struct {
	content *inventory.Content
	errs    inventory.Errors
	seen    map[string]int // line by node and attribute
}

func (g *genders) line(text string, n int) error {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	if len(words) > 2 {
		return fmt.Errorf("%d words, where NODES and ATTRIBUTES are wanted (attributes have commas between them and no blanks)", len(words))
	}
	names, err := inventory.ExpandSet(words[0])
	if err != nil {
		return err
	}
	at := inventory.Mark{Line: n, Column: columnOf(text)}
	hosts := make([]inventory.Entry, len(names))
	for i, name := range names {
		if hosts[i], err = g.content.Host(name, at); err != nil {
			return err
		}
	}
	if len(words) == 1 {
		return nil
	}
	at.Column = utf8.RuneCountInString(text[:strings.LastIndex(text, words[1])]) + 1
	for attr := range strings.SplitSeq(words[1], ",") {
		if attr == "" {
			continue
		}
		if err := g.attribute(attr, names, hosts, at); err != nil {
			e := located(err, g.content.File(), at.Line, at.Column)
			g.errs = append(g.errs, e)
		}
		at.Column += utf8.RuneCountInString(attr) + 1
	}
	return nil
}

// attribute gives one attribute to nodes.
func (g *genders) attribute(attr string, names []string, hosts []inventory.Entry, at inventory.Mark) error {
	name, value, valued := strings.Cut(attr, "=")
	group, err := g.content.Group(name, at)
	if name == inventory.All {
		err = nil // every host is in it
	} else if err != nil {
		return err
	}
	for i, node := range names {
		if first, twice := g.seen[node+" "+name]; twice {
			return &inventory.Error{Word: name, Msg: fmt.Sprintf("attribute %.40q of %s for the second time (first at line %d)", name, node, first)}
		}
		g.seen[node+" "+name] = at.Line
		if name != inventory.All {
			if _, err := group.AddHost(node, at); err != nil {
				return err
			}
		}
		if valued {
			hosts[i].Var(name, strings.NewReplacer("%n", node, "%%", "%").Replace(value), at)
		}
	}
	return nil
}
