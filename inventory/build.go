package inventory

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// builder makes an inventory of documents.
type builder struct {
	inv     *Inventory
	docs    []*document
	rep     *report
	limit   int    // of hosts
	chunk   []Host // hosts are made in blocks
	entries []*hostEntry
	address []string  // by host: from the last address range beside its name
	own     []int32   // by host: its one entry, none or several
	several [][]int32 // entries of hosts that have more than one
	members memberships
}

const (
	noEntry   = -1
	chunkSize = 512
)

// build merges the documents of files; errors of reading them are in rep already.
func build(files []string, docs []*document, rep *report, limit int, late ...func(Known) []*Content) (*Inventory, error) {
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(x, y *document) int { return cmp.Compare(x.layer, y.layer) })
	b := &builder{docs: docs, rep: rep, limit: limit}
	b.inv = &Inventory{byName: make(map[string]int32), byGroup: make(map[string]int32), from: b}
	b.members.init(limit * maxMemberships)
	b.addAll(0)
	b.fillUngrouped()
	if plain := len(b.docs); len(late) > 0 {
		for i, more := range late {
			for _, c := range more(Known{b.inv}) {
				c.doc.layer = i + 1
				rep.join(&c.rep)
				b.docs = append(b.docs, &c.doc)
			}
		}
		b.addAll(plain)
	}
	b.linkGroups()
	if err := rep.result(files); err != nil {
		return nil, err
	}
	b.resolve()
	b.checkJumps()
	if err := rep.result(files); err != nil {
		return nil, err
	}
	return b.inv, nil
}

// addAll adds what documents say, beginning with the one of index from.
func (b *builder) addAll(from int) {
	for i, doc := range b.docs[from:] {
		b.inv.prefixes = append(b.inv.prefixes, doc.prefixes...)
		b.addHosts(from+i, doc)
	}
	for _, doc := range b.docs[from:] {
		b.addGroups(doc)
		b.addTags(doc)
	}
}

// host finds or makes the host; nil if there would be too many.
func (b *builder) host(name string, file string, n *names) (int32, bool) {
	if i, ok := b.inv.byName[name]; ok {
		return i, true
	}
	if len(b.inv.hosts) >= b.limit {
		b.tooMany(file, n)
		return 0, false
	}
	if len(b.chunk) == cap(b.chunk) {
		b.chunk = make([]Host, 0, chunkSize)
	}
	i := int32(len(b.inv.hosts))
	b.chunk = append(b.chunk, Host{Name: name, index: i, inv: b.inv, Source: Position{File: file, Line: n.at.Line, Column: n.at.Column}})
	b.inv.hosts = append(b.inv.hosts, &b.chunk[len(b.chunk)-1])
	b.inv.byName[name] = i
	b.own = append(b.own, noEntry)
	b.address = append(b.address, "")
	b.members.state = append(b.members.state, 0)
	return i, true
}

// tooMany says so once.
func (b *builder) tooMany(file string, n *names) {
	if b.limit > 0 {
		b.badAt(file, n, n.word(), fmt.Sprintf("more than %d hosts", b.limit), "")
		b.limit = 0
	}
}

func (b *builder) badAt(file string, n *names, word, msg, hint string) {
	b.rep.add(&Error{File: file, Line: n.at.Line, Column: n.at.Column, Word: word, Msg: msg, Hint: hint})
}

func (b *builder) addHosts(file int, doc *document) {
	total := 0
	for i := range doc.hosts {
		e := &doc.hosts[i]
		if doc.layer > 0 {
			continue
		}
		// Names of one file hardly overlap: do not even begin on too many.
		if total += e.names.size(); total > b.limit {
			b.tooMany(doc.file, &e.names)
			return
		}
	}
	for i := range doc.hosts {
		e := &doc.hosts[i]
		e.file = file
		id := int32(len(b.entries))
		b.entries = append(b.entries, e)
		b.addNames(e, id, doc.file)
	}
}

