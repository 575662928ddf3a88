package inventory

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

func (r *reader) defaults(n *yaml.Node) *patch {
	p := r.patch()
	r.pairs(n, place{kind: "defaults"}, func(key, value *yaml.Node) {
		if !r.setting(p, nil, key, value) {
			r.unknownField(key, "vars")
		}
	})
	r.checkPatch(p, n)
	return p
}

// hosts reads the hosts section: a mapping, or a list of hosts of which there is
// nothing to say.
func (r *reader) hosts(doc *document, n *yaml.Node) {
	if list := deref(n); list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			if names, ok := r.names(item, "a host"); ok {
				doc.hosts = append(doc.hosts, hostEntry{names: names})
			}
		}
		return
	}
	r.hostsMapping(doc, n, &keySet{})
}

func (r *reader) hostsMapping(doc *document, n *yaml.Node, seen *keySet) {
	r.pairsSeen(n, place{kind: "hosts"}, seen, 0, func(key, value *yaml.Node) {
		names, ok := r.names(key, "a host")
		e := hostEntry{names: names}
		if e.patch = r.hostPatch(&e, key, value); ok {
			doc.hosts = append(doc.hosts, e)
		}
	})
}

// hostPatch reads what stands under a host's name; nil if that is nothing.
func (r *reader) hostPatch(e *hostEntry, key, n *yaml.Node) *patch {
	if isNull(deref(n)) {
		return nil
	}
	p := r.patch()
	r.pairs(n, place{"host", key.Value}, func(key, value *yaml.Node) {
		switch {
		case key.Value == "tags":
			e.tags = r.nameList(value, "a group")
		case !r.setting(p, e, key, value):
			r.unknownField(key, "tags", "vars")
		}
	})
	r.checkPatch(p, n)
	return p
}

func (r *reader) groups(doc *document, n *yaml.Node) {
	r.pairs(n, place{kind: "groups"}, func(key, value *yaml.Node) {
		g := groupEntry{name: key.Value, at: markOf(key), patch: r.patch()}
		valid := r.checkGroupName(key)
		r.pairs(value, place{"group", g.name}, func(key, value *yaml.Node) {
			switch {
			case key.Value == "hosts":
				g.hosts = r.nameList(value, "a host")
			case key.Value == "children":
				g.children = r.children(value)
			case !r.setting(g.patch, nil, key, value):
				r.unknownField(key, "hosts", "children", "vars")
			}
		})
		r.checkPatch(g.patch, value)
		if valid {
			doc.groups = append(doc.groups, g)
		}
	})
}

func (r *reader) checkGroupName(key *yaml.Node) bool {
	if msg := checkName(key.Value); msg != "" {
		r.bad(key, key.Value, "group "+msg, "")
		return false
	}
	if key.Value == All {
		r.bad(key, All, `"all" is the group of every host and not to be defined`, "use defaults for what holds for every host")
		return false
	}
	return true
}

// checkPatch looks at fields that mean something together.
func (r *reader) checkPatch(p *patch, n *yaml.Node) {
	if p.rest != nil && len(p.rest.Jump) > 0 && p.rest.ProxyCommand != "" {
		r.bad(n, "proxy_command", "jump and proxy_command exclude each other", "")
	}
}

// children reads a list of group names, in which ranges may stand.
func (r *reader) children(n *yaml.Node) []childRef {
	var refs []childRef
	for _, names := range r.nameList(n, "a group") {
		names.each(func(name string) bool {
			refs = append(refs, childRef{name: name, pos: Position{r.file, names.at.Line, names.at.Column}})
			return len(refs) < maxVars
		})
	}
	return refs
}

// nameList reads one host set or a list of them.
func (r *reader) nameList(n *yaml.Node, what string) []names {
	list := []*yaml.Node{n}
	switch target := deref(n); target.Kind {
	case yaml.SequenceNode:
		list = target.Content
	case yaml.MappingNode:
		r.bad(n, "", fmt.Sprintf("want a list of names, found %s", kindName(target)), "settings of a host stand under the section hosts")
		return nil
	default:
		if isNull(target) {
			return nil
		}
	}
	out := make([]names, 0, len(list))
	for _, item := range list {
		if names, ok := r.names(item, what); ok {
			out = append(out, names)
		}
	}
	return out
}

// names reads one host set.
func (r *reader) names(n *yaml.Node, what string) (names, bool) {
	text := deref(n)
	if text.Kind != yaml.ScalarNode || isNull(text) {
		r.bad(n, wordOf(text), fmt.Sprintf("want the name of %s, found %s", what, kindName(text)), "quote a range inside [ ], as in \"web[1-3]\"")
		return names{}, false
	}
	if !strings.ContainsAny(text.Value, "[],") {
		if !r.checkHostName(n, text.Value, what) {
			return names{}, false
		}
		return names{plain: text.Value, at: markOf(n)}, true
	}
	set, err := ParseSet(text.Value)
	if err != nil {
		r.badSet(n, err)
		return names{}, false
	}
	if set.size > r.limit {
		r.bad(n, text.Value, fmt.Sprintf("%d names, the limit is %d", set.size, r.limit), "")
		return names{}, false
	}
	for i := range set.terms {
		if !r.checkTerm(n, &set.terms[i], what) {
			return names{}, false
		}
	}
	return names{set: set, at: markOf(n)}, true
}

// checkTerm checks the first name of the term, which stands for its signs, and
// room for the longest.
func (r *reader) checkTerm(n *yaml.Node, t *term, what string) bool {
	first := ""
	t.each(nil, 0, func(name []byte) bool {
		first = string(name)
		return false
	})
	if len(first)+maxDigits*len(t.ranges) > maxName {
		r.bad(n, t.text, fmt.Sprintf("the names of %q are too long, the limit is %d bytes", abbreviate(t.text), maxName), "")
		return false
	}
	return r.checkHostName(n, first, what)
}

func (r *reader) checkHostName(n *yaml.Node, name, what string) bool {
	if msg := checkName(name); msg != "" {
		r.bad(n, name, strings.TrimPrefix(what, "a ")+" "+msg, "")
		return false
	}
	if name == All {
		r.bad(n, name, `"all" is the group of every host and no name of its own`, "")
		return false
	}
	return true
}

// badSet reports an error in a host set at its own column, where the text
// stands in the file as it is.
func (r *reader) badSet(n *yaml.Node, err error) {
	e, ok := err.(*PatternError)
	if !ok {
		r.bad(n, "", err.Error(), "")
		return
	}
	out := &Error{File: r.file, Line: n.Line, Column: n.Column, Word: e.Word, Msg: e.Msg, Hint: e.Hint}
	switch n.Style {
	case 0:
		out.Column += e.Column - 1
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		if utf8.RuneCountInString(n.Value) == len(n.Value) {
			out.Column += e.Column
		}
	}
	r.rep.add(out)
}
