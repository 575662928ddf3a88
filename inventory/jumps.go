package inventory

import (
	"fmt"
	"strings"
)

// hopName gives the host of [ssh://][user@]host[:port].
func hopName(hop string) string {
	hop = strings.TrimPrefix(hop, "ssh://")
	hop = hop[strings.LastIndexByte(hop, '@')+1:]
	if colon := strings.LastIndexByte(hop, ':'); colon >= 0 && strings.Count(hop, ":") == 1 {
		hop = hop[:colon]
	}
	return hop
}

// checkJumps ends the jump list of a host before the host itself, so that
// bastions may inherit the list that leads through them, and refuses hosts that
// can only be reached through each other.
func (b *builder) checkJumps() {
	lists := make(map[*string][]string) // names of hops, by list
	through := make(map[string]bool)
	for _, h := range b.inv.hosts {
		if len(h.Jump) == 0 {
			continue
		}
		hops, ok := lists[&h.Jump[0]]
		if !ok {
			for _, hop := range h.Jump {
				hops = append(hops, hopName(hop))
				through[hopName(hop)] = true
			}
			lists[&h.Jump[0]] = hops
		}
		for i, hop := range hops {
			if hop == h.Name {
				h.Jump = h.Jump[:i:i]
				break
			}
		}
	}
	w := &jumpWalk{b: b, state: make(map[string]int)}
	for _, h := range b.inv.hosts {
		if through[h.Name] {
			w.visit(h)
		}
	}
}

// jumpWalk follows jump hosts that are hosts of the inventory.
type jumpWalk struct {
	b     *builder
	state map[string]int // 0 new, 1 on the path, 2 done
	path  []string
}

func (w *jumpWalk) visit(h *Host) {
	w.state[h.Name] = 1
	w.path = append(w.path, h.Name)
	for _, hop := range h.Jump {
		next, ok := w.b.inv.Host(hopName(hop))
		if !ok {
			continue
		}
		switch w.state[next.Name] {
		case 0:
			w.visit(next)
		case 1:
			w.loop(h, next.Name)
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.state[h.Name] = 2
}

func (w *jumpWalk) loop(h *Host, name string) {
	from := 0
	for i, on := range w.path {
		if on == name {
			from = i
		}
	}
	path := strings.Join(append(w.path[from:len(w.path):len(w.path)], name), " > ")
	w.b.rep.add(&Error{
		File: h.Source.File, Line: h.Source.Line, Column: h.Source.Column, Word: name,
		Msg: fmt.Sprintf("cycle of jump hosts: %s", path), Hint: "write jump: none on the first of them",
	})
}
