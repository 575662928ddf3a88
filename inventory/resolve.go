package inventory

import (
	"cmp"
	"slices"
)

// maxMemberships bounds how often groups may name hosts in all, as a multiple of
// the limit of hosts.
const maxMemberships = 10

// memberships keeps, for each host, the list of groups that name it, as a state:
// hosts in the same groups have the same state, and what follows from groups is
// worked out once for each state.
type memberships struct {
	state []int32 // by host
	list  []member
	next  map[uint64]int32 // (state, group) to state
	total int
	limit int // of total
}

// member is a state: one more group after another state.
type member struct{ group, before int32 }

func (m *memberships) init(limit int) {
	m.limit = limit
	m.list = []member{{group: -1, before: -1}}
	m.next = make(map[uint64]int32)
}

// add puts the host into the group; it reports false when there are too many
// memberships.
func (m *memberships) add(host, group int32) bool {
	if m.total++; m.total > m.limit {
		return false
	}
	from := m.state[host]
	if m.list[from].group == group {
		return true
	}
	key := uint64(from)<<32 | uint64(group)
	to, ok := m.next[key]
	if !ok {
		to = int32(len(m.list))
		m.list = append(m.list, member{group: group, before: from})
		m.next[key] = to
	}
	m.state[host] = to
	return true
}

// groups gives the groups of a state, each once, ascending.
func (m *memberships) groups(state int32) []int32 {
	var out []int32
	for s := state; s > 0; s = m.list[s].before {
		out = append(out, m.list[s].group)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// inherited is what hosts of one state have from defaults and groups.
type inherited struct {
	direct []int32
	groups []string
	patch  *patch
	ready  bool

	settings Settings // those of patch
}

// layered is what one source says of a group.
type layered struct {
	layer int
	*patch
}

// saidOfGroups yields what is said of all hosts and of the groups, weakest first:
// by sources that are no overlays; by overlays of all hosts; by overlays of the
// groups, folder by folder.
func (b *builder) saidOfGroups(groups []*Group, yield func(g *Group, p *patch)) {
	last := 0
	all := func(overlays bool) {
		for _, doc := range b.docs {
			if last = max(last, doc.layer); doc.layer > 0 == overlays && doc.defaults != nil {
				yield(nil, doc.defaults)
			}
		}
	}
	all(false)
	for layer := 0; layer <= last; layer++ {
		for _, g := range groups {
			for _, p := range g.patches {
				if p.layer == layer && p.patch != nil {
					yield(g, p.patch)
				}
			}
		}
		if layer == 0 {
			all(true)
		}
	}
}

// resolve gives each host its groups, settings and variables.
func (b *builder) resolve() {
	parents := b.parents()
	states := make([]inherited, len(b.members.list))
	var shared varsCache
	for i, h := range b.inv.hosts {
		state := b.members.state[i]
		from := &states[state]
		if !from.ready {
			*from = b.inherit(state, parents)
		}
		h.Groups, h.Settings, h.Vars, h.given = from.groups, from.settings, from.patch.vars, from.patch.given
		if waiting := b.applyEntries(int32(i), h, from.patch.templates, &shared); len(waiting) > 0 {
			h.fill(waiting)
		}
		if h.given&fieldAddress == 0 {
			h.Address = h.Name
		}
		for _, g := range from.direct {
			group := b.inv.groups[g]
			group.Hosts = append(group.Hosts, h)
		}
		if len(from.direct) == 0 {
			b.inv.hostRoot = append(b.inv.hostRoot, h)
		}
	}
}

// applyEntries adds what is said of the host itself, and gives the templates
// that remain to be filled in.
func (b *builder) applyEntries(i int32, h *Host, waiting []template, shared *varsCache) []template {
	for id := range b.entriesOf(i) {
		e := b.entries[id]
		if e.patch == nil {
			continue
		}
		own := e.patch.own()
		own.apply(&h.Settings)
		h.given |= own.given
		waiting = stronger(waiting, own.given, own.templates)
		if e.addresses != nil {
			h.Address = b.address[i]
		}
		if b.own[i] >= 0 {
			h.Vars = shared.merge(h.Vars, own.vars, b.members.state[i], id)
			if e.names.set == nil && len(own.vars) > 0 { // none but this host's: one map serves both
				e.patch.vars, e.patch.widened = h.Vars, true
			}
		} else {
			h.Vars = mergeVars(h.Vars, own.vars)
		}
	}
	return waiting
}

// parents lists, by group, the groups that have it as a child.
func (b *builder) parents() [][]int32 {
	out := make([][]int32, len(b.inv.groups))
	for i, g := range b.inv.groups {
		for _, child := range g.Children {
			at := b.inv.byGroup[child.Name]
			out[at] = append(out[at], int32(i))
		}
	}
	return out
}

// inherit merges what is said of all hosts and of the groups of a state.
func (b *builder) inherit(state int32, parents [][]int32) inherited {
	in := inherited{ready: true, groups: []string{}, direct: b.members.groups(state), patch: &patch{vars: map[string]any{}}}
	all := b.ranked(in.direct, parents)
	for _, g := range all {
		in.groups = append(in.groups, g.Name)
	}
	b.saidOfGroups(all, func(_ *Group, p *patch) { in.patch = mergePatches(in.patch, p) })
	in.settings = in.patch.settings()
	return in
}

// ranked gives the groups and all above them, the weakest first.
func (b *builder) ranked(direct []int32, parents [][]int32) []*Group {
	all := make([]*Group, 0, len(direct))
	seen := make(map[int32]bool)
	add := func(list []int32) {
		for _, g := range list {
			if !seen[g] {
				seen[g] = true
				all = append(all, b.inv.groups[g])
			}
		}
	}
	add(direct)
	for i := 0; i < len(all); i++ {
		add(parents[all[i].index])
	}
	slices.SortFunc(all, (*Group).compare)
	return all
}

// compare orders groups by strength: the less deep ones first, then those of
// lower priority, then as they were written or, after those, by name.
func (g *Group) compare(o *Group) int {
	if c := cmp.Or(cmp.Compare(g.depth, o.depth), cmp.Compare(g.priority, o.priority)); c != 0 {
		return c
	}
	switch {
	case g.byName && o.byName:
		return cmp.Compare(g.Name, o.Name)
	case g.byName:
		return 1
	case o.byName:
		return -1
	}
	return cmp.Compare(g.index, o.index)
}

// varsCache keeps the last merge, which neighbours of a range share. It serves
// hosts with one entry only.
type varsCache struct {
	state, entry int32
	out          map[string]any
	full         bool
}

func (c *varsCache) merge(weak, strong map[string]any, state, entry int32) map[string]any {
	if len(strong) == 0 || len(weak) == 0 {
		return mergeVars(weak, strong)
	}
	if !c.full || c.state != state || c.entry != entry {
		*c = varsCache{state: state, entry: entry, out: mergeVars(weak, strong), full: true}
	}
	return c.out
}
