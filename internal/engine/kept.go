package engine

import (
	"context"
	"errors"
	"maps"
	"math"
	"time"

	"fleet/inventory"
	"fleet/sshpool"
)

// Kept is what several runs have in common, one after the other: connections
// that stay open between them, and the logins and host keys behind these. Make
// it with Keep, name it in each Request, Close it at the end. It belongs to one
// goroutine; no method is called while a run is under way.
type Kept struct {
	access  Access
	pool    *sshpool.Pool
	targets *Targets
	told    map[string]bool // what warnings were given
}

// Keep prepares to reach hosts by access, and to keep their connections: at
// most maxIdle of those that are not in use, 0 is no limit.
func Keep(access Access, maxIdle int) *Kept {
	access.keyFiles = new(sshpool.KeyFiles)
	return &Kept{
		access:  access,
		pool:    sshpool.NewPool(sshpool.PoolConfig{Log: access.Log, MaxIdle: maxIdle}),
		targets: &Targets{byName: map[string]sshpool.Target{}, sessions: map[string]Session{}},
		told:    map[string]bool{},
	}
}

// forever is how long connections are kept: until Close.
const forever = time.Duration(math.MaxInt64)

// Reach says how to reach those of hosts that have not come up before, as
// Access.Reach does.
func (k *Kept) Reach(ctx context.Context, hosts []*inventory.Host) error {
	var more []*inventory.Host
	for _, h := range hosts {
		if _, known := k.targets.byName[h.Name]; !known {
			more = append(more, h)
		}
	}
	if len(more) == 0 {
		return nil
	}
	t, err := k.access.Reach(ctx, more)
	if err != nil {
		return err
	}
	maps.Copy(k.targets.byName, t.byName)
	maps.Copy(k.targets.sessions, t.sessions)
	k.targets.policies = append(k.targets.policies, t.policies...)
	k.targets.auths = append(k.targets.auths, t.auths...)
	return nil
}

// Connected says that the host of that name has a connection that lives, as
// far as is known.
func (k *Kept) Connected(host string) bool {
	t, err := k.targets.Target(host)
	return err == nil && k.pool.Has(t)
}

// untold says that a warning was not given before by a run of these.
func (k *Kept) untold(text string) bool {
	before := k.told[text]
	k.told[text] = true
	return !before
}

// Close ends all connections, also those in use.
func (k *Kept) Close() error { return errors.Join(k.pool.Close(), k.targets.Close()) }
