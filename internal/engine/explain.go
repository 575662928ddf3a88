package engine

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/sshconfig"
)

// Given is the From of what stands above all files.
const Given = "command line"

// Explain says how h is reached, setting by setting in the form of `ssh -G`, and
// where each comes from: a line of ssh_config, the place of the host in the
// inventory, Given for what a says itself, or nowhere for a default. Lists of
// algorithms are those that are offered. Nothing is opened and nothing sent.
func (a Access) Explain(ctx context.Context, h *inventory.Host) ([]sshconfig.Setting, error) {
	r, err := newResolver(ctx, a)
	if err != nil {
		return nil, err
	}
	w := want{name: h.Name, host: h, root: h, user: a.User, port: a.Port}
	found, err := r.ask(w)
	if err != nil {
		return nil, err
	}
	list, err := r.offered(found)
	if err != nil {
		return nil, err
	}
	r.tellWarnings()
	e := explanation(slices.Concat(found.Settings(), list))
	e.above(h, sshconfig.From{File: h.Source.File, Line: h.Source.Line})
	if a.User != "" {
		e.set("user", sshconfig.From{File: Given}, a.User)
	}
	if a.Port != 0 {
		e.set("port", sshconfig.From{File: Given}, strconv.Itoa(a.Port))
	}
	return e, nil
}

// offered are the lists of algorithms that found leads to.
func (r *resolver) offered(found *sshconfig.Resolved) ([]sshconfig.Setting, error) {
	own, err := r.algorithms(found)
	if err != nil {
		return nil, err
	}
	def := sshpool.DefaultAlgorithms()
	pick := func(key string, own, def []string, from sshconfig.From) sshconfig.Setting {
		if len(own) == 0 {
			own = def
		}
		return sshconfig.Setting{Key: key, Value: strings.Join(own, ","), From: from}
	}
	return []sshconfig.Setting{
		pick("ciphers", own.Ciphers, def.Ciphers, found.Ciphers.From),
		pick("macs", own.MACs, def.MACs, found.MACs.From),
		pick("kexalgorithms", own.KeyExchanges, def.KeyExchanges, found.KexAlgorithms.From),
		pick("hostkeyalgorithms", own.HostKeys, def.HostKeys, found.HostKeyAlgorithms.From),
	}, nil
}

// explanation is a list of settings, the last of a key being in force where it
// is one of algorithms.
type explanation []sshconfig.Setting

// above puts what the inventory says over what stands in ssh_config.
func (e *explanation) above(h *inventory.Host, from sshconfig.From) {
	for _, key := range []string{"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms"} {
		if i := slices.IndexFunc(*e, func(s sshconfig.Setting) bool { return s.Key == key }); i < len(*e)-4 {
			*e = slices.Delete(*e, i, i+1) // as written; the list offered is at the end
		}
	}
	if h.Given("address") {
		e.set("hostname", from, h.Address)
	}
	if h.Port != 0 {
		e.set("port", from, strconv.Itoa(h.Port))
	}
	if h.User != "" {
		e.set("user", from, h.User)
	}
	e.set("identityfile", from, h.Key...)
	e.set("certificatefile", from, h.Certificate...)
	e.set("userknownhostsfile", from, strings.Join(h.KnownHosts, " "))
	if h.ConnectTimeout != 0 {
		e.set("connecttimeout", from, strconv.Itoa(int(h.ConnectTimeout.Seconds())))
	}
	if h.Given("jump") || h.Given("proxy_command") {
		e.drop("proxyjump")
		e.drop("proxycommand")
	}
	e.set("proxyjump", from, strings.Join(h.Jump, ","))
	e.set("proxycommand", from, h.ProxyCommand)
}

// set replaces the values of a key, unless there are none.
func (e *explanation) set(key string, from sshconfig.From, values ...string) {
	if len(values) == 0 || values[0] == "" {
		return
	}
	i := slices.IndexFunc(*e, func(s sshconfig.Setting) bool { return s.Key == key })
	if i < 0 {
		i = len(*e)
	}
	e.drop(key)
	for n, v := range values {
		*e = slices.Insert(*e, i+n, sshconfig.Setting{Key: key, Value: v, From: from})
	}
}

func (e *explanation) drop(key string) {
	*e = slices.DeleteFunc(*e, func(s sshconfig.Setting) bool { return s.Key == key })
}
