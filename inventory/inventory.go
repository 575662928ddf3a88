package inventory

import (
	"iter"
	"slices"
	"strings"
)

// All is the name of the implicit group of every host. No host or group of a
// file may be called so.
const All = "all"

// Inventory is the hosts and groups of one or more files. It does not change
// after Load, and is safe for concurrent use as long as nobody writes to what
// it hands out.
type Inventory struct {
	hosts    []*Host
	byName   map[string]int32
	groups   []*Group
	byGroup  map[string]int32
	hostRoot []*Host // hosts in no group
	from     *builder
	prefixes []string
	facts    Facts // nil: patterns cannot ask for any
	lookUp   func(name string) (hosts []string, known bool, err error)
}

// LookUp has patterns mean more by @NAME than groups: where no group has the
// name, f is asked for the names of hosts that it stands for. known is false for
// a name that f does not know either. It is set before the inventory is shared.
func (inv *Inventory) LookUp(f func(name string) (hosts []string, known bool, err error)) {
	inv.lookUp = f
}

// Host is one machine, with what defaults, its groups and its own entry say of
// it. Hosts share slices and maps with each other: do not write to them.
type Host struct {
	// Name is the host's name in the inventory, unique and unchanging.
	Name string
	// Groups is all groups that hold the host, itself or by a child: parents
	// before children, in the order in which settings are taken from them.
	// It does not list All.
	Groups []string
	// Settings is how to reach the host. Address is never empty; any other
	// zero value means that the inventory does not say.
	Settings
	// Vars is the host's variables: nil, bool, int64, uint64, float64 (finite),
	// string, []any, map[string]any and Secret, so that encoding/json can write them.
	Vars map[string]any
	// Source is where the inventory first names the host.
	Source Position

	index int32
	given field
	inv   *Inventory
	fault *Error
}

// Position is a place in an inventory file.
type Position struct {
	File         string
	Line, Column int // from 1
}

// Given reports whether the inventory itself says the named setting, such as
// "port" or "address", for this host. Address is filled from Name otherwise.
func (h *Host) Given(setting string) bool {
	f, ok := fieldByName(setting)
	return ok && h.given&f != 0
}

// Sibling finds a host of the same inventory by its exact name. A Host that was
// not made by Load or Parse has none.
func (h *Host) Sibling(name string) (*Host, bool) {
	if h.inv == nil {
		return nil, false
	}
	return h.inv.Host(name)
}

// Group is a named set of hosts.
type Group struct {
	Name     string
	Children []*Group // in the order written
	Hosts    []*Host  // direct ones only, in inventory order

	index    int32
	depth    int // longest way from a group without parents
	priority int
	byName   bool
	patches  []layered // weakest first
	pos      Position
	kids     []childRef
}

// Hosts gives all hosts in inventory order: as the files' hosts sections write
// them, then those that only groups name. Do not write to the slice.
func (inv *Inventory) Hosts() []*Host { return inv.hosts }

// Host finds a host by its exact name.
func (inv *Inventory) Host(name string) (*Host, bool) {
	i, ok := inv.byName[name]
	if !ok {
		return nil, false
	}
	return inv.hosts[i], true
}

// Groups gives all groups in the order written, without All. Do not write to
// the slice.
func (inv *Inventory) Groups() []*Group { return inv.groups }

// Group finds a group by its exact name; All is the same as Tree.
func (inv *Inventory) Group(name string) (*Group, bool) {
	if name == All {
		return inv.Tree(), true
	}
	i, ok := inv.groupAt(name)
	if !ok {
		return nil, false
	}
	return inv.groups[i], true
}

// groupAt finds a group by its name, also behind the prefix of a source whose
// groups go by their names alone (Content.GroupPrefix).
func (inv *Inventory) groupAt(name string) (int32, bool) {
	if i, ok := inv.byGroup[name]; ok {
		return i, true
	}
	prefix, rest, ok := strings.Cut(name, ":")
	if !ok || !slices.Contains(inv.prefixes, prefix) {
		return 0, false
	}
	i, ok := inv.byGroup[rest]
	return i, ok
}

// isPrefix says whether groups are named PREFIX:NAME.
func (inv *Inventory) isPrefix(prefix string) bool {
	return slices.Contains(inv.prefixes, prefix) || slices.ContainsFunc(inv.groups, func(g *Group) bool {
		return len(g.Name) > len(prefix) && g.Name[len(prefix)] == ':' && g.Name[:len(prefix)] == prefix
	})
}

// Tree gives the implicit group All: its children are the groups without
// parents, its direct hosts those in no group. A group with several parents
// stands under each of them.
func (inv *Inventory) Tree() *Group {
	root := &Group{Name: All, Hosts: inv.hostRoot}
	for _, g := range inv.groups {
		if g.depth == 0 {
			root.Children = append(root.Children, g)
		}
	}
	return root
}

// Source is where the inventory first names the group; that of All is nowhere.
func (g *Group) Source() Position { return g.pos }

// AllHosts gives the hosts of the group and of all groups below it, in
// inventory order, each once.
func (g *Group) AllHosts() []*Host {
	var list []*Host
	for below := range g.walk() {
		list = append(list, below.Hosts...)
	}
	slices.SortFunc(list, func(a, b *Host) int { return int(a.index) - int(b.index) })
	return slices.Compact(list)
}

// walk yields the group and all below it, each once.
func (g *Group) walk() iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		seen := map[*Group]bool{g: true}
		queue := []*Group{g}
		for len(queue) > 0 {
			next := queue[0]
			queue = queue[1:]
			if !yield(next) {
				return
			}
			for _, child := range next.Children {
				if !seen[child] {
					seen[child] = true
					queue = append(queue, child)
				}
			}
		}
	}
}

func (inv *Inventory) groupNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, g := range inv.groups {
			if !yield(g.Name) {
				return
			}
		}
	}
}
