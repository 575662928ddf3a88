package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"fleet/inventory"
)

// writeGroups writes, a line a group, the groups that hold any of hosts, and
// which of these: what nodeset -ll does.
func writeGroups(w io.Writer, inv *inventory.Inventory, hosts []*inventory.Host) error {
	chosen := nameSetOf(hosts)
	for _, g := range inv.Groups() {
		var in []string
		for _, h := range g.AllHosts() {
			if chosen[h.Name] {
				in = append(in, h.Name)
			}
		}
		if len(in) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "@%s %s\n", g.Name, inventory.Fold(in)); err != nil {
			return err
		}
	}
	return nil
}

// writeRegrouped writes hosts by the largest groups that are among them whole,
// then those that are left: what nodeset -r does.
func writeRegrouped(w io.Writer, inv *inventory.Inventory, hosts []*inventory.Host) error {
	chosen := nameSetOf(hosts)
	type whole struct {
		name  string
		hosts []*inventory.Host
	}
	var groups []whole
	for _, g := range inv.Groups() {
		all := g.AllHosts()
		if len(all) > 0 && !slices.ContainsFunc(all, func(h *inventory.Host) bool { return !chosen[h.Name] }) {
			groups = append(groups, whole{g.Name, all})
		}
	}
	slices.SortStableFunc(groups, func(a, b whole) int {
		return cmp.Or(len(b.hosts)-len(a.hosts), cmp.Compare(a.name, b.name))
	})
	text := ""
	add := func(part string) {
		if text != "" {
			text += ","
		}
		text += part
	}
	left := nameSetOf(hosts)
	for _, g := range groups {
		if !slices.ContainsFunc(g.hosts, func(h *inventory.Host) bool { return left[h.Name] }) {
			continue // nothing new
		}
		for _, h := range g.hosts {
			delete(left, h.Name)
		}
		add("@" + g.name)
	}
	var rest []string
	for _, h := range hosts {
		if left[h.Name] {
			rest = append(rest, h.Name)
		}
	}
	if len(rest) > 0 {
		add(inventory.Fold(rest))
	}
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func nameSetOf(hosts []*inventory.Host) map[string]bool {
	in := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		in[h.Name] = true
	}
	return in
}
