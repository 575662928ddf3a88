package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/sshconfig"
)

// want is one connection that is asked for.
type want struct {
	name string
	host *inventory.Host // what the inventory says; an empty one where it says nothing
	user string          // above the inventory's
	port int             // likewise
	root *inventory.Host // the host that is to be reached in the end
	via  []string        // for a jump host, those that it leads to; nil for a host itself
}

func (w *want) isHop() bool { return w.via != nil }

// maxHops bounds how many jump hosts lead to a host.
const maxHops = 16

// proxy says through what t is reached: --jump, else the inventory's jump hosts
// or command, else those of ssh_config. The jump hosts of a jump host count only
// for the first of a list, as with ssh -J.
func (r *resolver) proxy(t *sshpool.Target, w want, found *sshconfig.Resolved) (err error) {
	h := w.host
	self := w.name + ":" + strconv.Itoa(t.Port)
	if slices.Contains(w.via, self) {
		return loopError(append(w.via, self))
	}
	via := append(w.via[:len(w.via):len(w.via)], self)
	if len(via) > maxHops+1 {
		return fmt.Errorf("more than %d jump hosts", maxHops)
	}
	switch {
	case len(r.Jump) > 0 && !w.isHop():
		t.Jump, err = r.named(r.Jump, "--jump", w, via)
	case h.ProxyCommand != "":
		t.ProxyCommand, err = expandProxy(h.ProxyCommand, w.name, t)
		err = at(place(h.Source), err)
	case len(h.Jump) > 0:
		t.Jump, err = r.named(h.Jump, place(h.Source), w, via)
	case h.Given("jump") || h.Given("proxy_command"): // none
	case found.ProxyCommand.V != "":
		t.ProxyCommand = found.ProxyCommand.V
	case len(found.ProxyJump.V) > 0:
		t.Jump, err = r.chain(found.ProxyJump.V, found.ProxyJump.From.String(), w, via)
	}
	return err
}

// named is the chain of jump hosts written as text. It ends before the host
// itself, so that jump hosts may be among the hosts of a run.
func (r *resolver) named(list []string, from string, w want, via []string) ([]sshpool.Target, error) {
	var hops []sshconfig.Hop
	for _, text := range list {
		for spec := range strings.SplitSeq(text, ",") {
			spec = strings.TrimSpace(spec)
			if spec == "none" && len(list) == 1 && text == spec {
				return nil, nil
			}
			hop, err := sshconfig.ParseHop(spec)
			if err != nil {
				return nil, hinted(at(from, fmt.Errorf("jump host: %w", err)), "jump hosts are [USER@]HOST[:PORT], joined by commas, the nearest first")
			}
			hops = append(hops, hop)
		}
	}
	if i := slices.IndexFunc(hops, func(hop sshconfig.Hop) bool { return hop.Host == w.name && hop.Port == 0 }); i >= 0 {
		hops = hops[:i]
	}
	return r.chain(hops, from, w, via)
}

// chain resolves jump hosts, the nearest to us first. Hosts with the same ones
// share it.
func (r *resolver) chain(hops []sshconfig.Hop, from string, w want, via []string) ([]sshpool.Target, error) {
	if len(hops) == 0 {
		return nil, nil
	}
	return r.chains.get(r, chainID(hops, w.root), func() ([]sshpool.Target, error) {
		var list []sshpool.Target
		before := len(r.said)
		defer func() { r.said = r.said[:before] }() // each hop's own LogLevel decided
		for i, hop := range hops {
			t, err := r.hop(hop, i == 0, w.root, via)
			if err != nil {
				return nil, at(from, err)
			}
			via = append(via, hop.Host+":"+strconv.Itoa(t.Port))
			list = append(append(list, t.Jump...), t)
			list[len(list)-1].Jump = nil
		}
		return list, nil
	})
}

// chainID tells chains apart: those of one text, in one inventory, are the same.
func chainID(hops []sshconfig.Hop, h *inventory.Host) string {
	var b strings.Builder
	for _, hop := range hops {
		_, known := h.Sibling(hop.Host)
		fmt.Fprintf(&b, "%s\x00%s\x00%d\x00%t\x00", hop.User, hop.Host, hop.Port, known)
	}
	return b.String()
}

// hop resolves one jump host: as a host of the inventory if it has one of that
// name, and by ssh_config.
func (r *resolver) hop(hop sshconfig.Hop, first bool, root *inventory.Host, via []string) (sshpool.Target, error) {
	w := want{name: hop.Host, user: hop.User, port: hop.Port, root: root, via: via}
	known := false
	if w.host, known = root.Sibling(hop.Host); !known {
		w.host = &inventory.Host{Name: hop.Host, Settings: inventory.Settings{Address: hop.Host}}
	}
	found, err := r.ask(w)
	if err != nil {
		return sshpool.Target{}, err
	}
	t, err := r.settle(w, found)
	if err != nil {
		return t, fmt.Errorf("jump host %s: %w", hop.Host, err)
	}
	if !first {
		return t, nil
	}
	if err = r.proxy(&t, w, found); err == nil && !known && len(t.Jump) == 0 && t.ProxyCommand == "" {
		err = r.knownName(&t, found)
	}
	return t, err
}

// knownName says whether the name of a jump host, which nothing but itself
// explains, is one at all. Where the name service does not say, it may be.
func (r *resolver) knownName(t *sshpool.Target, found *sshconfig.Resolved) error {
	if _, err := netip.ParseAddr(t.Address); err == nil || found.HostName.IsSet() || strings.Contains(t.Address, ".") {
		return nil
	}
	_, err := r.lookups.get(r, t.Address, func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(r.ctx, nameLimit)
		defer cancel()
		_, err := r.names.LookupNetIP(ctx, "ip", t.Address)
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound && !dns.IsTimeout {
			return struct{}{}, hinted(fmt.Errorf("unknown jump host %q: neither in the inventory nor in ssh_config, and no such host", t.Address),
				"give it an entry under hosts: with its address, or a Host block in ssh_config")
		}
		return struct{}{}, nil
	})
	return err
}

// nameLimit is how long a name service may take to say that it has no such name.
const nameLimit = 5 * time.Second

func loopError(path []string) error {
	names := make([]string, len(path))
	for i, p := range path {
		names[i] = p[:strings.LastIndexByte(p, ':')]
	}
	first := slices.Index(path, path[len(path)-1])
	return hinted(fmt.Errorf("jump loop: %s", strings.Join(names[first:], " > ")),
		"one of them must be reached directly: 'jump: none' in the inventory, 'ProxyJump none' before other lines in ssh_config")
}

// expandProxy replaces the tokens of an inventory's proxy_command, which are
// those of ProxyCommand (ssh_config(5), TOKENS).
func expandProxy(command, name string, t *sshpool.Target) (string, error) {
	var b strings.Builder
	for rest := command; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after == "" {
			return "", fmt.Errorf("proxy_command %q ends in %%", command)
		}
		switch after[0] {
		case '%':
			b.WriteByte('%')
		case 'h':
			b.WriteString(t.Address)
		case 'n':
			b.WriteString(name)
		case 'p':
			b.WriteString(strconv.Itoa(t.Port))
		case 'r':
			b.WriteString(t.User)
		default:
			return "", hinted(fmt.Errorf("proxy_command: unknown token %q", "%"+after[:1]), "it has %h host, %p port, %r user, %n the host's name, %% a percent sign")
		}
		rest = after[1:]
	}
}
