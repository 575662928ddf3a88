package transfer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"fleet/scheduler"
)

// change is one thing to be done to an entry of a tree. Several may be due.
type change struct {
	*Entry
	old     *Entry // what is there; nil if nothing is
	send    bool   // its content, or for a folder and a link, itself
	mode    bool   // it has another mode
	owner   bool   // it has another owner or group
	time    bool   // it has another time
	removed bool   // what is there goes first, as it is of another kind
}

// plan is what is to be done on one host.
type plan struct {
	base     string    // the folder on the host
	changes  []*change // sorted by path
	same     []*Entry  // files that are there, unchanged
	deletes  []*Entry  // what goes, sorted; of a folder that goes, itself alone
	deleted  int       // how many entries these are
	bytes    int64     // content to be sent
	unsure   []*change // of those, files whose digest decides
	folders  []*Entry  // all that are to be there, sorted
	exchange []string  // folders that are exchanged whole
	spared   []string  // what is left alone though it is in a folder that is mirrored
}

// empty says that nothing is to be done.
func (p *plan) empty() bool { return len(p.changes) == 0 && len(p.deletes) == 0 }

// change finds the change of one path.
func (p *plan) change(name string) *change {
	i, ok := slices.BinarySearchFunc(p.changes, name, func(ch *change, name string) int { return comparePaths(ch.Path, name) })
	if !ok {
		return nil
	}
	return p.changes[i]
}

// compare finds out what is to be done to make there what want is.
type compare struct {
	owner    func(string) string // the name that an owner is to have there; nil if owners are not kept
	group    func(string) string
	checksum bool
	force    bool // what is of another kind goes, as with --delete
	backups  bool // what ends in "~" is one
	mirrors  []string
	spared   map[string][]spared // what is left alone in them
}

// left says that what is below a mirrored folder is left alone.
func (c compare) left(mirror string, e *Entry) bool {
	return slices.ContainsFunc(c.spared[mirror], func(s spared) bool {
		name := e.Path
		if s.root != "." {
			name = strings.TrimPrefix(name, s.root+"/")
		}
		return s.filter.out(name, e.Kind == Folder)
	})
}

// hosts says that e is DST itself, or a folder that a pattern only leads through,
// which was there before and is not mirrored: it is the host's own, as /tmp and /etc
// are and their modes.
func (c compare) hosts(e, old *Entry) bool {
	if e.Path != "." && !e.through || e.Kind != Folder || old == nil || old.Kind != Folder {
		return false
	}
	return !slices.ContainsFunc(c.mirrors, func(m string) bool { return m == e.Path || below(e.Path, m) })
}

func (c compare) plan(base string, want []*Entry, there map[string]*Entry) (*plan, error) {
	p := &plan{base: base}
	wanted := make(map[string]*Entry, len(want))
	for _, e := range want {
		wanted[e.Path] = e
		if e.Kind == Folder && !c.hosts(e, there[e.Path]) {
			p.folders = append(p.folders, e)
		}
	}
	for _, e := range want {
		old := there[e.Path]
		if c.hosts(e, old) {
			continue
		}
		ch, err := c.change(base, e, old)
		if err != nil {
			return nil, err
		}
		switch {
		case ch != nil:
			p.changes = append(p.changes, ch)
			if ch.send && e.Kind == File && old != nil && old.Kind == File && old.Size == e.Size && (c.checksum || e.rendered) {
				p.unsure = append(p.unsure, ch)
			}
		case e.Kind != Folder:
			p.same = append(p.same, e)
		}
	}
	p.rejoin()
	c.deletions(p, wanted, there)
	p.weigh()
	return p, nil
}

// weigh counts the content that is to be sent. Of a file with several names that
// is one copy.
func (p *plan) weigh() {
	p.bytes = 0
	sent := map[string]bool{}
	for _, ch := range p.changes {
		if !ch.send || ch.Kind != File {
			continue
		}
		if sent[ch.Path] = true; ch.Same == "" || !sent[ch.Same] {
			p.bytes += ch.Size
		}
	}
}

// change says what is to be done to one entry below base; nil if nothing.
func (c compare) change(base string, e, old *Entry) (*change, error) {
	ch := &change{Entry: e, old: old}
	if old == nil {
		ch.send = true
		return ch, nil
	}
	if old.Kind == Other { // a device, most likely: /dev/null must not become a file
		return nil, &Failure{Kind: scheduler.KindUnsafe, Text: whole(base, e.Path) + ": is a special file there, and these are never replaced"}
	}
	if old.Kind != e.Kind && (old.Kind == Folder || e.Kind == Folder) {
		if !c.force {
			return nil, &Failure{Kind: scheduler.KindConflict, Text: fmt.Sprintf("%s: is a %s there and a %s here", whole(base, e.Path), old.Kind, e.Kind)}
		}
		ch.send, ch.removed = true, true
		return ch, nil
	}
	ch.owner = c.owner != nil && e.Owner != "" && c.owner(e.Owner) != old.Owner ||
		c.group != nil && e.Group != "" && c.group(e.Group) != old.Group
	switch e.Kind {
	case Folder:
		ch.mode, ch.time = e.Mode != old.Mode, e.ModTime != old.ModTime
	case Link:
		ch.send = old.Kind != Link || e.Target != old.Target
	case File:
		same := old.Kind == File && e.Size == old.Size
		ch.send = !same || c.checksum || e.rendered || e.ModTime != old.ModTime
		ch.mode = e.Mode != old.Mode
	}
	if !ch.send && !ch.mode && !ch.owner && !ch.time {
		return nil, nil
	}
	return ch, nil
}

