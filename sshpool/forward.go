package sshpool

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const opForward = "forward"

// Channel types by which a host is asked to connect somewhere.
const (
	directTCP  = "direct-tcpip"                   // RFC 4254 section 7.2
	directUnix = "direct-streamlocal@openssh.com" // OpenSSH's PROTOCOL, section 2.4
)

// Dial has the host connect to addr and gives the stream between. The network
// is "tcp", with an addr of "host:port" whose name the host looks up, or "unix"
// with the path of a socket on the host. The connection takes deadlines, can be
// closed by halves (CloseWrite), and ends with c; a write that was ended by its
// deadline is the last one. Where ctx has no deadline the wait for the answer is
// bounded by c's Limits.Channel.
//
// Errors are of type *Error: KindRefused, KindNoRoute, KindDNS and KindTimeout in
// StageTCP are what the host met on its way to addr; KindPermission says that
// the host forwards no connections, or not this one; KindConnLost that c is over.
func (c *Conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s, err := c.dialStream(ctx, network, addr)
	if err != nil { // not a nil *stream
		return nil, err
	}
	return s, nil
}

func (c *Conn) dialStream(ctx context.Context, network, addr string) (*stream, error) {
	kind, payload, err := directPayload(network, addr)
	if err != nil {
		return nil, &Error{Op: opForward, Kind: KindInternal, Stage: StageChannel, Err: err, Text: err.Error()}
	}
	ctx, cancel := withLimit(ctx, c.limits.Channel, opForward, StageTCP)
	defer cancel()
	o, err := c.openChannel(ctx, kind, payload)
	if err != nil {
		return nil, err
	}
	return c.stream(o.ch, o.reqs, hostAddr{network, "via ssh"}, hostAddr{network, addr}), nil
}

// maxEndNotice bounds the wait to learn that a stream ended with its connection
// where nothing is known of that yet.
const maxEndNotice = 10 * time.Millisecond

// why tells whether a stream of c ended because c did.
func (c *Conn) why() error {
	limit := newLimit(maxEndNotice)
	defer limit.stop()
	select {
	case <-c.done:
	case <-limit.c:
		if !c.ending() {
			return nil
		}
		<-c.done
	}
	err := c.Err()
	var e *Error
	if !errors.As(err, &e) {
		return net.ErrClosed
	}
	lost := *e
	lost.Op = opForward
	return &lost
}

// directPayload is the type and payload of the channel that leads to addr.
func directPayload(network, addr string) (string, []byte, error) {
	switch network {
	case "tcp":
		host, port, err := splitHostPort(addr)
		if err != nil {
			return "", nil, err
		}
		return directTCP, ssh.Marshal(struct {
			Host       string
			Port       uint32
			Originator string
			OrigPort   uint32
		}{host, port, "127.0.0.1", 0}), nil
	case "unix":
		return directUnix, ssh.Marshal(struct {
			Path     string
			Reserved string
			Zero     uint32
		}{addr, "", 0}), nil
	}
	return "", nil, net.UnknownNetworkError(network)
}

// splitHostPort takes "host:port" apart.
func splitHostPort(addr string) (string, uint32, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, &net.AddrError{Err: "invalid port", Addr: addr}
	}
	return host, uint32(n), nil
}

// withLimit bounds ctx by limit where it has no deadline of its own.
func withLimit(ctx context.Context, limit time.Duration, op string, stage Stage) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, limit, timeoutError(op, stage, limit))
}

// gaveUp is the error of a wait that ended with the ctx of withLimit.
func gaveUp(ctx context.Context, op string, stage Stage) *Error {
	var limit *Error
	if errors.As(context.Cause(ctx), &limit) {
		e := *limit
		return &e
	}
	return canceledError(ctx, op, stage)
}

// hostAddr is an address as the host at the other end knows it.
type hostAddr struct{ network, addr string }

func (a hostAddr) Network() string { return a.network }
func (a hostAddr) String() string  { return a.addr }

// openChannel opens a channel and waits for it until ctx ends.
func (c *Conn) openChannel(ctx context.Context, kind string, payload []byte) (*opening, error) {
	o := &opening{done: make(chan struct{})}
	c.wire.stock.other(1)
	c.wire.forwards.Store(true)
	go func() {
		defer close(o.done)
		o.ch, o.reqs, o.err = c.channel(kind, payload)
	}()
	leave := func() {
		<-o.done
		if o.err == nil {
			o.ch.Close()
			ssh.DiscardRequests(o.reqs)
		}
		c.wire.stock.other(-1)
	}
	select {
	case <-o.done:
	case <-c.done:
		go leave()
		return nil, c.lostForward(ctx)
	case <-ctx.Done():
		go leave()
		return nil, gaveUp(ctx, opForward, StageTCP)
	}
	if o.err == nil {
		return o, nil
	}
	c.wire.stock.other(-1)
	var refusal *ssh.OpenChannelError
	if !errors.As(o.err, &refusal) {
		return nil, c.lostForward(ctx)
	}
	return nil, refusedForward(refusal)
}

func (c *Conn) lostForward(ctx context.Context) *Error {
	e := c.lost(ctx, StageChannel)
	e.Op = opForward
	return e
}

// refusedForward types the answer of a host that did not connect as asked. The
// words are those of strerror(3) and gai_strerror(3), which OpenSSH and dropbear
// pass on (RFC 4254 section 5.1 has but four reasons).
func refusedForward(r *ssh.OpenChannelError) *Error {
	e := &Error{Op: opForward, Kind: KindPermission, Stage: StageChannel, Err: r}
	said := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(r.Message), w) {
				return true
			}
		}
		return false
	}
	switch r.Reason {
	case ssh.Prohibited:
		e.Text = "forwarding not allowed by the host"
	case ssh.UnknownChannelType:
		e.Text = "forwarding not supported by the host"
	case ssh.ResourceShortage:
		e.Kind, e.Text = KindSessionLimit, "host is short of resources: "+excerpt([]byte(r.Message))
	default:
		e.Stage = StageTCP
		switch {
		case said("connection refused"):
			e.Kind, e.Text = KindRefused, "connection refused"
		case said("no route to host"):
			e.Kind, e.Text = KindNoRoute, "no route to host"
		case said("network is unreachable", "network unreachable"):
			e.Kind, e.Text = KindNoRoute, "network unreachable"
		case said("timed out", "timeout"):
			e.Kind, e.Text = KindTimeout, "timeout in tcp"
		case said("name or service not known", "name resolution", "no address associated", "name does not resolve", "unknown host"):
			e.Kind, e.Stage, e.Text = KindDNS, StageDNS, "no such host"
		case said("no such file"):
			e.Kind, e.Text = KindRefused, "no such socket"
		default:
			e.Kind, e.Text = KindRefused, "connection refused: "+excerpt([]byte(r.Message))
		}
	}
	return e
}
