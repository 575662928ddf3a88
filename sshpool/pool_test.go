package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/lab"
)

func newTestPool(t testing.TB, cfg PoolConfig) *Pool {
	p := NewPool(cfg)
	t.Cleanup(func() { p.Close() })
	return p
}

// fiftyEchoes runs fifty commands on a target, all at once.
func fiftyEchoes(t *testing.T, p *Pool, target Target) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			c, release, err := p.Get(testContext(t), target)
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			var out bytes.Buffer
			if _, err := c.Exec(testContext(t), fmt.Sprint("echo ", i), &out, nil); err != nil || out.String() != fmt.Sprintln(i) {
				t.Errorf("command %d: %q, %v", i, &out, err)
			}
		})
	}
	wg.Wait()
}

// TestPoolShares lets many ask for one host at once.
func TestPoolShares(t *testing.T) {
	w, target := one(t, "max-sessions=10")
	fiftyEchoes(t, newTestPool(t, PoolConfig{}), target)
	if s := w.Must(t, "h1").Stats(); s.Accepted != 1 || s.CommandsRun != 50 {
		t.Errorf("%d connections, %d commands", s.Accepted, s.CommandsRun)
	}
}

func TestPoolReplacesTheDead(t *testing.T) {
	w, target := one(t, "")
	p := newTestPool(t, PoolConfig{})
	c, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	c.wire.Close()
	<-c.Done()
	release()
	d, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if d == c {
		t.Error("the dead connection was given again")
	}
	if _, err := d.Exec(testContext(t), "true", nil, nil); err != nil {
		t.Error(err)
	}
	if n := w.Must(t, "h1").Stats().Accepted; n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestPoolIdle(t *testing.T) {
	_, target := one(t, "")
	p := newTestPool(t, PoolConfig{IdleTimeout: 20 * time.Millisecond})
	c, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	release()
	release() // once more does nothing
	select {
	case <-c.Done():
	case <-testContext(t).Done():
		t.Error("an idle connection is kept for ever")
	}
	if !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("it ended by %v", c.Err())
	}
}

// TestPoolRetries counts the attempts that each kind of trouble is worth.
func TestPoolRetries(t *testing.T) {
	for _, c := range []struct {
		fault    lab.Fault
		attempts int64
		kind     Kind // empty: it works in the end
	}{
		{"", 1, ""},
		{"reset", 3, KindRefused},
		{"eof", 3, KindRefused},
		{"reset-n=2", 3, ""},
		{"throttle", 1, KindThrottled}, // the next attempt would come after the limit
		{"deny-auth", 1, KindAuth},
		{"wrong-key", 1, KindHostKeyChanged},
		{"badkex", 1, KindKexMismatch},
		{"http", 1, KindProtocol},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			w, target := one(t, c.fault)
			p := newTestPool(t, PoolConfig{})
			_, release, err := p.Get(testContext(t), target)
			var e *Error
			switch {
			case c.kind == "" && err == nil:
				release()
			case c.kind == "" || !errors.As(err, &e) || e.Kind != c.kind || int64(e.Attempts) != c.attempts:
				t.Errorf("error %v, want kind %q after %d attempts", err, c.kind, c.attempts)
			}
			h := w.Must(t, "h1")
			if n := h.Stats().Accepted; n != c.attempts {
				t.Errorf("%d connections, want %d", n, c.attempts)
			}
			if n := h.Stats().CommandsRun; n != 0 {
				t.Errorf("%d commands", n)
			}
		})
	}
}

// TestThrottledHostIsLeftAlone asks again and again for a host that turned us away.
func TestThrottledHostIsLeftAlone(t *testing.T) {
	w, target := one(t, "throttle")
	p := newTestPool(t, PoolConfig{})
	for range 5 {
		_, _, err := p.Get(testContext(t), target)
		wantKind(t, err, KindThrottled)
	}
	if n := w.Must(t, "h1").Stats().Accepted; n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// TestThrottledForAWhile waits for a host that turns the first two away.
func TestThrottledForAWhile(t *testing.T) {
	w, target := one(t, "throttle-n=2")
	p := newTestPool(t, PoolConfig{})
	p.pacer.backOff = 50 * time.Millisecond
	began := time.Now()
	_, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if n := w.Must(t, "h1").Stats().Accepted; n != 3 {
		t.Errorf("%d attempts", n)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("three attempts within %v", took)
	}
}

func wantKind(t testing.TB, err error, kind Kind) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("error %v, want kind %s", err, kind)
	}
}

// TestBreaker stops a run that nobody lets in.
func TestBreaker(t *testing.T) {
	w := newWorld(t, lab.Config{N: 40, Prefix: "h", Faults: map[string]lab.Fault{"*": "deny-auth"}})
	p := newTestPool(t, PoolConfig{MaxAuthFailures: 7})
	last := ""
	for _, h := range w.Hosts() {
		_, _, err := p.Get(testContext(t), w.target(t, h.Name))
		wantKind(t, err, KindAuth)
		last = err.Error()
	}
	if n := w.Stats().Accepted; n != 7 {
		t.Errorf("%d logins tried", n)
	}
	if !strings.Contains(last, "stopped after 7 refused logins in a row") {
		t.Errorf("the last says %q", last)
	}
}

// TestAbandonedDial gives up waiting while a host stays silent.
func TestAbandonedDial(t *testing.T) {
	w, target := one(t, "hang")
	p := newTestPool(t, PoolConfig{})
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		for w.Stats().Accepted == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	_, _, err := p.Get(ctx, target)
	wantKind(t, err, KindCanceled)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.entries) != 0 {
		t.Error("the dial goes on without anybody who wants it")
	}
}

func TestPoolClosed(t *testing.T) {
	_, target := one(t, "")
	p := NewPool(PoolConfig{})
	c, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	<-c.Done()
	release()
	if _, _, err := p.Get(testContext(t), target); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// TestManyHosts runs a command on many hosts at once, one of which is bad in
// each way, and looks what is left behind.
func TestManyHosts(t *testing.T) {
	const n = 300
	w := newWorld(t, lab.Config{N: n, Prefix: "h", Faults: map[string]lab.Fault{
		"h007": "hang", "h008": "reset", "h009": "freeze", "h010": "hang-auth", "h011": "refuse", "h012": "cut=1"}})
	w.limits.Total = 40 * time.Second // the race detector on a busy machine
	before := openFiles(t)
	p := NewPool(PoolConfig{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	ok := 0
	for _, h := range w.Hosts() {
		wg.Go(func() {
			target := w.target(t, h.Name)
			if h.Name <= "h012" {
				target.Limits.Total = 2 * time.Second
				target.KeepaliveInterval = 500 * time.Millisecond
			}
			c, release, err := p.Get(testContext(t), target)
			if err != nil {
				return
			}
			defer release()
			if r, err := c.Exec(testContext(t), "echo hello", nil, nil); err == nil && r.StdoutBytes == 6 {
				mu.Lock()
				ok++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	p.Close()
	if ok < n-12 { // the first twelve are in a hurry
		t.Errorf("%d of %d hosts are well", ok, n)
	}
	w.Close()
	deadline := time.Now().Add(10 * time.Second)
	for openFiles(t) > before && time.Now().Before(deadline) {
		<-time.After(10 * time.Millisecond)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d open files before, %d after", before, after)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		if _, err := os.Stat("/proc/self/fd"); err == nil {
			t.Fatal("cannot list open files")
		}
	}
	return len(fds)
}
