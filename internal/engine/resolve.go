package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
	"fleet/sshpool/sshconfig"
)

// resolver makes targets of hosts: flags over inventory over ssh_config over
// defaults, setting by setting.
type resolver struct {
	Access
	home     string
	auths    shared[*sshpool.Auth]
	indexes  shared[*hostkeys.Index]
	policies shared[*hostkeys.Policy]
	keys     map[string]error // key files that were looked at
	told     map[string]bool  // warnings
	warnings []string
}

func newResolver(a Access) (*resolver, error) {
	me, err := sshconfig.ThisUser()
	if err != nil {
		return nil, fmt.Errorf("look up own user: %w", err)
	}
	if a.SSHConfig == nil {
		if a.SSHConfig, err = sshconfig.Load(me); err != nil {
			return nil, err
		}
	}
	return &resolver{
		Access: a, home: me.Home,
		auths: newShared[*sshpool.Auth](), indexes: newShared[*hostkeys.Index](), policies: newShared[*hostkeys.Policy](),
		keys: make(map[string]error), told: make(map[string]bool),
	}, nil
}

// tellWarnings passes on what SSHConfig has to say, and what came up since.
func (r *resolver) tellWarnings() {
	for _, w := range r.SSHConfig.Warnings() {
		r.tell(w.String())
	}
	if list := r.SSHConfig.MatchExecs(); len(list) > 0 && r.MatchExec == nil {
		text := fmt.Sprintf("%s: Match exec is not run without --ssh-config-exec: its lines have no effect", list[0])
		if len(list) > 1 {
			text += fmt.Sprintf(" (and %d more such lines)", len(list)-1)
		}
		r.tell(text)
	}
	for _, text := range r.warnings {
		r.tell(text)
	}
}

// later keeps a warning, once, for when all hosts are resolved.
func (r *resolver) later(text string) {
	if !r.told[text] {
		r.told[text] = true
		r.warnings = append(r.warnings, text)
	}
}

// target says how h is reached.
func (r *resolver) target(h *inventory.Host) (sshpool.Target, error) {
	found, err := r.ask(h)
	if err != nil {
		return sshpool.Target{}, err
	}
	if err := refuseProxies(found); err != nil {
		return sshpool.Target{}, err
	}
	t := sshpool.Target{
		Address: found.HostName.V,
		Port:    found.Port.V,
		User:    found.User.V,
		KnownAs: found.HostKeyAlias.V,
		Limits:  sshpool.Limits{Total: cmp.Or(r.ConnectTimeout, h.ConnectTimeout, found.ConnectTimeout.V)},
		Log:     r.Log,
	}
	t.KeepaliveInterval, t.KeepaliveCount = keepalive(found)
	if t.Auth, err = r.auth(h, found); err != nil {
		return t, err
	}
	t.HostKeys, err = r.policy(h, found)
	return t, err
}

// ask resolves h by ssh_config, with what stands above that as ssh's own flags.
func (r *resolver) ask(h *inventory.Host) (*sshconfig.Resolved, error) {
	q := sshconfig.Query{Host: h.Name, User: cmp.Or(r.User, h.User), Port: cmp.Or(r.Port, h.Port), Exec: r.MatchExec}
	if h.Given("address") || h.Address != h.Name {
		q.HostName = h.Address
	}
	return r.SSHConfig.Resolve(q)
}

// refuseProxies refuses hosts behind others, rather than reach them in another
// way than was asked for.
func refuseProxies(found *sshconfig.Resolved) error {
	switch {
	case len(found.ProxyJump.V) > 0:
		return fmt.Errorf("%s: ProxyJump is not supported yet; nothing was run", found.ProxyJump.From)
	case found.ProxyCommand.V != "":
		return fmt.Errorf("%s: ProxyCommand is not supported yet; nothing was run", found.ProxyCommand.From)
	}
	return nil
}

// keepalive is the interval and count of ssh_config, zero where it sets none.
func keepalive(found *sshconfig.Resolved) (interval time.Duration, count int) {
	if v := found.ServerAliveInterval; v.IsSet() {
		if interval = v.V; interval == 0 {
			interval = -1 // as asked for: off
		}
	}
	if v := found.ServerAliveCountMax; v.IsSet() {
		count = max(v.V, 1)
	}
	return interval, count
}

// expand makes ~ and ~/x paths of the user's home.
func (r *resolver) expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		return r.home + rest
	}
	return path
}
