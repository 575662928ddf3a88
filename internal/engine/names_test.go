package engine

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// byName gives the hosts of a fleet addresses that only r can look up. The
// known keys are under the IP addresses, so the run does not check keys.
func byName(f *sshtest.Fleet, r *sshtest.Resolver) Request {
	req := ask(f, "true", f.Hosts()...)
	req.HostKeys = "insecure-off"
	r.Addrs = map[string][]netip.Addr{}
	for _, h := range req.Hosts {
		name := h.Name + ".example"
		r.Addrs[name] = []netip.Addr{netip.MustParseAddr(h.Address)}
		h.Address = name
	}
	return req
}

// resolveWith makes a run look names up with res.
func resolveWith(res sshpool.Resolver) func(*Run) {
	return func(r *Run) {
		light(r)
		r.poller.Close()
		r.pool.Close()
		r.pool = sshpool.NewPool(sshpool.PoolConfig{Resolver: res})
		r.poller = sshpool.NewPoller(r.pool, r.reach.Target, r.req.Stops)
	}
}

func lookupLimit(limit time.Duration) func(string, *sshpool.Target) {
	return func(_ string, t *sshpool.Target) { t.Limits.DNS = limit }
}

// TestSlowNameServiceIsWaitedFor has 150 names that each take most of the limit
// to be looked up, 64 at a time: waiting for a turn is not the host's fault.
func TestSlowNameServiceIsWaitedFor(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 150})
	res := &sshtest.Resolver{Delay: 600 * time.Millisecond}
	c := carry(t, byName(f, res), newTold(), func(r *Run) {
		resolveWith(res)(r)
		retarget(r, lookupLimit(time.Second))
	})
	if n := c.summary.Counts[okay]; n != 150 {
		t.Errorf("%d of 150 ok: %v", n, c.causes())
	}
	if _, _, most := res.Lookups(); most > 64 {
		t.Errorf("%d lookups at once", most)
	}
}

// TestSilentNameService looks up names of which some are never answered, by a
// resolver that can be cancelled and by one that cannot.
func TestSilentNameService(t *testing.T) {
	for name, deaf := range map[string]bool{"cancelled": false, "deaf": true} {
		t.Run(name, func(t *testing.T) {
			leaves(t)
			f := sshtest.Lab(t, lab.Config{N: 100})
			res := &sshtest.Resolver{Never: !deaf}
			if deaf {
				res.Deaf = make(chan struct{})
			}
			const limit = time.Second
			c := carry(t, byName(f, res), newTold(), func(r *Run) {
				resolveWith(res)(r)
				retarget(r, lookupLimit(limit))
			})
			if deaf {
				close(res.Deaf)
			}
			for _, r := range c.results {
				if r.Outcome != never || r.Cause.Kind != scheduler.KindTimeout || r.Cause.Stage != scheduler.StageDNS || r.Cause.Text != "timeout in dns after 1s" {
					t.Errorf("%s: %s, %v", r.Host, r.Outcome, r.Cause)
				}
			}
			// Those that did not get a turn at first have had theirs, or have
			// seen that nobody gets one.
			if c.wall < limit || c.wall > 2*limit+slack {
				t.Errorf("took %v", c.wall)
			}
			if _, _, most := res.Lookups(); most > 64 {
				t.Errorf("%d lookups at once", most)
			}
			if s := f.Stats(); s.Accepted != 0 {
				t.Errorf("%d connections to hosts without an address", s.Accepted)
			}
		})
	}
}

// halfDead answers for some names and is silent about the others.
type halfDead struct{ alive, dead sshtest.Resolver }

func (r *halfDead) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, "dead") {
		return r.dead.LookupNetIP(ctx, network, host)
	}
	return r.alive.LookupNetIP(ctx, network, host)
}

// TestDeadZoneFailsAlone has more names in a dead zone than lookups are made at
// once: names outside it are found all the same.
func TestDeadZoneFailsAlone(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 60, Prefix: "web"})
	res := &halfDead{dead: sshtest.Resolver{Never: true}}
	req := byName(f, &res.alive)
	var dead []*inventory.Host
	for _, name := range numbered("dead", 80) {
		dead = append(dead, &inventory.Host{Name: name, Settings: inventory.Settings{Address: name + ".example"}})
	}
	req.Hosts = append(dead, req.Hosts...)
	const limit = time.Second
	s := newTold()
	s.onStarted = func(host string) { // the dead ones are asked for first
		if host == req.Hosts[len(dead)].Name {
			eventually(t, "64 lookups", func() bool { _, now, _ := res.dead.Lookups(); return now == 64 })
		}
	}
	c := carry(t, req, s, func(r *Run) {
		resolveWith(res)(r)
		retarget(r, lookupLimit(limit))
	})
	if ok, un := c.summary.Counts[okay], c.summary.Counts[never]; ok != 60 || un != 80 {
		t.Errorf("%d ok, %d unreachable, want 60 and 80: %v", ok, un, c.causes())
	}
	if c.wall > 3*limit+slack {
		t.Errorf("took %v", c.wall)
	}
}

// TestPanicInALookupIsOneHostsFault has a resolver that panics over one name.
func TestPanicInALookupIsOneHostsFault(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 20, Prefix: "web"})
	res := &panicky{}
	req := byName(f, &res.Resolver)
	c := carry(t, req, newTold(), resolveWith(res))
	bad := c.results["web07"]
	if bad.Outcome == okay || bad.Cause.Kind != scheduler.KindInternal || bad.Cause.Text != "panic: no name for this" {
		t.Errorf("%s, %v", bad.Outcome, bad.Cause)
	}
	if n := c.summary.Counts[okay]; n != 19 {
		t.Errorf("%d of 19 others ok: %v", n, c.causes())
	}
}

type panicky struct{ sshtest.Resolver }

func (r *panicky) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, "web07.") {
		panic("no name for this")
	}
	return r.Resolver.LookupNetIP(ctx, network, host)
}

// TestNameThatDoesNotExist tells it from a name service that does not work.
func TestNameThatDoesNotExist(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 2})
	res := &sshtest.Resolver{}
	req := byName(f, res)
	delete(res.Addrs, req.Hosts[0].Address)
	c := carry(t, req, newTold(), resolveWith(res))
	gone, there := c.results[req.Hosts[0].Name], c.results[req.Hosts[1].Name]
	if gone.Outcome != never || gone.Cause.Kind != scheduler.KindDNS || gone.Cause.Text != "no such host" {
		t.Errorf("%s, %v", gone.Outcome, gone.Cause)
	}
	if there.Outcome != okay {
		t.Errorf("the other host: %s, %v", there.Outcome, there.Cause)
	}
}
