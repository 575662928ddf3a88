package sshpool

import (
	"context"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
)

// Subsystem has the host start a subsystem, such as "sftp" or "netconf" (RFC
// 4254 section 6.5), and gives the stream to it, which takes deadlines, can be
// closed by halves (CloseWrite) and ends with c. What the subsystem writes to
// standard error is dropped. The stream is the caller's to close. ctx is of the
// request only; where it has no deadline, c's Limits.Channel bounds the wait.
//
// Errors are of type *Error: KindPermission where the host has no such
// subsystem or refuses it, and as for Run.
func (c *Conn) Subsystem(ctx context.Context, name string) (net.Conn, error) {
	o, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withLimit(ctx, c.limits.Channel, opExec, StageChannel)
	defer cancel()
	started := make(chan reply, 1)
	go func() {
		ok, err := o.ch.SendRequest("subsystem", true, appendString(nil, name))
		started <- reply{ok: ok, err: err}
	}()
	select {
	case r := <-started:
		if r.ok {
			return c.carry(o, hostAddr{"subsystem", name}), nil
		}
		c.letGo(o)
		if r.err != nil && !c.usable() {
			return nil, c.lost(ctx, StageChannel)
		}
		return nil, &Error{Op: opExec, Kind: KindPermission, Stage: StageChannel, Err: r.err, Text: "subsystem refused by the host"}
	case <-ctx.Done():
		c.letGo(o)
		return nil, gaveUp(ctx, opExec, StageChannel)
	}
}

// carry makes a stream of a session, whose slot is given back at its end.
func (c *Conn) carry(o *opening, remote net.Addr) *stream {
	c.wire.stock.other(1) // until the stream is closed
	go io.Copy(io.Discard, o.ch.Stderr())
	reqs := make(chan *ssh.Request)
	go func() {
		ssh.DiscardRequests(o.reqs)
		close(reqs)
		c.slots.give()
	}()
	return c.stream(o.ch, reqs, hostAddr{"subsystem", "via ssh"}, remote)
}

// Request sends a global request of the connection (RFC 4254 section 4), such
// as "no-more-sessions@openssh.com", and waits for the answer: whether the host
// granted it, and what it said. The payload is as the request's own rules have
// it. A request that the host does not know is refused. Where ctx has no
// deadline, c's Limits.Channel bounds the wait. Errors are of type *Error.
func (c *Conn) Request(ctx context.Context, name string, payload []byte) (granted bool, answer []byte, err error) {
	ctx, cancel := withLimit(ctx, c.limits.Channel, opRequest, StageChannel)
	defer cancel()
	type result struct {
		ok   bool
		data []byte
		err  error
	}
	got := make(chan result, 1)
	c.wire.stock.other(1)
	go func() {
		defer c.wire.stock.other(-1)
		ok, data, err := c.ssh.SendRequest(name, true, payload)
		got <- result{ok, data, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			e := c.lost(ctx, StageChannel)
			e.Op = opRequest
			return false, nil, e
		}
		return r.ok, r.data, nil
	case <-ctx.Done():
		return false, nil, gaveUp(ctx, opRequest, StageChannel)
	}
}

const opRequest = "request"
