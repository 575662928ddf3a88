package sshpool

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

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
	limit := c.limits.Channel
	if _, ok := ctx.Deadline(); !ok && limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, timeoutError(opForward, StageTCP, limit))
		defer cancel()
	}
	o, err := c.openChannel(ctx, kind, payload)
	if err != nil {
		return nil, err
	}
	s := newStream(o.ch, o.reqs, hostAddr{network, "via ssh"}, hostAddr{network, addr})
	s.over = func() { c.wire.stock.other(-1) }
	return s, nil
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
		o.ch, o.reqs, o.err = c.ssh.OpenChannel(kind, payload)
	}()
	select {
	case <-o.done:
	case <-ctx.Done():
		go func() {
			<-o.done
			if o.err == nil {
				o.ch.Close()
				ssh.DiscardRequests(o.reqs)
			}
			c.wire.stock.other(-1)
		}()
		return nil, canceledError(ctx, opForward, StageTCP)
	}
	if o.err == nil {
		return o, nil
	}
	c.wire.stock.other(-1)
	var refusal *ssh.OpenChannelError
	if !errors.As(o.err, &refusal) {
		e := c.lost(ctx, StageChannel)
		e.Op = opForward
		return nil, e
	}
	return nil, refusedForward(refusal)
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
