package sshpool

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/sshpool/hostkeys"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(labEnv); dir != "" {
		if err := serveLab(dir); err != nil {
			log.Fatal(err)
		}
		return
	}
	// Most of what takes long here waits: for limits, for hosts that are slow.
	if err := flag.Set("test.parallel", "8"); err != nil {
		log.Fatal(err)
	}
	sshtest.Leaks(m)
}

// world is a lab and the way into it.
type world struct {
	*sshtest.Fleet
	auth   *Auth
	keys   *hostkeys.Policy
	limits Limits
}

func newWorld(t testing.TB, cfg lab.Config) *world {
	t.Helper()
	f := sshtest.Lab(t, cfg)
	index, err := hostkeys.Load(f.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Fleet: f, auth: &Auth{Keys: []string{f.KeyFile}}, keys: &hostkeys.Policy{Index: index}}
	t.Cleanup(func() { w.auth.Close() })
	return w
}

// one is a world of one host with the given fault.
func one(t testing.TB, fault lab.Fault) (*world, Target) {
	t.Helper()
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": fault}})
	return w, w.target(t, "h1")
}

func (w *world) target(t testing.TB, name string) Target {
	t.Helper()
	h := w.Must(t, name)
	return Target{Address: h.Address, Port: h.Port, User: w.User(), Auth: w.auth, HostKeys: w.keys, Limits: w.limits}
}

// ctx ends with the test, and after a minute in any case.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustDial(t testing.TB, target Target) *Conn {
	t.Helper()
	c, err := Dial(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wantError fails the test if err is not of the given kind and stage.
func wantError(t testing.TB, err error, kind Kind, stage Stage) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want one of kind %s in %s", err, kind, stage)
	}
	if e.Kind != kind || e.Stage != stage {
		t.Fatalf("error %q of kind %s in %s, want %s in %s", e, e.Kind, e.Stage, kind, stage)
	}
	return e
}

// serveEach listens, by TCP or in a socket file, until the test ends, and serves
// each connection on a goroutine of its own; serve need not close it. The test's
// end waits for all of them. It gives the address.
func serveEach(t *testing.T, network string, serve func(net.Conn)) string {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { ln.Close() })
	wg.Go(func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	return ln.Addr().String()
}
