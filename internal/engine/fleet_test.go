package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// TestManyHosts runs true on more hosts than there are places.
func TestManyHosts(t *testing.T) {
	n, limit := 2000, uint64(600<<20)
	if soak() {
		n, limit = 10_000, 1536<<20
	}
	leaves(t)
	dir := startLab(t, n)
	m := measure(t, runTask{Dir: dir, Command: "true", Fanout: 500, MaxOutput: 1 << 20, Mode: "group"})
	if m.OK != n || m.Bytes != 0 {
		t.Errorf("%d of %d ok, %d bytes: %v", m.OK, n, m.Bytes, m.Causes)
	}
	if m.Peak > limit {
		t.Errorf("held %d MiB", m.Peak>>20)
	}
}

// TestManyNamesOfOneHost runs 50 commands at once on a host that allows ten
// sessions: one connection, and a queue for the rest.
func TestManyNamesOfOneHost(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 1, Prefix: "web", Faults: map[string]lab.Fault{"*": "max-sessions=10"}})
	req := ask(f, "sleep 0.1; echo done")
	for _, name := range numbered("alias", 50) {
		h := entries(f.Hosts()[0])[0]
		h.Name = name
		req.Hosts = append(req.Hosts, h)
	}
	c := carry(t, req, newTold(), nil)
	if n := c.summary.Counts[okay]; n != 50 {
		t.Errorf("%d of 50 ok: %v", n, c.causes())
	}
	if s := f.Stats(); s.Accepted != 1 || s.CommandsRun != 50 {
		t.Errorf("%d connections, %d commands", s.Accepted, s.CommandsRun)
	}
	leftAlone(t, f, 0)
}

// TestThrottledHostIsLeftAlone has hosts turn the first connection away: the
// next comes no sooner than after 15 seconds, and is all it takes.
func TestThrottledHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := sshtest.Lab(t, lab.Config{N: 4, Prefix: "busy", Faults: map[string]lab.Fault{"*": "throttle-n=1"}})
	req := ask(f, "true", f.Hosts()...)
	req.ConnectTimeout = time.Minute
	c := carry(t, req, newTold(), nil)
	ends := map[time.Duration]bool{}
	for host, res := range c.results {
		if res.Outcome != okay || res.Attempts != 2 {
			t.Errorf("%s: %s after %d attempts: %v", host, res.Outcome, res.Attempts, res.Cause)
		}
		if res.Connect < 15*time.Second || res.Connect > 20*time.Second+slack {
			t.Errorf("%s: connected after %v", host, res.Connect)
		}
		ends[res.Connect.Round(time.Millisecond)] = true
	}
	if len(ends) == 1 {
		t.Errorf("all hosts were tried again at the same time: %v", ends)
	}
	if s := f.Stats(); s.Accepted != 8 || s.CommandsRun != 4 {
		t.Errorf("%d connections, %d commands", s.Accepted, s.CommandsRun)
	}
}

// TestDroppedConnectionsTimeOut connects to an address that does not answer.
func TestDroppedConnectionsTimeOut(t *testing.T) {
	leaves(t)
	addr, port, _ := strings.Cut(sshtest.BlackHole(t), ":")
	f := sshtest.Lab(t, lab.Config{N: 3, Prefix: "web"})
	req := ask(f, "true", f.Hosts()...)
	req.ConnectTimeout = 2 * time.Second
	hole := &inventory.Host{Name: "hole", Settings: inventory.Settings{Address: addr}}
	fmt.Sscan(port, &hole.Port)
	req.Hosts = append(req.Hosts, hole)
	c := carry(t, req, newTold(), nil)
	res := c.results["hole"]
	if res.Outcome != never || res.Cause.Kind != scheduler.KindTimeout || res.Cause.Stage != scheduler.StageTCP || res.Cause.Text != "timeout in tcp after 2s" {
		t.Errorf("%s: %v", res.Outcome, res.Cause)
	}
	if n := c.summary.Counts[okay]; n != 3 {
		t.Errorf("%d of 3 others ok: %v", n, c.causes())
	}
}

