package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Listen has the host listen at addr and gives what connects to it there. The
// network is "tcp", with "host:port" in which port 0 lets the host choose (see
// Addr) and an empty host means all addresses, as far as the host allows others
// than its loopback (sshd_config(5), GatewayPorts); or "unix" with the path of a
// socket to be made on the host. ctx is of the request only; where it has no
// deadline, c's Limits.Channel bounds the wait.
//
// The listener ends with Close, which has the host stop listening, or with c:
// then Accept gives the *Error that c ended with. Errors of Listen are of type
// *Error: KindPermission where the host refuses.
func (c *Conn) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	l := &listener{c: c, network: network, queue: make(chan ssh.NewChannel, maxBacklogged),
		closed: make(chan struct{}), known: make(chan struct{})}
	switch network {
	case "tcp":
		host, port, err := splitHostPort(addr)
		if err != nil {
			return nil, &Error{Op: opListen, Kind: KindInternal, Stage: StageChannel, Err: err, Text: err.Error()}
		}
		l.host, l.port = host, port
		l.start, l.stop = "tcpip-forward", "cancel-tcpip-forward"
	case "unix":
		l.host = addr
		l.start, l.stop = "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com"
	default:
		err := net.UnknownNetworkError(network)
		return nil, &Error{Op: opListen, Kind: KindInternal, Stage: StageChannel, Err: err, Text: err.Error()}
	}
	ctx, cancel := withLimit(ctx, c.limits.Channel, opListen, StageChannel)
	defer cancel()
	c.listeners.add(l)
	err := l.ask(ctx)
	close(l.known)
	if err != nil {
		l.end()
		return nil, err
	}
	c.wire.forwards.Store(true)
	return l, nil
}

const opListen = "listen"

// maxBacklogged is how many connections wait for Accept before more are refused.
const maxBacklogged = 128

// listener is one place where the host listens for us.
type listener struct {
	c           *Conn
	network     string
	host        string // or the path of a socket
	port        uint32
	start, stop string        // names of the requests
	known       chan struct{} // closed when port is what the host chose
	queue       chan ssh.NewChannel

	closing sync.Once
	closed  chan struct{}
}

func (l *listener) payload() []byte {
	b := appendString(nil, l.host)
	if l.network == "tcp" {
		b = binary.BigEndian.AppendUint32(b, l.port)
	}
	return b
}

// ask has the host begin to listen.
func (l *listener) ask(ctx context.Context) error {
	ok, data, err := l.c.request(ctx, l.start, l.payload())
	switch {
	case err != nil && ctx.Err() != nil:
		go l.recall() // it may have been granted, too late
		return gaveUp(ctx, opListen, StageChannel)
	case err != nil:
		e := l.c.lost(ctx, StageChannel)
		e.Op = opListen
		return e
	case !ok:
		return &Error{Op: opListen, Kind: KindPermission, Stage: StageChannel, Text: "listening refused by the host"}
	case l.network == "tcp" && l.port == 0:
		if len(data) < 4 {
			return &Error{Op: opListen, Kind: KindProtocol, Stage: StageChannel, Text: "the host did not say on which port it listens"}
		}
		l.port = binary.BigEndian.Uint32(data)
	}
	return nil
}

// request sends a global request and waits for its answer until ctx ends.
func (c *Conn) request(ctx context.Context, name string, payload []byte) (ok bool, data []byte, err error) {
	type answer struct {
		ok   bool
		data []byte
		err  error
	}
	got := make(chan answer, 1)
	c.wire.stock.other(1)
	go func() {
		defer c.wire.stock.other(-1)
		ok, data, err := c.ssh.SendRequest(name, true, payload)
		got <- answer{ok, data, err}
	}()
	select {
	case a := <-got:
		return a.ok, a.data, a.err
	case <-ctx.Done():
		return false, nil, ctx.Err()
	case <-c.done:
		return false, nil, ErrClosed
	}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	for {
		select {
		case <-l.closed:
			return nil, l.over()
		default:
		}
		select {
		case nc := <-l.queue:
			if s, err := l.accept(nc); err == nil {
				return s, nil
			}
		case <-l.closed:
			return nil, l.over()
		}
	}
}

func (l *listener) accept(nc ssh.NewChannel) (net.Conn, error) {
	ch, reqs, err := nc.Accept()
	if err != nil {
		return nil, err
	}
	from := hostAddr{l.network, ""}
	if l.network == "tcp" {
		var m forwardedTCP
		if ssh.Unmarshal(nc.ExtraData(), &m) == nil {
			from.addr = net.JoinHostPort(strings.ToValidUTF8(m.Originator, "?"), strconv.Itoa(int(m.OrigPort)))
		}
	}
	l.c.wire.stock.other(1)
	return l.c.stream(ch, reqs, l.Addr(), from), nil
}

