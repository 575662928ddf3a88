package sshpool

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Dial connects to t, checks its host key and logs in. It makes one attempt;
// Pool repeats where that is right. Errors are of type *Error. The Conn is
// the caller's to close; ctx ends the dialling only.
func Dial(ctx context.Context, t Target) (*Conn, error) {
	return dial(ctx, t, nil)
}

// gate lets a dial begin with TCP, and is told how it ended. Its key is the
// address of the daemon: IP and port where known.
type gate func(ctx context.Context, key string) (leave func(error), err error)

// dialer is one dial under way.
type dialer struct {
	ctx   context.Context
	t     *Target
	stage Stage
	limit time.Duration // of the stage, for the text
	end   time.Time     // of Total; zero is none
	until time.Time     // of the stage; zero is none
	wire  *wire
	auth  authTrace

	facts    Facts     // so far
	lapped   time.Time // up to when they count the stages' times
	trying   string    // the method of the login under way
	offering string    // the key offered last
}

func dial(ctx context.Context, t Target, pass gate) (*Conn, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	t.Limits = t.Limits.withDefaults()
	if ctx.Err() != nil {
		return nil, canceledError(ctx, opDial, StageTCP)
	}
	if len(t.Jump) > 0 {
		return dialBehind(ctx, t, pass)
	}
	if t.ProxyCommand != "" {
		t.DialContext = startProxy(t.ProxyCommand)
	}
	return dialAs(ctx, t, pass)
}

// dialAs dials, by t.DialContext where that is set.
func dialAs(ctx context.Context, t Target, pass gate) (*Conn, error) {
	facts := Facts{KnownAs: t.knownAs()}
	key := t.paceKey()
	if t.DialContext == nil {
		var err error
		began := time.Now()
		facts.Addresses, err = resolve(ctx, &t)
		if facts.DNS = time.Since(began); err != nil {
			return nil, facts.with(err)
		}
		key = facts.Addresses[0].String()
	}
	if pass == nil {
		pass = func(context.Context, string) (func(error), error) { return func(error) {}, nil }
	}
	leave, err := pass(ctx, key)
	if err != nil {
		return nil, err
	}
	c, err := dialAddrs(ctx, &t, facts)
	leave(err)
	t.note(daemonOf(key), c, err)
	return c, err
}

// note logs how a dial ended.
func (t *Target) note(to string, c *Conn, err error) {
	if t.Log == nil {
		return
	}
	if err != nil {
		t.Log.Debug("dial", "address", t.addr(), "to", to, "user", t.User, "error", err)
		return
	}
	algo := c.Algorithms()
	t.Log.Debug("dial", "address", t.addr(), "to", to, "user", t.User, "took", c.Took(),
		"version", excerpt(c.ssh.ServerVersion()), "kex", algo.KeyExchange, "hostkey", algo.HostKey, "cipher", algo.Write.Cipher)
}

// dialAddrs does all that comes after the name lookup.
func dialAddrs(ctx context.Context, t *Target, facts Facts) (c *Conn, err error) {
	d := &dialer{ctx: ctx, t: t, facts: facts}
	defer func() {
		if v := recover(); v != nil { // of a hook, a prompt or a malformed peer
			c, err = nil, panicError(opDial, d.stage, v)
			if d.wire != nil {
				d.wire.Close()
			}
		}
	}()
	began := time.Now()
	if t.Limits.Total > 0 {
		d.end = began.Add(t.Limits.Total)
	}
	nc, err := d.tcp(facts.Addresses)
	if err != nil {
		return nil, d.found(false).with(err)
	}
	d.wire = newWire(nc)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	c, err = d.login()
	if !stop() && err == nil {
		c.Close()
		err = canceledError(ctx, opDial, d.stage)
	}
	if err != nil {
		nc.Close()
		return nil, d.found(false).with(err)
	}
	c.took, c.facts, c.loginKey = time.Since(began), d.found(true), d.auth.lastKey
	return c, nil
}

// tcp makes the transport.
func (d *dialer) tcp(addrs []netip.AddrPort) (net.Conn, error) {
	d.enter(StageTCP, d.t.Limits.TCP)
	ctx := d.ctx
	if !d.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.until)
		defer cancel()
	}
	var nc net.Conn
	var err error
	if hook := d.t.DialContext; hook != nil {
		nc, err = hook(ctx, "tcp", d.t.addr())
	} else {
		nc, err = connect(ctx, addrs, d.t.BindAddress)
	}
	if err == nil {
		return nc, nil
	}
	var typed *Error
	if errors.As(err, &typed) && d.ctx.Err() == nil {
		return nil, typed // a hook that knows better
	}
	if errors.Is(err, syscall.ECONNRESET) { // accepted, and reset before we looked
		d.stage = StageBanner
		return nil, d.bannerError(err)
	}
	return nil, d.fail(err)
}

// enter begins a stage with its own limit, within what remains of Total.
func (d *dialer) enter(stage Stage, limit time.Duration) {
	d.lap()
	d.stage, d.limit, d.until = stage, d.t.Limits.Total, d.end
	if limit > 0 {
		if own := time.Now().Add(limit); d.end.IsZero() || own.Before(d.end) {
			d.limit, d.until = limit, own
		}
	}
	if d.wire != nil {
		d.wire.SetDeadline(d.until)
	}
}

// fail types an error of the network in the current stage.
func (d *dialer) fail(err error) *Error {
	var timeout net.Error
	switch {
	case d.ctx.Err() != nil:
		return canceledError(d.ctx, opDial, d.stage)
	case errors.Is(err, context.DeadlineExceeded),
		!d.until.IsZero() && !time.Now().Before(d.until),
		errors.As(err, &timeout) && timeout.Timeout() && !d.until.IsZero():
		return timeoutError(opDial, d.stage, d.limit)
	}
	return networkError(opDial, d.stage, err)
}