// TestRefusedLoginsStopTheRun has the wrong key for a whole fleet: logins stop
// before hosts ban the client.
func TestRefusedLoginsStopTheRun(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 200, Prefix: "web", Faults: map[string]lab.Fault{"*": "deny-auth"}})
	req := ask(f, "true", f.Hosts()...)
	req.Fanout = 5
	c := carry(t, req, newTold(), light)
	if n := c.summary.Counts[never]; n != 200 {
		t.Errorf("%d of 200 unreachable: %v", n, c.causes())
	}
	if s := f.Stats(); s.Attempts < 20 || s.Attempts > 20+5 {
		t.Errorf("%d logins were tried", s.Attempts)
	}
	told := 0
	for _, res := range c.results {
		if strings.HasPrefix(res.Cause.Text, "not tried: stopped after 20 refused logins") {
			told++
		}
	}
	if told < 175 {
		t.Errorf("%d hosts say why they were not tried: %v", told, c.causes())
	}
}

// TestHostKeyModes meets an unknown and a changed key in each mode. Only an
// accepted new key is ever written down.
func TestHostKeyModes(t *testing.T) {
	for mode, want := range map[string]struct {
		unknown, changed scheduler.Outcome
		added            int
	}{
		"strict":       {never, never, 0},
		"accept-new":   {okay, never, 1},
		"insecure-off": {okay, okay, 0},
	} {
		t.Run(mode, func(t *testing.T) {
			leaves(t)
			f := sshtest.Lab(t, lab.Config{Names: []string{"known", "new", "other"}, Faults: map[string]lab.Fault{"new": "unknown-key", "other": "wrong-key"}})
			before := fileState(t, f.KnownHosts)
			text, err := os.ReadFile(f.KnownHosts)
			if err != nil {
				t.Fatal(err)
			}
			req := ask(f, "true", f.Hosts()...)
			req.HostKeys = mode
			c := carry(t, req, newTold(), nil)
			if a, b, k := c.results["new"].Outcome, c.results["other"].Outcome, c.results["known"].Outcome; a != want.unknown || b != want.changed || k != okay {
				t.Errorf("unknown %s, changed %s, known %s: %v", a, b, k, c.causes())
			}
			for _, name := range []string{"new", "other"} {
				ran := c.results[name].Outcome == okay
				if s := f.Host(name).Stats(); ran != (s.CommandsRun == 1) || !ran && s.Attempts != 0 {
					t.Errorf("%s saw %d logins and %d commands", name, s.Attempts, s.CommandsRun)
				}
			}
			now, err := os.ReadFile(f.KnownHosts)
			if err != nil {
				t.Fatal(err)
			}
			rest, ok := strings.CutPrefix(string(now), string(text))
			if !ok || strings.Count(rest, "\n") != want.added || want.added == 0 && before != fileState(t, f.KnownHosts) {
				t.Errorf("known_hosts changed to:\n%s", now)
			}
		})
	}
}

// TestFrozenHostIsFound has hosts freeze in the midst of their output, with a
// keepalive of 3 × 0.5 s.
func TestFrozenHostIsFound(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 20, Prefix: "web", Faults: map[string]lab.Fault{"web03": "freeze-after=100000"}})
	req := ask(f, "bytes 200000; sleep 2", f.Hosts()...)
	c := carry(t, req, newTold(), func(r *Run) {
		light(r)
		retarget(r, func(_ string, target *sshpool.Target) {
			target.KeepaliveInterval, target.KeepaliveCount = 500*time.Millisecond, 3
		})
	})
	res := c.results["web03"]
	if res.Outcome != lost || res.Cause.Kind != scheduler.KindConnLost || res.ExitCode != nil || len(c.stdout("web03")) != 100000 {
		t.Errorf("%s after %d bytes: %v", res.Outcome, len(c.stdout("web03")), res.Cause)
	}
	if res.Run < 1500*time.Millisecond || res.Run > 2500*time.Millisecond+slack {
		t.Errorf("found after %v", res.Run)
	}
	// The others are silent for longer than that and alive.
	if n := c.summary.Counts[okay]; n != 19 {
		t.Errorf("%d of 19 others ok: %v", n, c.causes())
	}
}
