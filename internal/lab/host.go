package lab

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// Host is one host of the lab.
type Host struct {
	Name    string
	Address string // its own address in 127.0.0.0/8
	Port    int
	HostKey ssh.PublicKey // as written to known_hosts; a host with fault wrong-key shows another

	lab      *Lab
	addr     netip.Addr
	index    int
	signer   ssh.Signer // what it shows
	behavior *behavior
	listener net.Listener

	halfOpen, open           gauge
	accepted, attempts       atomic.Int64
	logins, sessions         atomic.Int64
	sent, received, commands atomic.Int64
	forwarded                atomic.Int64

	filesOnce sync.Once
	files     sftp.Handlers // of a simulated host: in memory

	mu  sync.Mutex
	log []string // the last maxLog commands
}

const maxLog = 1000

// Stats is what a host, or the whole lab, has counted since its start.
type Stats struct {
	Accepted    int64    // connections accepted
	Open        int64    // connections open now
	OpenMax     int64    // and at most at any time
	HalfOpen    int64    // connections not logged in yet
	HalfOpenMax int64    // and at most at any time
	Attempts    int64    // login attempts; the opening "none" and key queries not counted
	Logins      int64    // successful logins
	Sessions    int64    // session channels opened
	Forwarded   int64    // connections made to other hosts for clients
	CommandsRun int64    // commands received
	Commands    []string // the last thousand of them, exact, in order of arrival
	Received    int64    // bytes on the wire, of all connections
	Sent        int64
}

// Stats reads the counters of the host.
func (h *Host) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Accepted: h.accepted.Load(), Attempts: h.attempts.Load(), Logins: h.logins.Load(),
		Open: h.open.now.Load(), OpenMax: h.open.max.Load(),
		HalfOpen: h.halfOpen.now.Load(), HalfOpenMax: h.halfOpen.max.Load(),
		Sessions: h.sessions.Load(), Forwarded: h.forwarded.Load(), CommandsRun: h.commands.Load(), Commands: slices.Clone(h.log),
		Received: h.received.Load(), Sent: h.sent.Load(),
	}
}

// Stats adds up the counters of all hosts. Open, HalfOpen and their highest
// values are of the lab as a whole; Commands is empty.
func (l *Lab) Stats() Stats {
	s := Stats{
		Open: l.open.now.Load(), OpenMax: l.open.max.Load(),
		HalfOpen: l.halfOpen.now.Load(), HalfOpenMax: l.halfOpen.max.Load(),
	}
	for _, h := range l.hosts {
		s.Accepted += h.accepted.Load()
		s.Attempts += h.attempts.Load()
		s.Logins += h.logins.Load()
		s.Sessions += h.sessions.Load()
		s.Forwarded += h.forwarded.Load()
		s.CommandsRun += h.commands.Load()
		s.Received += h.received.Load()
		s.Sent += h.sent.Load()
	}
	return s
}

func newHost(l *Lab, name string, addr netip.Addr, index int, b *behavior) (*Host, error) {
	signer, err := deriveKey(l.key.seed, name)
	if err != nil {
		return nil, err
	}
	h := &Host{
		Name: name, Address: addr.String(), HostKey: signer.PublicKey(),
		lab: l, addr: addr, index: index, signer: signer, behavior: b,
	}
	if b.otherKey {
		if h.signer, err = deriveKey(l.key.seed, name+" other"); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// listen opens every host's listener on one port. Where no port is given it
// takes one that is free on the first address and tries others while some
// address has it in use.
func (l *Lab) listen() error {
	const tries = 20
	for try := 1; ; try++ {
		err := l.listenOn(l.cfg.Port)
		if err == nil {
			return nil
		}
		if l.cfg.Port != 0 || !errors.Is(err, syscall.EADDRINUSE) || try == tries {
			return fmt.Errorf("lab: %w", err)
		}
		l.closeListeners()
	}
}

func (l *Lab) listenOn(port int) error {
	for _, h := range l.hosts {
		h.listener = nil
		if h.behavior.noListener && port != 0 {
			h.Port = port
			continue
		}
		ln, err := net.Listen("tcp4", net.JoinHostPort(h.Address, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		if port == 0 {
			port = ln.Addr().(*net.TCPAddr).Port
		}
		h.Port = port
		if h.behavior.noListener {
			ln.Close() // it only found the port
			continue
		}
		h.listener = ln
	}
	l.port = port
	return nil
}

// accept serves the host's connections until its listener is closed.
func (h *Host) accept() {
	defer h.lab.running.Done()
	for {
		c, err := h.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of files, most likely: what is open must go first.
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-h.lab.done:
				return
			}
		}
		w := newWire(h, c)
		if !h.lab.add(w) {
			c.Close()
			return
		}
		go w.serve()
	}
}

// serve handles one connection from its first to its last byte.
func (w *wire) serve() {
	h := w.host
	defer h.lab.remove(w)
	defer w.drain()
	h.open.up()
	defer h.open.down()
	w.login.Store(true)
	h.halfOpen.up()
	h.lab.halfOpen.up()
	defer w.loggedIn()
	n := h.accepted.Add(1)
	for _, f := range h.behavior.accept {
		if !f(w, n) {
			return
		}
	}
	conn, channels, requests, err := ssh.NewServerConn(w, h.serverConfig(w))
	if err != nil {
		return
	}
	defer conn.Close()
	h.logins.Add(1)
	w.loggedIn()
	for _, f := range h.behavior.ready {
		f(w, conn)
	}
	w.serveChannels(conn, channels, requests)
}

// loggedIn takes the connection off the count of half open ones.
func (w *wire) loggedIn() {
	if w.login.CompareAndSwap(true, false) {
		w.host.halfOpen.down()
		w.host.lab.halfOpen.down()
	}
}

// serverVersion is that of Debian 12, as clients choose by it what they offer.
const serverVersion = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"

var errDenied = errors.New("permission denied")

func (h *Host) serverConfig(w *wire) *ssh.ServerConfig {
	cfg := &ssh.ServerConfig{
		ServerVersion: serverVersion,
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !h.userIsRight(meta) || !bytes.Equal(key.Marshal(), h.lab.key.wire) {
				return nil, errDenied
			}
			return nil, nil
		},
		AuthLogCallback: func(_ ssh.ConnMetadata, method string, _ error) {
			if method != "none" {
				h.attempts.Add(1)
			}
		},
	}
	if h.lab.cfg.Password != "" {
		cfg.PasswordCallback = func(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if !h.userIsRight(meta) || string(password) != h.lab.cfg.Password {
				return nil, errDenied
			}
			return nil, nil
		}
	}
	cfg.AddHostKey(h.signer)
	for _, f := range h.behavior.config {
		f(w, cfg)
	}
	return cfg
}

func (h *Host) userIsRight(meta ssh.ConnMetadata) bool {
	return h.lab.cfg.User == "" || meta.User() == h.lab.cfg.User
}

// record keeps a received command for Stats.
func (h *Host) record(command string) {
	h.commands.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.log) == maxLog {
		h.log = append(h.log[:0], h.log[1:]...)
	}
	h.log = append(h.log, command)
}
