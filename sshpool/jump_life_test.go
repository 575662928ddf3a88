package sshpool

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// jumped is a pool with connections to targets behind one jump host.
func jumped(t *testing.T, cfg PoolConfig, names ...string) (w *world, p *Pool, targets []Target) {
	t.Helper()
	w = newWorld(t, lab.Config{Names: append([]string{"bastion"}, names...)})
	p = newTestPool(t, cfg)
	hop := w.bastion(t)
	for _, name := range names {
		targets = append(targets, w.behind(t, name, hop))
	}
	return w, p, targets
}

// hopConn is the pool's connection to the jump host of t.
func (p *Pool) hopConn(t Target) *Conn {
	hop := t.lastHop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[hop.poolKey()]; e != nil {
		return e.conn
	}
	return nil
}

// TestJumpHostLost cuts the jump host's connection while commands run.
func TestJumpHostLost(t *testing.T) {
	w, p, targets := jumped(t, PoolConfig{}, "a", "b", "c")
	poller := NewPoller(p, func(host string) (Target, error) { return w.behind(t, host, targets[0].Jump[0]), nil }, nil)
	defer poller.Close()
	on := make(chan struct{}, len(targets))
	for i, name := range []string{"a", "b", "c"} {
		poller.Submit(scheduler.ID(i+1), name, scheduler.Exec{Command: "echo on; sleep 1000",
			Stdout: writerFunc(func(b []byte) (int, error) { on <- struct{}{}; return len(b), nil })})
	}
	for range targets {
		<-on
	}
	p.hopConn(targets[0]).kill(&Error{Kind: KindConnLost, Text: "connection lost: no answer for 45s"})
	for left := len(targets); left > 0; {
		_, done := poller.Poll(time.Now().Add(30 * time.Second))
		if len(done) == 0 {
			t.Fatal("nobody noticed")
		}
		for _, c := range done {
			left--
			var e *scheduler.Error
			if !errors.As(c.Err, &e) || e.Outcome != scheduler.Lost || e.Cause.Kind != scheduler.KindConnLost {
				t.Errorf("outcome %+v", c.Err)
			} else if want := "jump host bastion: connection lost: no answer for 45s"; e.Cause.Text != want {
				t.Errorf("cause %q", e.Cause.Text)
			}
		}
	}
	for i, name := range []string{"a", "b", "c"} {
		if n := w.Must(t, name).Stats().CommandsRun; n != 1 {
			t.Errorf("host %s got %d commands", name, n)
		}
		poller.Submit(scheduler.ID(i+10), name, scheduler.Exec{Command: "true"})
	}
	for left := len(targets); left > 0; {
		_, done := poller.Poll(time.Now().Add(30 * time.Second))
		if len(done) == 0 {
			t.Fatal("no answer")
		}
		for _, c := range done {
			left--
			if c.Err != nil {
				t.Errorf("once more: %v", c.Err)
			}
		}
	}
	if n := w.Must(t, "bastion").Stats().Accepted; n != 2 {
		t.Errorf("%d connections to the jump host", n)
	}
}

// TestJumpHostReplaced finds the kept connection to a jump host dead.
func TestJumpHostReplaced(t *testing.T) {
	w, p, targets := jumped(t, PoolConfig{}, "a", "b")
	if err := runOn(t, p, targets[0]); err != nil {
		t.Fatal(err)
	}
	hop := p.hopConn(targets[0])
	hop.wire.Conn.Close() // what is known of it in time depends on luck
	if err := runOn(t, p, targets[1]); err != nil {
		t.Error(err)
	}
	if n := w.Must(t, "bastion").Stats().Accepted; n != 2 {
		t.Errorf("%d connections to the jump host", n)
	}
}

// TestJumpHostKept looks for how long a jump host's connection is kept.
func TestJumpHostKept(t *testing.T) {
	_, p, targets := jumped(t, PoolConfig{IdleTimeout: 50 * time.Millisecond}, "a", "b")
	c, release, err := p.Get(testContext(t), targets[0])
	if err != nil {
		t.Fatal(err)
	}
	hop := p.hopConn(targets[0])
	if err := runOn(t, p, targets[1]); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hop.Done():
		t.Fatal("a jump host that is needed was left")
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := c.Exec(testContext(t), "true", nil, nil); err != nil {
		t.Error(err)
	}
	release()
	for _, conn := range []*Conn{c, hop} {
		select {
		case <-conn.Done():
		case <-testContext(t).Done():
			t.Fatal("a connection is kept for ever")
		}
	}
}

// TestJumpHostFrozen stops a jump host: targets fail within their own limit and
// a later one gets a new connection.
func TestJumpHostFrozen(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t)
	w := newWorld(t, lab.Config{Names: []string{"a", "b"}})
	hop := hopOf(t, "bastion", s)
	hop.KeepaliveInterval = time.Hour
	p := newTestPool(t, PoolConfig{})
	if err := runOn(t, p, w.behind(t, "a", hop)); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	target := w.behind(t, "b", hop)
	target.Limits.Total = 2 * time.Second
	began := time.Now()
	e := wantError(t, runOn(t, p, target), KindTimeout, StageTCP)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if want := "jump host bastion: no answer"; e.Text != want {
		t.Errorf("error %q, want %q", e.Text, want)
	}
	s.Continue()
	if err := runOn(t, p, w.behind(t, "b", hop)); err != nil {
		t.Error(err)
	}
}

// TestJumpCanceled gives up while the jump host stays silent.
func TestJumpCanceled(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a"}, Faults: map[string]lab.Fault{"bastion": "hang"}})
	for name, dial := range map[string]func(context.Context, Target) error{
		"pool": func(ctx context.Context, target Target) error {
			_, _, err := newTestPool(t, PoolConfig{}).Get(ctx, target)
			return err
		},
		"alone": func(ctx context.Context, target Target) error { _, err := Dial(ctx, target); return err },
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Stats().Accepted
			ctx, cancel := context.WithCancel(testContext(t))
			go func() {
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for w.Stats().Accepted == before {
					<-tick.C
				}
				cancel()
			}()
			wantKind(t, dial(ctx, w.behind(t, "a", w.bastion(t))), KindCanceled)
		})
	}
}

// TestJumpAlone closes the chain with the connection.
func TestJumpAlone(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a"}})
	c := mustDial(t, w.behind(t, "a", w.bastion(t)))
	if _, err := c.Exec(testContext(t), "true", io.Discard, nil); err != nil {
		t.Error(err)
	}
	c.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx := testContext(t); w.Stats().Open > 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the jump host's connection stays open")
		}
	}
}

// TestJumpOutcome wants hosts behind a jump host that forwards nothing to count
// as unreachable, not as failed.
func TestJumpOutcome(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a"}, Faults: map[string]lab.Fault{"bastion": "no-forward"}})
	p := newTestPool(t, PoolConfig{})
	poller := NewPoller(p, func(host string) (Target, error) { return w.behind(t, host, w.bastion(t)), nil }, nil)
	defer poller.Close()
	poller.Submit(1, "a", scheduler.Connect{})
	_, done := poller.Poll(time.Now().Add(30 * time.Second))
	var e *scheduler.Error
	if len(done) != 1 || !errors.As(done[0].Err, &e) || e.Outcome != scheduler.Unreachable {
		t.Fatalf("completions %+v", done)
	}
	if want := "jump host bastion: forwarding not allowed by the host"; e.Cause.Text != want {
		t.Errorf("cause %q, want %q", e.Cause.Text, want)
	}
}