// addNames makes the hosts of an entry; addresses go along with names.
func (b *builder) addNames(e *hostEntry, id int32, file string) {
	address := func() (string, bool) { return "", false }
	if e.addresses != nil {
		next, stop := iter.Pull(e.addresses.All())
		defer stop()
		address = next
	}
	overlay := b.docs[e.file].layer > 0
	e.names.each(func(name string) bool {
		if _, known := b.inv.byName[name]; overlay && !known {
			return true
		}
		h, ok := b.host(name, file, &e.names)
		if !ok {
			return false
		}
		if text, ok := address(); ok {
			b.address[h] = text
		}
		return b.addEntry(h, id)
	})
}

// addEntry notes that the entry speaks of the host. In one file, a host written
// by itself refines a range that holds it; two ranges that overlap are a
// mistake. It reports whether to go on with the entry's names.
func (b *builder) addEntry(host, id int32) bool {
	switch first := b.own[host]; {
	case first == noEntry:
		b.own[host] = id
		return true
	case first >= 0:
		b.several = append(b.several, []int32{first})
		b.own[host] = -1 - int32(len(b.several))
	}
	list := &b.several[-2-b.own[host]]
	e := b.entries[id]
	for _, other := range *list {
		o := b.entries[other]
		if o.file == e.file && (o.names.set == nil) == (e.names.set == nil) {
			name := b.inv.hosts[host].Name
			hint := fmt.Sprintf("first at line %d, column %d; one name by itself may refine a range", o.names.at.Line, o.names.at.Column)
			b.badAt(b.docs[e.file].file, &e.names, name, fmt.Sprintf("duplicate host %q", name), hint)
			return false
		}
	}
	*list = append(*list, id)
	return true
}

// entriesOf yields what is said of the host itself, weakest first: earlier files
// before later ones, in a file ranges before single names.
func (b *builder) entriesOf(host int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		first := b.own[host]
		if first >= 0 {
			yield(first)
		}
		if first >= noEntry {
			return
		}
		list := b.several[-2-first]
		for i := 0; i < len(list); i++ {
			if i+1 < len(list) && b.entries[list[i]].file == b.entries[list[i+1]].file && b.entries[list[i]].names.set == nil {
				if !yield(list[i+1]) || !yield(list[i]) {
					return
				}
				i++
				continue
			}
			if !yield(list[i]) {
				return
			}
		}
	}
}

func (b *builder) addGroups(doc *document) {
	for i := range doc.groups {
		e := &doc.groups[i]
		at, ok := b.inv.byGroup[e.name]
		if !ok && doc.layer > 0 {
			continue
		}
		if !ok {
			at = b.newGroup(e.name, Position{File: doc.file, Line: e.at.Line, Column: e.at.Column})
			b.inv.groups[at].byName = doc.byName
		}
		g := b.inv.groups[at]
		g.patches = append(g.patches, layered{doc.layer, e.patch})
		if e.priority != nil {
			g.priority = *e.priority
		}
		g.kids = append(g.kids, e.children...)
		for j := range e.hosts {
			n := &e.hosts[j]
			n.each(func(name string) bool {
				h, ok := b.host(name, doc.file, n)
				return ok && b.members.add(h, at)
			})
			if b.members.total > b.members.limit {
				b.badAt(doc.file, n, n.word(), fmt.Sprintf("groups name hosts more than %d times", b.members.limit), "put groups into groups by children")
				return
			}
		}
	}
}

// addTags puts hosts into the groups that their tags name, made now if no source
// has them.
func (b *builder) addTags(doc *document) {
	for i := range doc.hosts {
		e := &doc.hosts[i]
		for j := range e.tags {
			tag := &e.tags[j]
			tag.each(func(name string) bool {
				at, ok := b.inv.byGroup[name]
				if !ok {
					at = b.newGroup(name, Position{File: doc.file, Line: tag.at.Line, Column: tag.at.Column})
				}
				e.names.each(func(host string) bool {
					h, ok := b.inv.byName[host]
					return ok && b.members.add(h, at)
				})
				return b.members.total <= b.members.limit
			})
			if b.members.total > b.members.limit {
				b.badAt(doc.file, tag, tag.word(), fmt.Sprintf("groups and tags name hosts more than %d times", b.members.limit), "")
				return
			}
		}
	}
}

func (b *builder) newGroup(name string, pos Position) int32 {
	at := int32(len(b.inv.groups))
	b.inv.byGroup[name] = at
	b.inv.groups = append(b.inv.groups, &Group{Name: name, index: at, pos: pos, priority: 1})
	return at
}

