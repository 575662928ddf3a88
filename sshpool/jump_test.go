package sshpool

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// hopOf is s as a jump host of that name.
func hopOf(t testing.TB, name string, s *sshtest.Server) Target {
	t.Helper()
	hop := realTarget(t, s)
	hop.Name = name
	return hop
}

// behind is a target of the lab behind its host bastion.
func (w *world) behind(t testing.TB, name string, bastion Target) Target {
	t.Helper()
	target := w.target(t, name)
	target.Jump = []Target{bastion}
	return target
}

// bastion is the lab's host of that name as a jump host.
func (w *world) bastion(t testing.TB) Target {
	t.Helper()
	hop := w.target(t, "bastion")
	hop.Name = "bastion"
	return hop
}

// TestJumpRealHops runs commands and moves bytes through two real jump hosts,
// without a pool.
func TestJumpRealHops(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			target := realTarget(t, sshtest.OpenSSH(t))
			target.Jump = []Target{hopOf(t, "first", sshtest.OpenSSH(t)), hopOf(t, "second", start(t))}
			c := mustDial(t, target)
			if r, err := c.Exec(testContext(t), "exit 3", nil, nil); err != nil || r.ExitCode != 3 {
				t.Fatalf("%+v, %v", r, err)
			}
			const size = 8 << 20 // four windows of a channel
			random := rand.NewChaCha8([32]byte{1})
			sent, got := sha256.New(), sha256.New()
			r, err := c.Run(testContext(t), Command{Text: "cat", Stdin: io.TeeReader(io.LimitReader(random, size), sent), Stdout: got})
			if err != nil || r.StdoutBytes != size || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// eachTarget runs f for all targets at once.
func eachTarget(targets []Target, f func(i int, t Target)) {
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() { f(i, target) })
	}
	wg.Wait()
}

// runOn runs a command on a target of a pool.
func runOn(t testing.TB, p *Pool, target Target) error {
	c, release, err := p.Get(testContext(t), target)
	if err != nil {
		return err
	}
	defer release()
	r, err := c.Exec(testContext(t), "hostname", nil, nil)
	if err == nil && r.ExitCode != 0 {
		return fmt.Errorf("exit %d", r.ExitCode)
	}
	return err
}

// TestJumpMaxStartups reaches many targets at once through one sshd with its
// usual limit of connections before login.
func TestJumpMaxStartups(t *testing.T) {
	n := 200
	if os.Getenv("FLEET_SOAK") != "" {
		n = 1000
	}
	s := sshtest.OpenSSH(t, sshtest.MaxStartups("10:30:100"))
	w := newWorld(t, lab.Config{N: n, Prefix: "h"})
	w.limits.Total = 50 * time.Second
	hop := hopOf(t, "bastion", s)
	var targets []Target
	for _, h := range w.Hosts() {
		targets = append(targets, w.behind(t, h.Name, hop))
	}
	p := newTestPool(t, PoolConfig{})
	eachTarget(targets, func(_ int, target Target) {
		if err := runOn(t, p, target); err != nil {
			t.Error(err)
		}
	})
	if got := strings.Count(s.Log(), "Accepted publickey"); got < 1 || got > 2 {
		t.Errorf("the jump host saw %d connections", got)
	}
	if got := w.Stats().CommandsRun; got != int64(n) {
		t.Errorf("%d commands were run", got)
	}
}