// over is the error of Accept after the end.
func (l *listener) over() error {
	if err := l.c.Err(); err != nil && !errors.Is(err, ErrClosed) {
		return err
	}
	return &net.OpError{Op: "accept", Net: l.network, Addr: l.Addr(), Err: net.ErrClosed}
}

// Addr is where the host listens: a *net.TCPAddr, without IP where the host was
// asked for a name, or a *net.UnixAddr.
func (l *listener) Addr() net.Addr {
	if l.network == "unix" {
		return &net.UnixAddr{Name: l.host, Net: l.network}
	}
	return &net.TCPAddr{IP: net.ParseIP(l.host), Port: int(l.port)}
}

// maxRecall bounds the wait for the host to say that it listens no more.
const maxRecall = time.Second

// Close has the host listen no more and refuses what waits for Accept. Some
// hosts, dropbear for one, go on all the same: what connects there is refused.
func (l *listener) Close() error {
	if !l.end() {
		return &net.OpError{Op: "close", Net: l.network, Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.recall()
	return nil
}

func (l *listener) recall() {
	ctx, cancel := context.WithTimeout(context.Background(), maxRecall)
	defer cancel()
	l.c.request(ctx, l.stop, l.payload())
}

// end lets go of the listener on our side; it tells whether it was the first.
func (l *listener) end() (first bool) {
	l.closing.Do(func() {
		first = true
		l.c.listeners.drop(l)
		for {
			select {
			case nc := <-l.queue:
				go nc.Reject(ssh.ConnectionFailed, "nobody listens")
			default:
				return
			}
		}
	})
	return first
}

// listeners are those of one connection.
type listeners struct {
	mu  sync.Mutex
	all []*listener
}

func (ls *listeners) add(l *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = append(ls.all, l)
}

// drop closes l to new connections.
func (ls *listeners) drop(l *listener) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	close(l.closed)
	for i, other := range ls.all {
		if other == l {
			ls.all = append(ls.all[:i:i], ls.all[i+1:]...)
			return
		}
	}
}

func (ls *listeners) list() []*listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return append([]*listener(nil), ls.all...)
}

// forwardedTCP is what the host says of a connection (RFC 4254 section 7.2).
type forwardedTCP struct {
	Host       string
	Port       uint32
	Originator string
	OrigPort   uint32
}

// Types of the channels by which a host hands over a connection.
const (
	forwardedTCPType  = "forwarded-tcpip"
	forwardedUnixType = "forwarded-streamlocal@openssh.com"
)

// forwarded hands a connection to the listener that it is for. It does not
// block: the rest of the connection waits for it.
func (c *Conn) forwarded(nc ssh.NewChannel) {
	network, host, port := "tcp", "", uint32(0)
	var m forwardedTCP
	var u struct{ Path, Reserved string }
	if nc.ChannelType() == forwardedUnixType {
		if ssh.Unmarshal(nc.ExtraData(), &u) != nil {
			go nc.Reject(ssh.ConnectionFailed, "message not understood")
			return
		}
		network, host = "unix", u.Path
	} else {
		if ssh.Unmarshal(nc.ExtraData(), &m) != nil {
			go nc.Reject(ssh.ConnectionFailed, "message not understood")
			return
		}
		host, port = m.Host, m.Port
	}
	go func() {
		for _, l := range c.listeners.list() {
			select {
			case <-l.known:
			case <-c.done:
				return
			}
		}
		if l := c.listeners.find(network, host, port); l == nil {
			nc.Reject(ssh.Prohibited, "not asked for")
		} else if !l.enqueue(nc) {
			nc.Reject(ssh.ResourceShortage, "too many connections wait")
		}
	}()
}

func (l *listener) enqueue(nc ssh.NewChannel) bool {
	l.c.listeners.mu.Lock() // so that it does not end meanwhile
	defer l.c.listeners.mu.Unlock()
	select {
	case <-l.closed:
		return false
	default:
	}
	select {
	case l.queue <- nc:
		return true
	default:
		return false
	}
}

// find gives the listener at host and port, or the only one at that port: hosts
// differ in how they write an address back.
func (ls *listeners) find(network, host string, port uint32) *listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var near *listener
	n := 0
	for _, l := range ls.all {
		if l.network != network || l.port != port {
			continue
		}
		if l.host == host {
			return l
		}
		if network == "tcp" {
			near = l
			n++
		}
	}
	if n == 1 {
		return near
	}
	return nil
}
