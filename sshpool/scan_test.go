package sshpool

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/sshpool/hostkeys"
)

// TestRealScan reads keys of sshd, which is told goodbye and sees no login.
func TestRealScan(t *testing.T) {
	s := sshtest.OpenSSH(t)
	target := Target{Address: s.Addresses[0], Port: s.Port}
	key, err := ScanKey(testContext(t), target)
	if err != nil || string(key.Marshal()) != string(s.HostKey.Marshal()) {
		t.Fatalf("key %v, %v", key, err)
	}
	target.Algorithms.HostKeys = []string{ssh.KeyAlgoECDSA256}
	if key, err = ScanKey(testContext(t), target); err != nil || key.Type() != ssh.KeyAlgoECDSA256 {
		t.Fatalf("key %v, %v", key, err)
	}
	target.Algorithms.HostKeys = []string{ssh.KeyAlgoRSASHA512}
	_, err = ScanKey(testContext(t), target)
	wantError(t, err, KindKexMismatch, StageKex)

	s.WaitLog("Received disconnect from 127.0.0.1", 10*time.Second)
	s.WaitLog(":11: host key read [preauth]", 10*time.Second)
	s.Stop()
	for _, bad := range []string{"Failed", "Invalid user", "Accepted", "reset by", "Bad packet", "Corrupted"} {
		if strings.Contains(s.Log(), bad) {
			t.Errorf("the log of sshd has %q:\n%s", bad, s.Log())
		}
	}
}

func TestRealScanDropbear(t *testing.T) {
	s := sshtest.Dropbear(t)
	key, err := ScanKey(testContext(t), Target{Address: s.Addresses[0], Port: s.Port})
	if err != nil || string(key.Marshal()) != string(s.HostKey.Marshal()) {
		t.Fatalf("key %v, %v", key, err)
	}
}

// TestRealScanBehindJump scans through a jump host, which is logged in to once.
func TestRealScanBehindJump(t *testing.T) {
	s := sshtest.OpenSSH(t)
	jump := realTarget(t, s)
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	for i, a := range s.Addresses[1:] {
		shown, err := scanner.Key(testContext(t), Target{Address: a, Port: s.Port, Jump: []Target{jump}})
		if err != nil || string(shown.Key.Marshal()) != string(s.HostKey.Marshal()) {
			t.Fatalf("host %d: %v, %v", i, shown, err)
		}
		if !strings.Contains(shown.Daemon, " > "+a) {
			t.Errorf("server %q, want one behind the jump host at %s", shown.Daemon, a)
		}
	}
	if n := strings.Count(s.Log(), "Accepted publickey"); n != 1 {
		t.Errorf("%d logins, want 1 at the jump host", n)
	}
}

// TestScanBehindProxies asks a server once for each way to it: behind jump hosts of
// one address that different commands reach, an address is that of two hosts.
func TestScanBehindProxies(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"b1", "b2", "a"}})
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	a := w.Must(t, "a")
	for _, by := range []string{"b1", "b2", "b1", "b2"} {
		shown, err := scanner.Key(testContext(t), w.behind(t, "a", w.elsewhere(t, by)))
		if want := "localhost:22 > " + net.JoinHostPort(a.Address, strconv.Itoa(a.Port)); err != nil || shown.Daemon != want {
			t.Errorf("%+v, %v; want server %q", shown, err, want)
		}
	}
	if n := a.Stats().Accepted; n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestScanAsksForTheKnownKey wants the type of key that known_hosts has, and
