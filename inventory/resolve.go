package inventory

import "slices"

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
}

// resolve gives each host its groups, settings and variables.
func (b *builder) resolve() {
	defaults := &patch{vars: map[string]any{}}
	for _, doc := range b.docs {
		defaults = mergePatches(defaults, doc.defaults)
	}
	parents := b.parents()
	states := make([]inherited, len(b.members.list))
	var shared varsCache
	for i, h := range b.inv.hosts {
		state := b.members.state[i]
		from := &states[state]
		if !from.ready {
			*from = b.inherit(state, defaults, parents)
		}
		h.Groups, h.Settings, h.Vars, h.given = from.groups, from.patch.Settings, from.patch.vars, from.patch.given
		b.applyEntries(int32(i), h, &shared)
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

// applyEntries adds what is said of the host itself.
func (b *builder) applyEntries(i int32, h *Host, shared *varsCache) {
	for id := range b.entriesOf(i) {
		e := b.entries[id]
		if e.patch == nil {
			continue
		}
		e.patch.apply(&h.Settings)
		h.given |= e.patch.given
		if e.addresses != nil {
			h.Address = b.address[i]
		}
		if b.own[i] >= 0 {
			h.Vars = shared.merge(h.Vars, e.patch.vars, b.members.state[i], id)
		} else {
			h.Vars = mergeVars(h.Vars, e.patch.vars)
		}
	}
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

// inherit merges defaults and all groups of a state: the less deep ones first,
// of equal depth those written first. Later ones win.
func (b *builder) inherit(state int32, defaults *patch, parents [][]int32) inherited {
	in := inherited{ready: true, groups: []string{}, patch: defaults, direct: b.members.groups(state)}
	all := slices.Clone(in.direct)
	seen := make(map[int32]bool)
	for _, g := range all {
		seen[g] = true
	}
	for i := 0; i < len(all); i++ {
		for _, p := range parents[all[i]] {
			if !seen[p] {
				seen[p] = true
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, func(x, y int32) int {
		if c := b.inv.groups[x].depth - b.inv.groups[y].depth; c != 0 {
			return c
		}
		return int(x - y)
	})
	for _, g := range all {
		in.groups = append(in.groups, b.inv.groups[g].Name)
		in.patch = mergePatches(in.patch, b.inv.groups[g].patch)
	}
	return in
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