// rejoin has all names of a hard link sent if one of them is, as the others
// would keep the old file; and says of those of one file that are unchanged
// nothing.
func (p *plan) rejoin() {
	sent := map[string]bool{} // the first names of those of which one is sent
	first := func(e *Entry) string {
		if e.Same != "" {
			return e.Same
		}
		return e.Path
	}
	joined := map[string]bool{}
	for _, ch := range p.changes {
		if ch.Kind == File && ch.Same != "" {
			joined[ch.Same] = true
		}
		if ch.send && ch.Kind == File {
			sent[first(ch.Entry)] = true
		}
	}
	for _, e := range p.same {
		if e.Same != "" {
			joined[e.Same] = true
		}
	}
	var same []*Entry
	for _, e := range p.same {
		if f := first(e); joined[f] && sent[f] {
			p.changes = append(p.changes, &change{Entry: e, old: e, send: true})
			continue
		}
		same = append(same, e)
	}
	p.same = same
	slices.SortFunc(p.changes, func(a, b *change) int { return byPath(a.Entry, b.Entry) })
	for _, ch := range p.changes {
		if joined[first(ch.Entry)] && sent[first(ch.Entry)] {
			ch.send = true
		}
	}
}

// deletions finds what is there in mirrored folders and is not wanted. What
// filters leave out is left alone, and so are the folders that hold it, and what a
// push that was cut goes on with.
func (c compare) deletions(p *plan, wanted, there map[string]*Entry) {
	if len(c.mirrors) == 0 {
		return
	}
	var extra []*Entry
	kept, coming := map[string]bool{}, map[string]bool{}
	for _, ch := range p.changes {
		if ch.send && ch.Kind == File && ch.Size >= aloneSize {
			coming[parent(ch.Path)] = true
		}
	}
	for name, e := range there {
		if c.backups && strings.HasSuffix(name, "~") {
			continue
		}
		i := slices.IndexFunc(c.mirrors, func(m string) bool { return below(name, m) })
		if i < 0 || wanted[name] != nil {
			continue
		}
		if strings.HasPrefix(name, stagePrefix) || strings.Contains(name, "/"+stagePrefix) {
			continue
		}
		if coming[parent(name)] && ourPart(path.Base(name)) {
			continue
		}
		if c.left(c.mirrors[i], e) {
			for d := name; d != "."; d = parent(d) {
				kept[d] = true
			}
			p.spared = append(p.spared, name)
			continue
		}
		extra = append(extra, e)
	}
	slices.Sort(p.spared)
	gone := ""
	for _, e := range sortEntries(extra) {
		if kept[e.Path] {
			continue
		}
		p.deleted++
		if gone != "" && below(e.Path, gone) {
			continue
		}
		p.deletes = append(p.deletes, e)
		if e.Kind == Folder {
			gone = e.Path
		}
	}
}

// deletesIn says that something in a folder goes.
func (p *plan) deletesIn(dir string) bool {
	return slices.ContainsFunc(p.deletes, func(e *Entry) bool { return below(e.Path, dir) })
}

// whole has a folder sent with all that is to be in it, and exchanged. What else
// is in the one that is there goes with it.
func (p *plan) whole(dir string, entries []*Entry) {
	inside := func(name string) bool { return name == dir || below(name, dir) }
	p.changes = slices.DeleteFunc(p.changes, func(ch *change) bool { return inside(ch.Path) })
	p.same = slices.DeleteFunc(p.same, func(e *Entry) bool { return inside(e.Path) })
	p.deletes = slices.DeleteFunc(p.deletes, func(e *Entry) bool { return inside(e.Path) })
	for _, e := range entries {
		if inside(e.Path) {
			p.changes = append(p.changes, &change{Entry: e, send: true})
		}
	}
	slices.SortFunc(p.changes, func(a, b *change) int { return byPath(a.Entry, b.Entry) })
	p.exchange = append(p.exchange, dir)
	p.weigh()
}

// settle drops the changes of content that turned out to be none.
func (p *plan) settle(same map[*change]bool) {
	p.changes = slices.DeleteFunc(p.changes, func(ch *change) bool {
		if !same[ch] {
			return false
		}
		ch.send = false
		ch.time = ch.old != nil && ch.ModTime != ch.old.ModTime && !ch.rendered
		if ch.mode || ch.owner || ch.time {
			return false
		}
		p.same = append(p.same, ch.Entry)
		return true
	})
	p.weigh()
}
