package engine

import (
	"cmp"
	"context"
	"fmt"
	"net"
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
	revoked  shared[*hostkeys.RevokedKeys]
	offers   shared[sshpool.Algorithms]
	envs     shared[[]string]
	chains   shared[[]sshpool.Target]
	lookups  shared[struct{}]
	ctx      context.Context  // of name lookups
	keys     map[string]error // key files that were looked at
	told     map[string]bool  // warnings
	warnings []string
	level    string   // LogLevel of the host that is resolved
	said     []string // what later was given since the last host
}

func newResolver(ctx context.Context, a Access) (*resolver, error) {
	me, err := sshconfig.ThisUser()
	if err != nil {
		return nil, fmt.Errorf("look up own user: %w", err)
	}
	if a.SSHConfig == nil {
		if a.SSHConfig, err = sshconfig.Load(me); err != nil {
			return nil, err
		}
	}
	if a.names == nil {
		a.names = net.DefaultResolver
	}
	if a.keyFiles == nil {
		a.keyFiles = new(sshpool.KeyFiles)
	}
	return &resolver{
		Access: a, home: me.Home,
		auths: newShared[*sshpool.Auth](), indexes: newShared[*hostkeys.Index](), policies: newShared[*hostkeys.Policy](), revoked: newShared[*hostkeys.RevokedKeys](),
		offers: newShared[sshpool.Algorithms](), envs: newShared[[]string](), chains: newShared[[]sshpool.Target](), lookups: newShared[struct{}](), ctx: ctx,
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

// later keeps a warning, once, for when all hosts are resolved. What comes up
// for a host that is to be quiet counts only if it comes up for another too.
func (r *resolver) later(text string) {
	r.said = append(r.said, text)
	if !r.told[text] && (r.Talkative || !quiet[r.level]) {
		r.told[text] = true
		r.warnings = append(r.warnings, text)
	}
}

// quiet are the values of LogLevel that ssh tells no warning at; loud those at
// which it tells how a connection comes about.
var (
	quiet = map[string]bool{"SILENT": true, "FATAL": true, "ERROR": true}
	loud  = map[string]bool{"DEBUG": true, "DEBUG1": true, "DEBUG2": true, "DEBUG3": true}
)

// resolve says how h is reached.
func (r *resolver) resolve(h *inventory.Host) (sshpool.Target, Session, error) {
	r.said = r.said[:0]
	w := want{name: h.Name, host: h, root: h, user: r.User, port: r.Port}
	found, err := r.ask(w)
	if err != nil {
		return sshpool.Target{}, Session{}, err
	}
	t, err := r.settle(w, found)
	if err != nil {
		return sshpool.Target{}, Session{}, err
	}
	err = r.proxy(&t, w, found)
	return t, r.session(&t, found), err
}

// ask resolves a host by ssh_config, with what stands above that as ssh's own
// flags.
func (r *resolver) ask(w want) (*sshconfig.Resolved, error) {
	if err := w.host.Fault(); err != nil {
		return nil, err
	}
	q := sshconfig.Query{Host: w.name, User: cmp.Or(w.user, w.host.User), Port: cmp.Or(w.port, w.host.Port), Exec: r.MatchExec}
	if w.host.Given("address") || w.host.Address != w.name {
		q.HostName = w.host.Address
	}
	found, err := r.SSHConfig.Resolve(q)
	if err == nil {
		r.level = found.LogLevel.V
	}
	return found, err
}

// settle says how a host is reached once there is a way to it.
func (r *resolver) settle(w want, found *sshconfig.Resolved) (t sshpool.Target, err error) {
	t = sshpool.Target{
		Address: found.HostName.V,
		Port:    found.Port.V,
		User:    found.User.V,
		KnownAs: found.HostKeyAlias.V,
		Name:    w.name,
		Limits:  sshpool.Limits{Total: cmp.Or(r.ConnectTimeout, w.host.ConnectTimeout, found.ConnectTimeout.V)},
		Log:     r.Log,
	}
	if t.Log == nil && loud[found.LogLevel.V] {
		t.Log = r.HostLog
	}
	t.KeepaliveInterval, t.KeepaliveCount = keepalive(found)
	if err := r.transport(&t, found); err != nil {
		return t, err
	}
	if t.Auth, err = r.auth(w, found); err != nil {
		return t, err
	}
	t.HostKeys, err = r.policy(w.host, found)
	return t, err
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
