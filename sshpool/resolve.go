package sshpool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// limitedResolver holds at most a few lookups at once, counting also those
// that nobody waits for any more, as a resolver may ignore its context.
type limitedResolver struct {
	next  Resolver
	turns turns
}

// LimitResolver gives a Resolver that asks next for at most n names at a time.
// The wait for a turn ends with the context.
func LimitResolver(next Resolver, n int) Resolver {
	return &limitedResolver{next: next, turns: newTurns(n)}
}

func (r *limitedResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return r.lookup(ctx, network, host, 0)
}

// lookup is LookupNetIP within a limit of its own, which runs from the host's
// turn: waiting for names that are slow to look up is not this name's fault. A
// limit of 0 or less is none.
func (r *limitedResolver) lookup(ctx context.Context, network, host string, limit time.Duration) ([]netip.Addr, error) {
	if err := r.turns.take(ctx, limit); err != nil {
		return nil, err
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	type answer struct {
		addrs []netip.Addr
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				got <- answer{err: &Error{Op: opDial, Kind: KindInternal, Stage: StageDNS, Text: fmt.Sprintf("panic: %v", v)}}
			}
			r.turns.moved.Add(1)
			r.turns.give()
		}()
		addrs, err := r.next.LookupNetIP(ctx, network, host)
		got <- answer{addrs, err}
	}()
	select {
	case a := <-got:
		if a.err != nil && ctx.Err() != nil {
			return nil, ctx.Err() // whatever it says of that
		}
		return a.addrs, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// resolve gives the addresses of a target, best first.
func resolve(ctx context.Context, t *Target) ([]netip.AddrPort, error) {
	port := uint16(t.port())
	if ip, err := netip.ParseAddr(t.Address); err == nil {
		if !t.ofFamily(ip) {
			return nil, wrongFamily(t)
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip, port)}, nil
	}
	var next Resolver = net.DefaultResolver
	if t.Resolver != nil {
		next = t.Resolver
	}
	r, limited := next.(*limitedResolver)
	if !limited { // so that the limit holds whatever the resolver does
		r = &limitedResolver{next: next, turns: newTurns(1)}
	}
	limit := t.Limits.DNS
	network := map[string]string{"": "ip", "inet": "ip4", "inet6": "ip6"}[t.Family]
	ips, err := r.lookup(ctx, network, t.Address, limit)
	switch {
	case err == nil && len(ips) > 0:
	case ctx.Err() != nil:
		return nil, canceledError(ctx, opDial, StageDNS)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoTurn):
		return nil, timeoutError(opDial, StageDNS, limit)
	default:
		return nil, lookupError(err)
	}
	addrs := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		if t.ofFamily(ip) {
			addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), port))
		}
	}
	if len(addrs) == 0 {
		return nil, wrongFamily(t)
	}
	return addrs, nil
}

// ofFamily says whether an address is of the family asked for.
func (t *Target) ofFamily(ip netip.Addr) bool {
	return t.Family == "" || (t.Family == "inet") == ip.Unmap().Is4()
}

func wrongFamily(t *Target) *Error {
	return &Error{Op: opDial, Kind: KindDNS, Stage: StageDNS, Text: "no address of the family " + t.Family}
}

func lookupError(err error) *Error {
	e := &Error{Op: opDial, Kind: KindDNS, Stage: StageDNS, Err: err, Text: "no such host"}
	var dns *net.DNSError
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return typed
	case err == nil:
		e.Text = "name has no address"
	case errors.As(err, &dns) && dns.IsTimeout:
		e.Kind, e.Text = KindTimeout, "timeout in dns"
	case errors.As(err, &dns) && !dns.IsNotFound:
		e.Text = "name lookup: " + dns.Err
	case !errors.As(err, &dns):
		e.Text = "name lookup: " + excerpt([]byte(err.Error()))
	}
	return e
}

// attemptDelay is how long one address of a name has before the next is tried
// beside it (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// connect makes the TCP connection to the first address that answers.
func connect(ctx context.Context, addrs []netip.AddrPort, bind string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1} // the connection has a keepalive of its own
	if bind != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(bind)}
	}
	if len(addrs) == 1 {
		return d.DialContext(ctx, "tcp", addrs[0].String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		conn net.Conn
		err  error
	}
	got := make(chan answer, len(addrs))
	var first error
	started, failed := 0, 0
	next := time.NewTimer(0)
	defer next.Stop()
	for failed < len(addrs) {
		select {
		case <-next.C:
			if started == len(addrs) {
				continue
			}
			addr := addrs[started].String()
			started++
			next.Reset(attemptDelay)
			go func() {
				c, err := d.DialContext(ctx, "tcp", addr)
				got <- answer{c, err}
			}()
		case a := <-got:
			if a.err != nil {
				failed++
				first = cmpErr(first, a.err)
				next.Reset(0)
				continue
			}
			go func() { // close the losers
				cancel()
				for range started - failed - 1 {
					if l := <-got; l.conn != nil {
						l.conn.Close()
					}
				}
			}()
			return a.conn, nil
		}
	}
	return nil, first
}

// cmpErr is a, or b where a is nil.
func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
