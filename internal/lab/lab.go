// Package lab is an embedded fleet: many SSH servers in one process, each on an
// address of its own in 127.0.0.0/8, all on one port. `fleet lab` and `fleet
// demo` show it, the benchmarks load it, and tests break it on purpose.
//
// A host of the lab is simulated: its shell is a small interpreter over canned
// facts (shell.go, facts.go) and never runs anything on the real machine,
// unless Config.RealShell asks for that. Any host may have faults (fault.go has
// the list); Config.RTT adds a round-trip time to every connection (wire.go).
//
// Start gives a running Lab; WriteFiles leaves an inventory, a client key and a
// known_hosts file that make the fleet reachable for any SSH client. Only that
// key (and Config.Password, where set) logs in. Nothing but loopback is bound.
//
// Of the common systems only Linux answers on the whole of 127.0.0.0/8 without
// further configuration; elsewhere Start says which address is missing.
package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config says what fleet to start. The zero value of each field is usable.
type Config struct {
	N      int      // number of hosts; len(Names), or 20 without names
	Names  []string // names of the hosts; else made from Prefix
	Prefix string   // "node" gives node1, node2, ...; empty: web, app, db and cache hosts

	// Faults maps a host's name, or a pattern with * and ?, to what is wrong
	// with it. Where several match, all apply, in order of the patterns.
	Faults map[string]Fault

	RTT      time.Duration // added round-trip time of every connection
	Dir      string        // where WriteFiles writes; created with mode 0700
	Port     int           // the one port of all hosts; 0 for a free one
	BaseAddr string        // hosts count up from here; 127.90.0.0 if empty
	User     string        // the one login name; empty: any name is right
	Password string        // logs in too, where set

	Shell     Shell // answers commands; nil: the simulated shell
	RealShell bool  // run commands by /bin/sh of this machine: for tests and benchmarks only
}

// Lab is a running fleet. Its methods may be called from any goroutine.
type Lab struct {
	cfg    Config
	port   int
	key    clientKey
	shell  Shell
	hosts  []*Host
	byName map[string]*Host

	mu     sync.Mutex
	wires  map[*wire]struct{} // open connections
	closed bool

	done     chan struct{} // closed by Close
	stop     func() bool   // takes back the link to Start's context
	running  sync.WaitGroup
	halfOpen gauge

	supervised sync.Map // sessions under way by the nonce of their command
	open       gauge
}

// Start starts the fleet and returns when every host listens. The fleet ends
// with Close or when ctx ends.
func Start(ctx context.Context, cfg Config) (*Lab, error) {
	if err := raiseFileLimit(max(cfg.N, len(cfg.Names))); err != nil {
		return nil, err
	}
	names, err := hostNames(cfg)
	if err != nil {
		return nil, err
	}
	base, err := baseAddr(cfg.BaseAddr)
	if err != nil {
		return nil, err
	}
	l := &Lab{
		cfg:    cfg,
		shell:  cfg.Shell,
		byName: make(map[string]*Host, len(names)),
		wires:  make(map[*wire]struct{}),
		done:   make(chan struct{}),
	}
	if l.shell == nil {
		l.shell = simulate
		if cfg.RealShell {
			l.shell = realShell
		}
	}
	if cfg.Dir != "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	if l.key, err = loadOrMakeKey(cfg.Dir); err != nil {
		return nil, err
	}
	if err := l.makeHosts(names, base); err != nil {
		return nil, err
	}
	if err := l.listen(); err != nil {
		l.closeListeners()
		return nil, err
	}
	for _, h := range l.hosts {
		if h.listener != nil {
			l.running.Add(1)
			go h.accept()
		}
	}
	l.stop = context.AfterFunc(ctx, func() { l.shut() })
	return l, nil
}

func (l *Lab) makeHosts(names []string, base netip.Addr) error {
	addr := base
	shared := make(map[Fault]*behavior)
	for i, name := range names {
		if addr = nextAddr(addr); !addr.IsLoopback() {
			return fmt.Errorf("lab: %d hosts do not fit between %s and the end of 127.0.0.0/8", len(names), base)
		}
		if l.byName[name] != nil {
			return fmt.Errorf("lab: two hosts named %q", name)
		}
		fault := l.cfg.faultOf(name)
		b := shared[fault]
		if b == nil {
			var err error
			if b, err = fault.compile(); err != nil {
				return err
			}
			shared[fault] = b
		}
		h, err := newHost(l, name, addr, i, b)
		if err != nil {
			return err
		}
		l.hosts = append(l.hosts, h)
		l.byName[name] = h
	}
	for pattern := range l.cfg.Faults {
		if !slices.ContainsFunc(names, func(n string) bool { return matches(pattern, n) }) {
			return fmt.Errorf("lab: fault for %q, which is none of the %d hosts %s..%s",
				pattern, len(names), names[0], names[len(names)-1])
		}
	}
	return nil
}

// Hosts lists the hosts in the order of their addresses.
func (l *Lab) Hosts() []*Host { return l.hosts }

// Host finds a host by name; nil if there is none.
func (l *Lab) Host(name string) *Host { return l.byName[name] }

// Port is the port that every host listens on.
func (l *Lab) Port() int { return l.port }

// User is the login name to use: Config.User, or "ops".
func (l *Lab) User() string {
	if l.cfg.User != "" {
		return l.cfg.User
	}
	return "ops"
}

// Signer is the client key that logs in everywhere.
func (l *Lab) Signer() ssh.Signer { return l.key.signer }

// KeyFile is where WriteFiles puts the client key.
func (l *Lab) KeyFile() string { return filepath.Join(l.cfg.Dir, "id_ed25519") }

// KnownHostsFile is where WriteFiles puts the host keys.
func (l *Lab) KnownHostsFile() string { return filepath.Join(l.cfg.Dir, "known_hosts") }

// InventoryFile is where WriteFiles puts the inventory.
func (l *Lab) InventoryFile() string { return filepath.Join(l.cfg.Dir, "hosts.yaml") }

// Close ends the fleet: listeners, connections and running commands. It
// returns when none of its goroutines is left; later calls do nothing.
func (l *Lab) Close() error {
	l.stop()
	l.shut()
	l.running.Wait()
	return nil
}

// shut tells everything to end, and waits for nothing.
func (l *Lab) shut() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.done)
	wires := make([]*wire, 0, len(l.wires))
	for w := range l.wires {
		wires = append(wires, w)
	}
	l.mu.Unlock()
	l.closeListeners()
	for _, w := range wires {
		w.kill()
	}
}

func (l *Lab) closeListeners() {
	for _, h := range l.hosts {
		if h.listener != nil {
			h.listener.Close()
		}
	}
}

// add registers an accepted connection; it reports false on a closing lab.
func (l *Lab) add(w *wire) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.running.Add(1)
	l.wires[w] = struct{}{}
	l.open.up()
	return true
}

func (l *Lab) remove(w *wire) {
	l.mu.Lock()
	delete(l.wires, w)
	l.mu.Unlock()
	l.open.down()
	l.running.Done()
}

// deriveKey makes the host key that the seed and the label stand for.
func deriveKey(seed [32]byte, label string) (ssh.Signer, error) {
	return signerFromSeed(sha256.Sum256(append(seed[:], label...)))
}

// gauge counts something that goes up and down, and keeps its highest value.
type gauge struct{ now, max atomic.Int64 }

func (g *gauge) up() {
	n := g.now.Add(1)
	for m := g.max.Load(); n > m && !g.max.CompareAndSwap(m, n); m = g.max.Load() {
	}
}

func (g *gauge) down() { g.now.Add(-1) }
