package inventory

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// Content is what one source says of hosts and groups. It is how formats other
// than hosts.yaml come in: their readers fill one, and Merge takes it. A Content
// is for one goroutine, and not to be changed once it was merged.
type Content struct {
	doc    document
	hosts  map[string]int32 // index in doc.hosts
	groups map[string]int32 // index in doc.groups
	rep    report
	warned []*Error
}

// traits are properties of a whole source.
type traits struct {
	prefixes  []string
	layer     int // 0, or of overlays the folder that they come from, from 1
	byName    bool
	ungrouped bool
}

// Ungrouped is the name of the group that a source with that trait makes of all
// hosts that are in no other group.
const Ungrouped = "ungrouped"

// NewContent makes an empty Content; file is its name in errors and in Says.
func NewContent(file string) *Content {
	return &Content{doc: document{file: file}, hosts: make(map[string]int32), groups: make(map[string]int32)}
}

// File is the name that the Content was made with.
func (c *Content) File() string { return c.doc.file }

// Overlay makes the Content one that adds to what others name: what it says of
// groups stands above what is said of groups elsewhere, what it says of hosts
// above what is said of hosts. Hosts and groups that no other source names are left out.
func (c *Content) Overlay() { c.doc.layer = max(c.doc.layer, 1) }

// SortGroups lets the name decide between the groups of this source that are of
// equal depth and priority, the later in the alphabet being the stronger; else
// it is the order in which they were written.
func (c *Content) SortGroups() { c.doc.byName = true }

// GroupPrefix lets patterns name groups as PREFIX:NAME too, of this source and
// of all others.
func (c *Content) GroupPrefix(prefix string) {
	if prefix != "" {
		c.doc.prefixes = append(c.doc.prefixes, prefix)
	}
}

// KeepUngrouped puts hosts in no group into the group Ungrouped.
func (c *Content) KeepUngrouped() { c.doc.ungrouped = true }

// Fail notes what is wrong with the source: no inventory comes of it. Where
// File is empty, it becomes the Content's.
func (c *Content) Fail(e *Error) { c.rep.add(c.named(e)) }

// Warn notes what is odd, or not supported, and harmless enough to go on.
func (c *Content) Warn(e *Error) { c.warned = append(c.warned, c.named(e)) }

func (c *Content) named(e *Error) *Error {
	if e.File == "" {
		e.File = c.doc.file
	}
	return e
}

// HideVars makes secrets of all variables so far.
func (c *Content) HideVars() {
	hide := func(p *patch) {
		if p != nil && p.vars != nil {
			p.vars, _ = Hide(p.vars).(map[string]any)
		}
	}
	hide(c.doc.defaults)
	for i := range c.doc.hosts {
		hide(c.doc.hosts[i].patch)
	}
	for i := range c.doc.groups {
		hide(c.doc.groups[i].patch)
	}
}

// Err gives all that Fail noted as Errors, or nil.
func (c *Content) Err() error { return c.rep.result([]string{c.doc.file}) }

// Warnings gives all that Warn noted, in that order.
func (c *Content) Warnings() []*Error { return c.warned }

// Entry is what a Content says of one host or group, or of all hosts.
type Entry struct {
	c    *Content
	kind entryKind
	i    int32
}

type entryKind uint8

const (
	entryAll entryKind = iota
	entryHost
	entryGroup
)

// All is what holds for every host: the weakest of all.
func (c *Content) All() Entry { return Entry{c: c, kind: entryAll} }

// Host finds or makes a host's entry. A name that no host can have is an *Error.
func (c *Content) Host(name string, at Mark) (Entry, error) {
	i, ok := c.hosts[name]
	if !ok {
		if err := c.checkHost(name, at); err != nil {
			return Entry{}, err
		}
		i = int32(len(c.doc.hosts))
		name = strings.Clone(name) // not to hold the whole text of the source
		c.hosts[name] = i
		c.doc.hosts = append(c.doc.hosts, hostEntry{names: names{plain: name, at: at}})
	}
	return Entry{c, entryHost, i}, nil
}

func (c *Content) checkHost(name string, at Mark) error {
	msg := checkName(name)
	switch {
	case len(c.hosts) >= MaxHosts:
		msg = fmt.Sprintf("more than %d hosts", MaxHosts)
	case msg != "":
		msg = "host " + msg
	case name == All:
		msg = `"all" is the group of every host and no name of its own`
	default:
		return nil
	}
	return &Error{File: c.doc.file, Line: at.Line, Column: at.Column, Word: name, Msg: msg}
}