// the connection's outcome where there is no key.
func TestScanAsksForTheKnownKey(t *testing.T) {
	s := sshtest.OpenSSH(t)
	target := Target{Address: s.Addresses[0], Port: s.Port, Algorithms: Algorithms{HostKeys: []string{ssh.KeyAlgoECDSA256}}}
	ec, err := ScanKey(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	target.Algorithms = Algorithms{}
	line := "[" + s.Addresses[0] + "]:" + strings.TrimPrefix(s.Addr, s.Addresses[0]+":") + " " + string(ssh.MarshalAuthorizedKey(ec))
	target.HostKeys = &hostkeys.Policy{Index: hostkeys.Parse("known", line)}
	if key, err := ScanKey(testContext(t), target); err != nil || key.Type() != ssh.KeyAlgoECDSA256 {
		t.Errorf("key %v, %v; want the ECDSA key that is known", key, err)
	}
	if got := target.HostKeyAddr(); got != s.Addr {
		t.Errorf("looked up as %q, want %q", got, s.Addr)
	}
	for fault, want := range map[lab.Fault]Kind{"refuse": KindRefused, "eof": KindRefused, "http": KindProtocol, "badkex": KindKexMismatch} {
		_, target := one(t, fault)
		_, err := ScanKey(testContext(t), target)
		var e *Error
		if !errors.As(err, &e) || e.Kind != want {
			t.Errorf("%s: %v, want %s", fault, err, want)
		}
	}
}

// TestScanShares asks one server once, however many names it has, and for each
// type of key.
func TestScanShares(t *testing.T) {
	w := newWorld(t, lab.Config{N: 2})
	hosts := w.Hosts()
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			h := hosts[i%2]
			shown, err := scanner.Key(testContext(t), Target{Address: h.Address, Port: h.Port})
			if err != nil || string(shown.Key.Marshal()) != string(h.HostKey.Marshal()) || !strings.HasPrefix(shown.Daemon, h.Address+":") {
				t.Errorf("%s: %+v, %v", h.Name, shown, err)
			}
		})
	}
	wg.Wait()
	if s := w.Stats(); s.Accepted != 2 || s.Attempts != 0 {
		t.Errorf("%d connections and %d login attempts, want 2 and 0", s.Accepted, s.Attempts)
	}
}

// TestScanSharesTrouble gives one answer to all who wait for a server that
// does not speak, instead of waiting for it once for each.
func TestScanSharesTrouble(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": "hang"}})
	h := w.Must(t, "h1")
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	began := time.Now()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_, err := scanner.Key(testContext(t), Target{Address: h.Address, Port: h.Port, Limits: Limits{Total: 500 * time.Millisecond}})
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindTimeout || e.Stage != StageBanner {
				t.Errorf("%v, want a timeout in banner", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v for one limit of 500ms", took)
	}
}

// TestScanBudget leaves a server alone after ten connections, and says so.
func TestScanBudget(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}})
	h := w.Must(t, "h1")
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	left := 0
	for i := range 14 {
		// A dial function hides which server it is, so that each is asked.
		target := Target{Address: h.Address, Port: h.Port, DialContext: (&net.Dialer{}).DialContext}
		_, err := scanner.Key(testContext(t), target)
		if errors.Is(err, ErrScanBudget) {
			wantError(t, err, KindThrottled, StageTCP)
			left++
		} else if err != nil {
			t.Fatalf("scan %d: %v", i, err)
		}
	}
	if n := w.Stats().Accepted; left != 4 || n != 10 {
		t.Errorf("%d left out, %d connections; want 4 and 10", left, n)
	}
}

// TestScanBudgetRefills plays two hours of a client that asks as often as it
// may: by the rule of sshd it never has more than 15 s of penalty.
func TestScanBudgetRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScanner(nil)
		var penalty time.Duration
		spent := 0
		for range 2 * 3600 {
			for s.spend("h:22", time.Now()) == nil {
				penalty += time.Second
				spent++
			}
			if penalty > 15*time.Second {
				t.Fatalf("%v of penalty after %d connections", penalty, spent)
			}
			time.Sleep(time.Second)
			penalty = max(0, penalty-time.Second)
		}
		if spent < 1200 || spent > 1220 {
			t.Errorf("%d connections in two hours, want ten a minute and ten at once", spent)
		}
		for range 5 { // what no server saw costs nothing
			if err := s.spend("down:22", time.Now()); err != nil {
				t.Fatal(err)
			}
			s.refund("down:22", &Error{Kind: KindRefused, Stage: StageTCP})
		}
		if n := s.spent["down:22"].n; n != 0 {
			t.Errorf("a server that was never reached has %v connections", n)
		}
	})
}

// TestScanCanceled ends with its context while others ask the same server.
func TestScanCanceled(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": "slow-kex=300ms"}})
	h := w.Must(t, "h1")
	scanner := NewScanner(newTestPool(t, PoolConfig{}))
	target := Target{Address: h.Address, Port: h.Port}
	ctx, cancel := context.WithCancel(testContext(t))
	first := make(chan error, 1)
	go func() {
		_, err := scanner.Key(ctx, target)
		first <- err
	}()
	for w.Stats().Accepted == 0 {
		select {
		case err := <-first:
			t.Fatalf("scan ended early: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	second := make(chan error, 1)
	go func() {
		_, err := scanner.Key(testContext(t), target)
		second <- err
	}()
	cancel()
	var e *Error
	if err := <-first; !errors.As(err, &e) || e.Kind != KindCanceled {
		t.Errorf("canceled scan: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("the other scan: %v", err)
	}
}