// fillUngrouped puts the hosts that are in no group into Ungrouped, where a
// source has it so.
func (b *builder) fillUngrouped() {
	i := slices.IndexFunc(b.docs, func(d *document) bool { return d.ungrouped })
	if i < 0 {
		return
	}
	at, ok := b.inv.byGroup[Ungrouped]
	for host := range b.inv.hosts {
		if b.members.state[host] != 0 {
			continue
		}
		if !ok {
			at, ok = b.newGroup(Ungrouped, Position{File: b.docs[i].file, Line: 1, Column: 1}), true
			b.inv.groups[at].byName = b.docs[i].byName
		}
		b.members.add(int32(host), at)
	}
}

// mergePatches gives what weak and strong say together.
func mergePatches(weak, strong *patch) *patch {
	if strong == nil {
		return weak
	}
	if weak == nil {
		return strong
	}
	out := &patch{vars: mergeVars(weak.vars, strong.vars)}
	all := weak.settings()
	strong.apply(&all)
	out.put(weak.given|strong.given, &all)
	out.templates = stronger(weak.templates, strong.given, strong.templates)
	return out
}

// mergeVars gives a map that holds both, strong's values winning; it writes to
// neither.
func mergeVars(weak, strong map[string]any) map[string]any {
	if len(strong) == 0 {
		return weak
	}
	if len(weak) == 0 {
		return strong
	}
	out := make(map[string]any, len(weak)+len(strong))
	maps.Copy(out, weak)
	maps.Copy(out, strong)
	return out
}

// linkGroups turns names of children into groups, finds cycles, and gives each
// group its depth.
func (b *builder) linkGroups() {
	for _, g := range b.inv.groups {
		seen := make(map[string]bool)
		for _, ref := range g.kids {
			at, ok := b.inv.byGroup[ref.name]
			if !ok {
				b.rep.add(&Error{
					File: ref.pos.File, Line: ref.pos.Line, Column: ref.pos.Column, Word: ref.name,
					Msg: fmt.Sprintf("unknown group %q as a child of %q", abbreviate(ref.name), g.Name), Hint: b.childHint(ref.name),
				})
				continue
			}
			if !seen[ref.name] {
				seen[ref.name] = true
				g.Children = append(g.Children, b.inv.groups[at])
			}
		}
	}
	w := &groupWalk{b: b, state: make(map[*Group]int)}
	for _, g := range b.inv.groups {
		w.visit(g)
	}
	for i := len(w.order) - 1; i >= 0; i-- { // parents first
		for _, child := range w.order[i].Children {
			child.depth = max(child.depth, w.order[i].depth+1)
		}
	}
}

func (b *builder) childHint(name string) string {
	if _, ok := b.inv.byName[name]; ok {
		return "it is a host: list it under hosts"
	}
	return didYouMean(name, b.inv.groupNames())
}

// groupWalk visits groups depth first.
type groupWalk struct {
	b     *builder
	state map[*Group]int // 0 new, 1 on the path, 2 done
	path  []*Group
	order []*Group // children before parents
}

func (w *groupWalk) visit(g *Group) {
	if w.state[g] != 0 {
		return
	}
	w.state[g] = 1
	w.path = append(w.path, g)
	for _, child := range g.Children {
		if w.state[child] == 1 {
			w.cycle(g, child)
			continue
		}
		w.visit(child)
	}
	w.path = w.path[:len(w.path)-1]
	w.state[g] = 2
	w.order = append(w.order, g)
}

func (w *groupWalk) cycle(from, to *Group) {
	var names []string
	for i := len(w.path) - 1; i >= 0; i-- {
		names = append([]string{w.path[i].Name}, names...)
		if w.path[i] == to {
			break
		}
	}
	names = append(names, to.Name)
	at := from.pos
	for _, ref := range from.kids {
		if ref.name == to.Name {
			at = ref.pos
			break
		}
	}
	w.b.rep.add(&Error{File: at.File, Line: at.Line, Column: at.Column, Word: to.Name, Msg: "cycle of groups: " + strings.Join(names, " > ")})
}