// TestJumpHostDown wants one attempt at a jump host that does not work, one
// text for all behind it, and no harm to others.
func TestJumpHostDown(t *testing.T) {
	for _, c := range []struct {
		fault lab.Fault
		kind  Kind
		stage Stage
		text  string
		tried int64
	}{
		{"hang", KindTimeout, StageBanner, "jump host bastion: timeout in banner after 300ms", 1},
		{"refuse", KindRefused, StageTCP, "jump host bastion: connection refused", 0},
		{"deny-auth", KindAuth, StageAuth, "jump host bastion: ", 1},
		{"wrong-key", KindHostKeyChanged, StageKex, "jump host bastion: host key changed", 1},
		{"no-forward", KindPermission, StageChannel, "jump host bastion: forwarding not allowed by the host", 1},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			w := newWorld(t, lab.Config{Names: []string{"bastion", "other", "a", "b", "c", "d", "e", "f"},
				Faults: map[string]lab.Fault{"bastion": c.fault}})
			hop := w.bastion(t)
			if c.fault == "hang" { // the others are in time, also on a busy machine
				hop.Limits.Banner = 300 * time.Millisecond
			}
			p := newTestPool(t, PoolConfig{})
			targets := []Target{w.target(t, "other")}
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				targets = append(targets, w.behind(t, name, hop))
			}
			check := func(err error) {
				e := wantError(t, err, c.kind, c.stage)
				if !strings.HasPrefix(e.Text, c.text) || strings.Count(e.Text, "jump host") != 1 || e.Sent {
					t.Errorf("error %q, want %q", e.Text, c.text)
				}
			}
			errs := make([]error, len(targets))
			eachTarget(targets, func(i int, target Target) { errs[i] = runOn(t, p, target) })
			if errs[0] != nil {
				t.Errorf("another host: %v", errs[0])
			}
			for _, err := range errs[1:] {
				check(err)
			}
			check(runOn(t, p, w.behind(t, "f", hop))) // later
			if n := w.Must(t, "bastion").Stats().Accepted; n != c.tried {
				t.Errorf("%d connections to the jump host", n)
			}
			if err := p.logins.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestJumpSecondHopDown names the jump host that is the trouble.
func TestJumpSecondHopDown(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "inner", "a"}, Faults: map[string]lab.Fault{"inner": "refuse"}})
	target := w.behind(t, "a", w.bastion(t))
	inner := w.target(t, "inner")
	inner.Name = "inner"
	target.Jump = append(target.Jump, inner)
	p := newTestPool(t, PoolConfig{})
	for _, dial := range []func() error{
		func() error { return runOn(t, p, target) },
		func() error { _, err := Dial(testContext(t), target); return err },
	} {
		e := wantError(t, dial(), KindRefused, StageTCP)
		if want := "jump host inner: connection refused, as seen from jump host bastion"; e.Text != want {
			t.Errorf("error %q, want %q", e.Text, want)
		}
	}
	target.Jump[0], target.Jump[1] = target.Jump[1], target.Jump[0]
	e := wantError(t, runOn(t, p, target), KindRefused, StageTCP)
	if want := "jump host inner: connection refused"; e.Text != want {
		t.Errorf("error %q, want %q", e.Text, want)
	}
}

// TestJumpTargetDown wants what the jump host met on its way.
func TestJumpTargetDown(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a"}, Faults: map[string]lab.Fault{"a": "refuse"}})
	hop := w.bastion(t)
	real := hopOf(t, "bastion", sshtest.OpenSSH(t))
	p := newTestPool(t, PoolConfig{})
	for _, c := range []struct {
		hop     Target
		address string
		kind    Kind
		stage   Stage
		text    string
	}{
		{hop, "", KindRefused, StageTCP, "connection refused, as seen from jump host bastion"},
		{real, "", KindRefused, StageTCP, "connection refused, as seen from jump host bastion"},
		{hop, "nowhere.invalid", KindDNS, StageDNS, "no such host, as seen from jump host bastion"},
		{hop, "192.0.2.1", KindNoRoute, StageTCP, "network unreachable, as seen from jump host bastion"},
	} {
		target := w.behind(t, "a", c.hop)
		if c.address != "" {
			target.Address = c.address
		}
		if e := wantError(t, runOn(t, p, target), c.kind, c.stage); e.Text != c.text {
			t.Errorf("error %q, want %q", e.Text, c.text)
		}
	}
	if n := w.Must(t, "bastion").Stats().Accepted; n != 1 {
		t.Errorf("%d connections to the jump host", n)
	}
}

// TestJumpBadTarget refuses what cannot be meant.
func TestJumpBadTarget(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a"}})
	two := w.behind(t, "a", w.bastion(t))
	two.Jump = append(two.Jump, w.behind(t, "a", w.bastion(t)))
	both := w.behind(t, "a", w.bastion(t))
	both.ProxyCommand = "true"
	nobody := w.behind(t, "a", w.bastion(t))
	nobody.Jump[0].User = ""
	for want, target := range map[string]Target{
		"reached both by itself and through another": two,
		"more than one of jump hosts, proxy":         both,
		"jump host bastion: target has no user":      nobody,
	} {
		if _, err := Dial(testContext(t), target); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if n := w.Stats().Accepted; n != 0 {
		t.Errorf("%d connections", n)
	}
}
