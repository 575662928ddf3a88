package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// Targets says for each host how it is reached. Logins and host key policies
// are shared between hosts that have the same ones, so that a key is opened, and
// a known_hosts file read, once. It may be used from many goroutines at once.
type Targets struct {
	byName   map[string]sshpool.Target
	policies []*hostkeys.Policy
	auths    []*sshpool.Auth
}

// Unwritten are the host keys that were accepted but could not be kept.
func (t *Targets) Unwritten() (problems []error) {
	for _, p := range t.policies {
		if err := p.Unwritten(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// Close ends the connections to agents.
func (t *Targets) Close() error {
	var errs []error
	for _, a := range t.auths {
		errs = append(errs, a.Close())
	}
	return errors.Join(errs...)
}

// Target is how the host of that name is reached.
func (t *Targets) Target(host string) (sshpool.Target, error) {
	target, ok := t.byName[host]
	if !ok {
		return sshpool.Target{}, errors.New("host is not part of this run")
	}
	return target, nil
}

// Reach says how to reach hosts: it reads the files that are named for them and
// opens their keys, asking for passphrases where needed. Nothing is sent. The
// caller closes what it gets. An error is about the settings, not about a host
// that does not answer.
func (a Access) Reach(ctx context.Context, hosts []*inventory.Host) (*Targets, error) {
	r := &resolver{Access: a, auths: map[string]*sshpool.Auth{}, policies: map[string]*hostkeys.Policy{}}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("look up own user: %w", err)
	}
	r.me, r.home = me.Username, me.HomeDir
	if err := unsupported(hosts); err != nil {
		return nil, err
	}
	all := &Targets{byName: make(map[string]sshpool.Target, len(hosts))}
	for _, h := range hosts {
		if all.byName[h.Name], err = r.resolve(h); err != nil {
			return nil, fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	all.auths = r.order
	for _, p := range r.policies {
		all.policies = append(all.policies, p)
	}
	for _, a := range all.auths {
		if err := a.Prepare(ctx); err != nil {
			return nil, errors.Join(err, all.Close())
		}
	}
	return all, nil
}

// unsupported refuses hosts whose inventory asks for what this version cannot
// do, rather than reach them in another way than was asked for.
func unsupported(hosts []*inventory.Host) error {
	for _, s := range []struct {
		setting string
		set     func(*inventory.Host) bool
	}{
		{"jump", func(h *inventory.Host) bool { return len(h.Jump) > 0 }},
		{"proxy_command", func(h *inventory.Host) bool { return h.ProxyCommand != "" }},
		{"certificate", func(h *inventory.Host) bool { return len(h.Certificate) > 0 }},
		{"become", func(h *inventory.Host) bool { return h.Become }},
		{"shell", func(h *inventory.Host) bool { return h.Shell != "" }},
	} {
		var names []string
		for _, h := range hosts {
			if s.set(h) {
				names = append(names, h.Name)
			}
		}
		if len(names) > 0 {
			return fmt.Errorf("inventory setting %q of %s is not supported yet; nothing was run", s.setting, inventory.Fold(names))
		}
	}
	return nil
}

type resolver struct {
	Access
	me, home string
	auths    map[string]*sshpool.Auth
	order    []*sshpool.Auth // auths, as they came up
	policies map[string]*hostkeys.Policy
}

func (r *resolver) resolve(h *inventory.Host) (sshpool.Target, error) {
	policy, err := r.policy(h)
	if err != nil {
		return sshpool.Target{}, err
	}
	return sshpool.Target{
		Address:  cmp.Or(h.Address, h.Name),
		Port:     cmp.Or(r.Port, h.Port, 22),
		User:     cmp.Or(r.User, h.User, r.me),
		Auth:     r.auth(h),
		HostKeys: policy,
		Limits:   sshpool.Limits{Total: cmp.Or(r.ConnectTimeout, h.ConnectTimeout)},
		Log:      r.Log,
	}, nil
}

// auth is the login of h: the named keys, or the agent's and the usual files.
func (r *resolver) auth(h *inventory.Host) *sshpool.Auth {
	keys := r.Keys
	if len(keys) == 0 {
		keys = h.Key
	}
	id := strings.Join(keys, "\x00")
	if a := r.auths[id]; a != nil {
		return a
	}
	a := &sshpool.Auth{
		AgentSocket:    r.Agent,
		IdentitiesOnly: len(keys) > 0,
		Password:       r.Password,
		Passphrase:     r.Passphrase,
	}
	for _, key := range keys {
		a.Keys = append(a.Keys, r.expand(key))
	}
	if len(keys) == 0 {
		for _, key := range defaultKeys {
			a.DefaultKeys = append(a.DefaultKeys, r.expand(key))
		}
	}
	r.auths[id] = a
	r.order = append(r.order, a)
	return a
}

// defaultKeys are tried where no key is named (ssh_config(5), IdentityFile).
var defaultKeys = []string{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"}

// systemKnownHosts is read besides the user's own file, as ssh does.
const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

// policy is what checks the host key of h: the keys that the inventory pins,
// or known_hosts files.
func (r *resolver) policy(h *inventory.Host) (sshpool.HostKeyChecker, error) {
	mode, err := hostKeyMode(r.HostKeys)
	if err != nil {
		return nil, err
	}
	if len(h.HostKey) > 0 && mode != hostkeys.InsecureOff {
		return hostkeys.ParsePins(h.HostKey)
	}
	files := r.KnownHosts
	if len(files) == 0 {
		files = h.KnownHosts
	}
	if len(files) == 0 {
		files = []string{"~/.ssh/known_hosts", systemKnownHosts}
	}
	id := strings.Join(files, "\x00")
	if p := r.policies[id]; p != nil {
		return p, nil
	}
	paths := slices.Clone(files)
	for i := range paths {
		paths[i] = r.expand(paths[i])
	}
	index, err := hostkeys.Load(paths...)
	if err != nil {
		return nil, err
	}
	if err := index.Problems(); err != nil {
		r.warn(err)
	}
	p := &hostkeys.Policy{Mode: mode, Index: index, File: paths[0]}
	r.policies[id] = p
	return p, nil
}

func hostKeyMode(word string) (hostkeys.Mode, error) {
	for _, m := range []hostkeys.Mode{hostkeys.Strict, hostkeys.AcceptNew, hostkeys.InsecureOff} {
		if word == m.String() || word == "" && m == hostkeys.Strict {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown host key mode %q", word)
}

// expand makes ~ and ~/x paths of the user's home.
func (r *resolver) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		return r.home + rest
	}
	return path
}
