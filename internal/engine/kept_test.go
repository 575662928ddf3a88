package engine

import (
	"context"
	"testing"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// TestKeptConnections runs command after command on kept connections: each host
// is connected once, again only when it went away, and what waits is bounded.
func TestKeptConnections(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 5})
	req := ask(f, "true", f.Hosts()...)
	kept := Keep(req.Access, 0)
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	req.Kept = kept
	for range 3 {
		c := carry(t, req, newTold(), light)
		if n := c.summary.Counts[okay]; n != 5 {
			t.Fatalf("%d of 5 ok: %v", n, c.causes())
		}
	}
	for _, h := range f.Hosts() {
		if n := h.Stats().Accepted; n != 1 || !kept.Connected(h.Name) {
			t.Errorf("%s was connected %d times, and is still: %v; want once, and yes", h.Name, n, kept.Connected(h.Name))
		}
	}
	if kept.Connected("nobody") {
		t.Error("a host that never came up is connected")
	}
	name := f.Hosts()[2].Name
	cut(t, kept, name)
	if kept.Connected(name) {
		t.Errorf("%s is connected after its connection was cut", name)
	}
	if n := carry(t, req, newTold(), light).summary.Counts[okay]; n != 5 {
		t.Errorf("%d of 5 ok after one connection was cut", n)
	}
	if n := f.Stats().Accepted; n != 6 {
		t.Errorf("%d connections were made, want 5 and the one that was cut", n)
	}
}

// cut ends the connection that is kept to a host.
func cut(t *testing.T, kept *Kept, host string) {
	t.Helper()
	target, err := kept.targets.Target(host)
	if err != nil {
		t.Fatal(err)
	}
	conn, release, err := kept.pool.Get(context.Background(), target)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	release()
}

// TestKeptIdleIsBounded keeps two connections of five.
func TestKeptIdleIsBounded(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 5})
	req := ask(f, "true", f.Hosts()...)
	kept := Keep(req.Access, 2)
	defer kept.Close()
	req.Kept = kept
	for range 2 {
		if n := carry(t, req, newTold(), light).summary.Counts[okay]; n != 5 {
			t.Fatalf("%d of 5 ok", n)
		}
	}
	eventually(t, "2 open connections", func() bool { return f.Stats().Open == 2 })
	if n := f.Stats().Accepted; n != 8 {
		t.Errorf("%d connections were made, want 5 and 3 again", n)
	}
	there := 0
	for _, h := range f.Hosts() {
		if kept.Connected(h.Name) {
			there++
		}
	}
	if there != 2 {
		t.Errorf("%d hosts are connected, want 2", there)
	}
}
