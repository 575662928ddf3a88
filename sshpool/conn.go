package sshpool

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Conn is a connection to a host, logged in. It runs any number of commands at
// once. It ends by Close, by the peer, or when keepalive finds the peer dead.
type Conn struct {
	ssh   ssh.Conn
	wire  *wire
	key   ssh.PublicKey
	took  time.Duration
	facts Facts
	// loginKey is the key that was offered last at the login, or nil.
	loginKey *candidate

	limits Limits
	slots  sessionSlots
	alive  *keepalive

	first *opening // the session channel opened ahead, until an Exec takes it

	listeners listeners
	agent     lentAgent
	asking    atomic.Bool // see ask

	mu      sync.Mutex
	closed  bool
	retired bool
	err     error
	done    chan struct{}
}

func newConn(d *dialer, sc ssh.Conn, key ssh.PublicKey, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) *Conn {
	c := &Conn{ssh: sc, wire: d.wire, key: key, limits: d.t.Limits, done: make(chan struct{})}
	if !d.t.carries {
		c.slots.open = 1
		c.first = c.open(make(chan struct{}))
	}
	c.alive = startKeepalive(c, d.t.KeepaliveInterval, d.t.KeepaliveCount)
	go c.serve(chans, reqs)
	return c
}

// serve answers what the peer asks for by itself, as nobody else may leave it
// unread: global requests are refused, which is what keepalives want, and
// channels are rejected but for those that were asked for. It ends with the
// connection.
func (c *Conn) serve(chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
	for reqs != nil {
		select {
		case ch, ok := <-chans:
			if !ok {
				chans = nil
				continue
			}
			switch ch.ChannelType() {
			case forwardedTCPType, forwardedUnixType:
				c.forwarded(ch)
			case agentChannelType:
				go c.agentChannel(ch)
			default:
				ch.Reject(ssh.Prohibited, "not asked for")
			}
		case r, ok := <-reqs:
			if !ok {
				reqs = nil
				continue
			}
			if r.Type == hostKeysNotice && c.wire.raw == nil {
				go c.nudge()
			}
			r.Reply(false, nil)
		}
	}
	c.ended()
}

// hostKeysNotice is what sshd says of its keys right after the login (OpenSSH's
// PROTOCOL, section 2.5).
const hostKeysNotice = "hostkeys-00@openssh.com"

// nudge sends a message that means nothing. Until a session runs, sshd holds
// back what it has to say next for as long as its last words are not
// acknowledged, and the kernel of a jump host delays that by 40 ms unless there
// is something to send with it.
func (c *Conn) nudge() { c.ssh.SendRequest(keepaliveRequest, false, nil) }

// maxEndWait bounds the wait for the library to name the end of a connection.
const maxEndWait = time.Second

// ended records why the connection is over.
func (c *Conn) ended() {
	c.alive.stop()
	c.mu.Lock()
	closed := c.closed
	if closed && c.err == nil {
		c.err = ErrClosed
	}
	known := c.err != nil
	c.mu.Unlock()
	if !known {
		c.setErr(c.endCause())
	}
	c.wire.Close()
	close(c.done)
	for _, l := range c.listeners.list() {
		l.end()
	}
}

func (c *Conn) endCause() error {
	why := make(chan error, 1)
	go func() { why <- c.ssh.Wait() }()
	timer := time.NewTimer(maxEndWait)
	defer timer.Stop()
	var err error
	select {
	case err = <-why:
	case <-timer.C:
		err = errors.New("ssh: peer broke the protocol")
	}
	e := &Error{Kind: KindConnLost, Err: err, Text: "connection lost"}
	if below := c.wire.failure(); below != nil && !isDisconnect(err) {
		switch ne := networkError("", StageCommand, below); {
		case ne.below:
			e.Text = ne.Text
		case strings.HasPrefix(ne.Text, "connection reset"):
			e.Text = "connection lost: reset by the host"
		case strings.HasPrefix(ne.Text, "connection closed"):
			e.Text = "connection lost: closed by the host"
		default:
			e.Text = "connection lost: " + ne.Text
		}
	} else if err != nil {
		e.Text = "connection lost: " + excerpt([]byte(strings.TrimPrefix(err.Error(), "ssh: ")))
	}
	return e
}

func (c *Conn) setErr(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// Close ends the connection. Commands that still run on it are lost, and may go
// on running on the host. It does not wait for the peer.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wire.Close()
	<-c.done
	return nil
}

// kill ends the connection for the given reason.
func (c *Conn) kill(why error) {
	c.setErr(why)
	c.wire.Close()
}

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err gives why the connection is over, or nil while it is not: an error that
// is ErrClosed after Close, else an *Error of KindConnLost.
func (c *Conn) Err() error {
	select {
	case <-c.done:
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// retire says that the peer does not keep to the protocol on this connection:
// what runs may go on, but nobody should begin anything new on it.
func (c *Conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
}

// ending tells that the connection is over, or will be in a moment.
func (c *Conn) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.err != nil || c.wire.failure() != nil
}

// usable tells whether new work may be given to the connection.
func (c *Conn) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && !c.retired && c.err == nil
}

// ServerVersion is the host's version line, such as "SSH-2.0-OpenSSH_9.2". It
// is the peer's text and not made safe to show.
func (c *Conn) ServerVersion() string { return string(c.ssh.ServerVersion()) }

// HostKey is the key that the host proved to have.
func (c *Conn) HostKey() ssh.PublicKey { return c.key }

// User is the user that is logged in.
func (c *Conn) User() string { return c.ssh.User() }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.ssh.RemoteAddr() }

// Took is how long connecting took, from the first TCP packet to the end of login.
func (c *Conn) Took() time.Duration { return c.took }

// Algorithms are those that were negotiated.
func (c *Conn) Algorithms() ssh.NegotiatedAlgorithms {
	if m, ok := c.ssh.(ssh.AlgorithmsConnMetadata); ok {
		return m.Algorithms()
	}
	return ssh.NegotiatedAlgorithms{}
}

// ask has the peer give a sign of life, if it can, and does not wait for it.
func (c *Conn) ask() {
	if !c.asking.CompareAndSwap(false, true) {
		return
	}
	c.wire.stock.other(1)
	go func() {
		c.ssh.SendRequest(keepaliveRequest, true, nil)
		c.wire.stock.other(-1)
		c.asking.Store(false)
	}()
}

// Ping asks the peer for an answer and returns when it came: the round trip.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	got := make(chan error, 1)
	c.wire.stock.other(1)
	go func() {
		defer c.wire.stock.other(-1)
		_, _, err := c.ssh.SendRequest(keepaliveRequest, true, nil)
		got <- err
	}()
	select {
	case err := <-got:
		if err != nil {
			c.wire.Close()
			<-c.done
			return 0, c.Err()
		}
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, canceledError(ctx, "ping", StageChannel)
	}
}
