package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fleet/inventory"
)

// writeTree shows groups with their children and the host sets that stand
// directly in them, as far as they hold any of hosts.
func writeTree(w io.Writer, inv *inventory.Inventory, hosts []*inventory.Host, vars bool) error {
	t := &tree{w: w, vars: vars, chosen: make(map[string]*inventory.Host, len(hosts))}
	for _, h := range hosts {
		t.chosen[h.Name] = h
	}
	isChild := map[string]bool{}
	inGroup := map[string]bool{}
	for _, g := range inv.Groups() {
		for _, child := range g.Children {
			isChild[child.Name] = true
		}
		for _, h := range g.Hosts {
			inGroup[h.Name] = true
		}
	}
	for _, g := range inv.Groups() {
		if !isChild[g.Name] {
			t.group(g, "")
		}
	}
	var loose []*inventory.Host
	for _, h := range hosts {
		if !inGroup[h.Name] {
			loose = append(loose, h)
		}
	}
	if len(loose) > 0 {
		t.line("", "(in no group)")
		t.hosts(loose, "  ")
	}
	return t.err
}

type tree struct {
	w      io.Writer
	vars   bool
	chosen map[string]*inventory.Host
	err    error
}

func (t *tree) line(indent, text string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, indent+text)
	}
}

func (t *tree) group(g *inventory.Group, indent string) {
	if !t.holdsChosen(g) {
		return
	}
	t.line(indent, "@"+g.Name)
	for _, child := range g.Children {
		t.group(child, indent+"  ")
	}
	var direct []*inventory.Host
	for _, h := range g.Hosts {
		if chosen := t.chosen[h.Name]; chosen != nil {
			direct = append(direct, chosen)
		}
	}
	t.hosts(direct, indent+"  ")
}

// hosts writes hosts folded, or one by one with their details.
func (t *tree) hosts(hosts []*inventory.Host, indent string) {
	if len(hosts) == 0 {
		return
	}
	if !t.vars {
		t.line(indent, inventory.Fold(hostNames(hosts)))
		return
	}
	for _, h := range hosts {
		t.line(indent, h.Name)
		for _, detail := range hostDetails(h) {
			t.line(indent+"  ", detail)
		}
	}
}

func (t *tree) holdsChosen(g *inventory.Group) bool {
	return slices.ContainsFunc(g.Hosts, func(h *inventory.Host) bool { return t.chosen[h.Name] != nil }) ||
		slices.ContainsFunc(g.Children, t.holdsChosen)
}

// hostDetails lists a host's connection settings and variables, one a line.
func hostDetails(h *inventory.Host) []string {
	var lines []string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, key+": "+value)
		}
	}
	add("address", h.Address)
	if h.Port != 0 {
		add("port", strconv.Itoa(h.Port))
	}
	add("user", h.User)
	add("key", strings.Join(h.Key, ", "))
	add("certificate", strings.Join(h.Certificate, ", "))
	add("jump", strings.Join(h.Jump, ", "))
	add("proxy_command", h.ProxyCommand)
	if h.Become {
		add("become", "true")
	}
	add("become_user", h.BecomeUser)
	add("become_method", h.BecomeMethod)
	add("become_pass_file", h.BecomePassFile)
	add("become_pass_command", h.BecomePassCommand)
	add("known_hosts", strings.Join(h.KnownHosts, ", "))
	if h.ConnectTimeout != 0 {
		add("connect_timeout", h.ConnectTimeout.String())
	}
	add("shell", h.Shell)
	for _, name := range slices.Sorted(maps.Keys(h.Vars)) {
		value, err := json.Marshal(h.Vars[name])
		if err != nil {
			value = fmt.Append(nil, h.Vars[name])
		}
		lines = append(lines, "vars."+name+": "+string(value))
	}
	return lines
}
