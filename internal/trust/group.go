package trust

import (
	"slices"
	"strings"

	"fleet/sshpool/hostkeys"
)

// Group is hosts that show the same key, or certificates of one authority, and
// of which known_hosts says the same.
type Group struct {
	State       State
	Type        string // of the key or certificate
	Fingerprint string // of the key; empty for certificates that are in order
	Authority   string // fingerprint of who signed the certificates
	Refusal     *hostkeys.Error
	Hosts       []string
}

// Groups puts keys together, those of the same state behind each other in the
// order of States, in each by the first host.
func Groups(keys []Key) []Group {
	at := make(map[[5]string]int)
	var groups []Group
	for i := range keys {
		k := &keys[i]
		g := Group{State: k.State, Type: k.Key.Type(), Fingerprint: k.Fingerprint(), Authority: k.Authority(), Refusal: k.Refusal}
		if g.Authority != "" && g.State == Known {
			g.Fingerprint = ""
		}
		why := ""
		if k.Refusal != nil {
			why = k.Refusal.Error()
		}
		id := [5]string{string(g.State), g.Type, g.Fingerprint, g.Authority, why}
		n, ok := at[id]
		if !ok {
			n = len(groups)
			at[id] = n
			groups = append(groups, g)
		}
		groups[n].Hosts = append(groups[n].Hosts, k.Host)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return slices.Index(States, a.State) - slices.Index(States, b.State)
	})
	return groups
}

// Shared is a key that servers at several addresses show.
type Shared struct {
	Type, Fingerprint string
	Hosts             []string
	Addresses         int
}

// SharedKeys finds keys that servers at more than one address show, as they do
// where machines were cloned from one image. Several names or ports of one
// address are one machine.
func SharedKeys(keys []Key) []Shared {
	type seen struct {
		Shared
		at map[string]bool
	}
	var order []*seen
	byKey := make(map[string]*seen)
	for i := range keys {
		k := &keys[i]
		print := k.Fingerprint()
		s := byKey[print]
		if s == nil {
			s = &seen{Shared{Type: k.Plain().Type(), Fingerprint: print}, make(map[string]bool)}
			byKey[print] = s
			order = append(order, s)
		}
		s.Hosts = append(s.Hosts, k.Host)
		s.at[machine(k.Daemon)] = true
	}
	var shared []Shared
	for _, s := range order {
		if s.Addresses = len(s.at); s.Addresses > 1 {
			shared = append(shared, s.Shared)
		}
	}
	return shared
}

// machine is a server's address without its port.
func machine(daemon string) string {
	if i := strings.LastIndexByte(daemon, ':'); i >= 0 {
		return daemon[:i]
	}
	return daemon
}

// Count says how many hosts have a key of each state. A host with several keys
// counts where it matters most.
func Count(keys []Key) map[State]int {
	worst := make(map[string]State)
	for i := range keys {
		k := &keys[i]
		if slices.Index(States, k.State) >= slices.Index(States, worst[k.Host]) {
			worst[k.Host] = k.State
		}
	}
	counts := make(map[State]int)
	for _, s := range worst {
		counts[s]++
	}
	return counts
}