// HasHost and HasGroup say whether the Content names a host or group so.
func (c *Content) HasHost(name string) bool { _, ok := c.hosts[name]; return ok }

// HasGroup is HasHost for groups.
func (c *Content) HasGroup(name string) bool { _, ok := c.groups[name]; return ok }

// Group finds or makes a group's entry; the group All is that of All. A name
// that no group can have is an *Error.
func (c *Content) Group(name string, at Mark) (Entry, error) {
	if name == All {
		return c.All(), nil
	}
	i, ok := c.groups[name]
	if !ok {
		if msg := checkName(name); msg != "" {
			return Entry{}, &Error{File: c.doc.file, Line: at.Line, Column: at.Column, Word: name, Msg: "group " + msg}
		}
		i = int32(len(c.doc.groups))
		name = strings.Clone(name)
		c.groups[name] = i
		c.doc.groups = append(c.doc.groups, groupEntry{name: name, at: at, patch: &patch{file: c.doc.file}})
	}
	return Entry{c, entryGroup, i}, nil
}

// AddHost puts a host into the group; of All it only makes the host.
func (e Entry) AddHost(name string, at Mark) (Entry, error) {
	h, err := e.c.Host(name, at)
	if err == nil && e.kind == entryGroup {
		g := &e.c.doc.groups[e.i]
		g.hosts = append(g.hosts, names{plain: e.c.doc.hosts[h.i].names.plain, at: at})
	}
	return h, err
}

// AddChild makes the group called name a child of this one, which Merge wants
// to exist.
func (e Entry) AddChild(name string, at Mark) {
	if e.kind == entryGroup {
		g := &e.c.doc.groups[e.i]
		g.children = append(g.children, childRef{name: name, pos: Position{e.c.doc.file, at.Line, at.Column}})
	}
}

// SetPriority says which of several groups of equal depth is the stronger: the
// one with the higher number. It is 1 where nothing is said.
func (e Entry) SetPriority(n int) {
	if e.kind == entryGroup {
		e.c.doc.groups[e.i].priority = &n
	}
}

// patch gives the entry's own, made now if it has none.
func (e Entry) patch() *patch {
	var p **patch
	switch e.kind {
	case entryAll:
		p = &e.c.doc.defaults
	case entryHost:
		p = &e.c.doc.hosts[e.i].patch
	case entryGroup:
		p = &e.c.doc.groups[e.i].patch
	}
	if *p == nil {
		*p = &patch{file: e.c.doc.file}
	}
	return *p
}

// Var gives the entry a variable; value is of the types that Host.Vars names.
func (e Entry) Var(name string, value any, at Mark) {
	p := e.patch()
	if p.vars == nil {
		p.vars = make(map[string]any)
	}
	p.vars[name] = value
	p.note(name, false, at)
}

// Setting gives the entry a setting by the name and in the words of hosts.yaml;
// only key, certificate, hostkey, known_hosts and jump take several. What is
// wrong with it is an *Error.
func (e Entry) Setting(name string, at Mark, words ...string) error {
	var rep report
	r := &reader{file: e.c.doc.file, rep: &rep, limit: MaxHosts}
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Line: at.Line, Column: at.Column}
	if len(words) == 1 {
		node.Value = words[0]
	} else {
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		for _, w := range words {
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: w, Line: at.Line, Column: at.Column})
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Value: name, Line: at.Line, Column: at.Column}
	trial := &patch{file: e.c.doc.file}
	if name == "vars" || !r.setting(trial, nil, key, node) {
		return &Error{File: e.c.doc.file, Line: at.Line, Column: at.Column, Word: name, Msg: "unknown setting " + name}
	}
	if len(rep.list) > 0 {
		return rep.list[0]
	}
	p := e.patch()
	all := p.settings()
	trial.apply(&all)
	p.put(p.given|trial.given, &all)
	p.keys = append(p.keys, trial.keys...)
	return nil
}

// SetPassword gives the entry the password of the login.
func (e Entry) SetPassword(secret Secret, at Mark) {
	p := e.patch()
	p.more().Password, p.given = secret, p.given|fieldPassword
	p.note("password", true, at)
}

// SetBecomePassword gives the entry the password that becoming another user takes.
func (e Entry) SetBecomePassword(secret Secret, at Mark) {
	p := e.patch()
	p.more().BecomePassword, p.given = secret, p.given|fieldBecomePassword
	p.note("become_password", true, at)
}
