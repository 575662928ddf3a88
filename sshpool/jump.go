package sshpool

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// lessor gives a connection to a jump host and what to call when it is no
// longer needed.
type lessor func(ctx context.Context, hop Target) (conn *Conn, release func(), err error)

// lastHop is the jump host that connects to t, with the way to it.
func (t *Target) lastHop() Target {
	n := len(t.Jump) - 1
	hop := t.Jump[n]
	if n > 0 {
		hop.Jump = t.Jump[:n]
	}
	hop.carries = true
	hop.hops = t.hops
	if hop.Resolver == nil {
		hop.Resolver = t.Resolver
	}
	if hop.Log == nil {
		hop.Log = t.Log
	}
	return hop
}

// name is what texts call t as a jump host: its name, which an inventory or
// ssh_config explains, or the address and any port but the usual one.
func (t *Target) name() string {
	switch {
	case t.Name != "" && t.Name != t.Address:
		return t.Name
	case t.port() != 22:
		return t.addr()
	}
	return t.Address
}

// dialBehind dials a target that has jump hosts. The time for that begins when
// the last of them is connected. A jump host whose connection turns out to be
// dead before the target was asked for is connected anew, once.
func dialBehind(ctx context.Context, t Target, pass gate) (*Conn, error) {
	hop := t.lastHop()
	lease := t.hops
	if lease == nil {
		lease = ownHop
	}
	for n := 1; ; n++ {
		conn, release, err := lease(ctx, hop)
		if err != nil {
			return nil, hop.failed(err)
		}
		p := &passage{hop: &hop, conn: conn, release: release}
		t.DialContext, t.pace = p.dial, hop.paceKey()+" > "+t.addr()
		c, err := dialAs(ctx, t, pass)
		if !p.taken {
			release()
		}
		if n == 1 && p.lost && ctx.Err() == nil {
			continue
		}
		return c, err
	}
}

// ownHop dials a jump host for one target alone.
func ownHop(ctx context.Context, hop Target) (*Conn, func(), error) {
	c, err := dial(ctx, hop, nil)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close() }, nil
}

// paceKey tells daemons apart that are reached in different ways. An address that
// a proxy command reaches, as localhost in a container, is that of other hosts, too.
func (t *Target) paceKey() string {
	switch {
	case t.pace != "":
		return t.pace
	case len(t.Jump) > 0:
		hop := t.lastHop()
		return hop.paceKey() + " > " + t.addr()
	case t.ProxyCommand != "":
		return t.ProxyCommand + "\x00" + t.addr()
	}
	return t.addr()
}

// daemonOf is what texts have of such a key: addresses, and no command, which may
// hold a secret.
func daemonOf(key string) string { return key[strings.LastIndexByte(key, 0)+1:] }

// nearest is the first host on the way to t, to which we connect by ourselves.
func (t *Target) nearest() *Target {
	for len(t.Jump) > 0 {
		t = &t.Jump[0]
	}
	return t
}

// passage is the way of one target through its jump host.
type passage struct {
	hop     *Target
	conn    *Conn
	release func()
	taken   bool // release is called when the transport is closed
	lost    bool // the jump host was gone before the target was asked for
}

// dial makes the transport; it is a Target's DialContext.
func (p *passage) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	silent := p.watch(ctx)
	s, err := p.conn.dialStream(ctx, network, addr)
	dead := silent()
	if err == nil {
		over := s.over
		s.over = func() {
			over()
			p.release()
		}
		s.why = p.why
		p.taken = true
		return s, nil
	}
	var e *Error
	switch {
	case dead:
		p.conn.retire() // others are not to find out by themselves
		return nil, p.hop.failed(&Error{Kind: KindTimeout, Stage: StageTCP, Err: ctx.Err(), Text: "no answer"})
	case ctx.Err() != nil && p.conn.usable():
		return nil, ctx.Err() // the dialer knows which limit it was
	case !errors.As(err, &e):
		return nil, err
	case e.Kind == KindConnLost:
		p.lost = true
		return nil, p.hop.failed(e)
	case e.Stage == StageChannel: // about the jump host itself
		return nil, p.hop.failed(e)
	}
	seen := *e
	seen.Op, seen.Text = opDial, e.Text+", as seen from jump host "+p.hop.name()
	return nil, &seen
}

// watch asks the jump host for a sign of life when half of the time for the
// target has gone by in silence: it is the target that does not answer if the
// jump host does. What it gives tells, after the target's time, whether the jump
// host was as silent.
func (p *passage) watch(ctx context.Context) (silent func() bool) {
	until, ok := ctx.Deadline()
	if !ok {
		return func() bool { return false }
	}
	began := time.Now()
	var asked atomic.Bool
	half := time.AfterFunc(until.Sub(began)/2, func() {
		asked.Store(true)
		p.conn.ask()
	})
	return func() bool {
		half.Stop()
		return asked.Load() && errors.Is(ctx.Err(), context.DeadlineExceeded) && p.conn.wire.silence() >= time.Since(began)
	}
}

// why tells whether a stream ended because the jump host's connection did.
func (p *passage) why() error {
	err := p.conn.why()
	var e *Error
	if errors.As(err, &e) {
		return p.hop.failed(e)
	}
	return err
}

// failed is what the trouble of jump host t means for those behind it.
func (t *Target) failed(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: KindInternal, Err: err, Text: err.Error()}
	}
	f := *e
	f.Op, f.Attempts, f.untried, f.Err = opDial, 0, true, err
	if !e.hop && e.Kind != KindCanceled {
		f.below, f.hop, f.Text = true, true, "jump host "+t.name()+": "+e.Text
	}
	return &f
}

// jumpPause is for how long a jump host that could not be connected to is not
// tried again: all that ask meanwhile get the same answer.
const jumpPause = 30 * time.Second

// badHop is the answer for a jump host that could not be connected to.
type badHop struct {
	err   error
	until time.Time
}

// leaseHop is the lessor of a pool.
func (p *Pool) leaseHop(ctx context.Context, hop Target) (*Conn, func(), error) {
	key := hop.poolKey()
	if err := p.hopDown(key); err != nil {
		return nil, nil, err
	}
	e, err := p.lease(ctx, hop)
	if err != nil {
		p.noteHop(ctx, key, err)
		return nil, nil, err
	}
	return e.conn, func() { p.release(e, p.cfg.IdleTimeout) }, nil
}

// hopDown is the error of a jump host that was tried just now.
func (p *Pool) hopDown(key poolKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	bad, ok := p.down[key]
	if !ok {
		return nil
	}
	if time.Now().Before(bad.until) {
		return bad.err
	}
	delete(p.down, key)
	return nil
}

// noteHop keeps the answer of a jump host for those who ask next.
func (p *Pool) noteHop(ctx context.Context, key poolKey, err error) {
	var e *Error
	if ctx.Err() != nil || errors.As(err, &e) && e.Kind == KindCanceled {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.down[key]; !ok && !p.closed {
		p.down[key] = badHop{err, time.Now().Add(jumpPause)}
	}
}
