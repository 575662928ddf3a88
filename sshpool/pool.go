package sshpool

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"time"
)

// PoolConfig sets a Pool's limits. Zero fields mean the defaults.
type PoolConfig struct {
	MaxHandshakes int // connections being made at once; default 1024
	MaxPerAddress int // of those, to one address and port; default 8
	MaxLookups    int // name lookups at once; default 64
	MaxAttempts   int // attempts at one connection, where a repeat is right; default 3
	// MaxAuthFailures is how many logins in a row may be refused before no more
	// are tried by this pool, on any host; default 20. One address and port may
	// refuse two, then it is left alone for a minute. Negative lifts both limits.
	MaxAuthFailures int
	IdleTimeout     time.Duration // how long an unused connection is kept; default 1 min, negative closes at once
	MaxIdle         int           // unused connections kept; one more is closed at once; 0 is no limit
	Resolver        Resolver      // default net.DefaultResolver
	Log             *slog.Logger  // default none
}

func (c PoolConfig) withDefaults() PoolConfig {
	def := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	def(&c.MaxHandshakes, 1024)
	def(&c.MaxPerAddress, 8)
	def(&c.MaxLookups, 64)
	def(&c.MaxAttempts, 3)
	def(&c.MaxAuthFailures, 20)
	if c.IdleTimeout == 0 {
		c.IdleTimeout = time.Minute
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return c
}

// Pool keeps one connection for each user, address and port, shared by all who
// ask for it. It makes connections no faster than hosts take them, repeats an
// attempt only where that cannot do harm, and stops logging in when login after
// login is refused, before hosts ban this client.
type Pool struct {
	cfg    PoolConfig
	pacer  *pacer
	logins breaker
	ctx    context.Context // of all dials; ends with the pool
	stop   context.CancelFunc

	mu      sync.Mutex
	closed  bool
	entries map[poolKey]*entry
	left    map[*entry]bool // replaced by others, but still in use
	idle    int             // entries that have their idle timer running
	down    map[poolKey]badHop
	dials   sync.WaitGroup
}

// poolKey tells connections apart. Other credentials are another connection,
// also for the same user.
type poolKey struct {
	addr, user string
	auth       *Auth
	hostKeys   HostKeyChecker
	known      string // the name its key is looked up under
	bind       string // own address
	proxy      string
	via        any // the poolKey of the jump host, or nil
}

func (t *Target) poolKey() poolKey {
	k := poolKey{t.addr(), t.User, t.Auth, t.HostKeys, t.knownAs(), t.BindAddress, t.ProxyCommand, nil}
	if len(t.Jump) > 0 {
		hop := t.lastHop()
		k.via = hop.poolKey()
	}
	return k
}

// comparable tells whether t, with its jump hosts, has a poolKey.
func (t *Target) comparable() bool {
	for i := range t.Jump {
		if !t.Jump[i].comparable() {
			return false
		}
	}
	return reflect.ValueOf(t.HostKeys).Comparable()
}

// entry is one connection of a pool, or the dial that makes it.
type entry struct {
	key      poolKey
	ready    chan struct{} // closed when conn or err is set
	conn     *Conn
	err      error
	attempts int
	users    int // who hold it or wait for it
	cancel   context.CancelFunc
	idle     *time.Timer
}

// NewPool gives an empty pool. Close it when done.
func NewPool(cfg PoolConfig) *Pool {
	cfg = cfg.withDefaults()
	cfg.Resolver = LimitResolver(cfg.Resolver, cfg.MaxLookups)
	p := &Pool{cfg: cfg, pacer: newPacer(cfg.MaxHandshakes, cfg.MaxPerAddress),
		entries: make(map[poolKey]*entry), left: make(map[*entry]bool), down: make(map[poolKey]badHop)}
	p.logins.most = cfg.MaxAuthFailures
	if cfg.MaxAuthFailures < 0 {
		p.pacer.refusals = -1
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Get gives the connection to t, made now if there is none that lives. The
// caller calls release when done with it, once; the connection then stays for
// others until it was idle for the pool's time. Errors are as those of Dial.
func (p *Pool) Get(ctx context.Context, t Target) (conn *Conn, release func(), err error) {
	l, err := p.lease(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	var once sync.Once
	return l.conn, func() { once.Do(func() { p.release(l, p.cfg.IdleTimeout) }) }, nil
}

// lease gives the entry of a living connection to t, with one use added to it.
func (p *Pool) lease(ctx context.Context, t Target) (*entry, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if !t.comparable() {
		return nil, &Error{Op: opDial, Kind: KindInternal, Text: "host key checker of a type that cannot be compared: use a pointer"}
	}
	e, err := p.join(t)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		p.release(e, p.cfg.IdleTimeout)
		return nil, canceledError(ctx, opDial, StageTCP)
	}
	if e.err != nil {
		p.release(e, p.cfg.IdleTimeout)
		return nil, e.err
	}
	return e, nil
}

// join finds or makes the entry for t and adds one use to it.
func (p *Pool) join(t Target) (*entry, error) {
	key := t.poolKey()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, &Error{Op: opDial, Kind: KindInternal, Err: ErrClosed, Text: "pool closed"}
	}
	if e := p.entries[key]; e != nil {
		if e.conn == nil || e.conn.usable() {
			e.users++
			p.awake(e)
			return e, nil
		}
		p.awake(e)
		if delete(p.entries, key); e.users == 0 {
			p.drop(e)
		} else { // its last user closes it
			p.left[e] = true
		}
	}
	e := &entry{key: key, ready: make(chan struct{}), users: 1}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(p.ctx)
	p.entries[key] = e
	p.dials.Add(1)
	go p.dial(ctx, e, t)
	return e, nil
}

// awake takes an entry out of those that are idle; p.mu is held.
func (p *Pool) awake(e *entry) {
	if e.idle != nil {
		e.idle.Stop()
		e.idle = nil
		p.idle--
	}
}

// dial makes an entry's connection, for all who wait for it.
func (p *Pool) dial(ctx context.Context, e *entry, t Target) {
	defer p.dials.Done()
	defer e.cancel()
	if t.Resolver == nil {
		t.Resolver = p.cfg.Resolver
	}
	if t.Log == nil {
		t.Log = p.cfg.Log
	}
	conn, attempts, err := p.connect(ctx, t, p.pacer.enter)
	p.mu.Lock()
	e.conn, e.err, e.attempts = conn, err, attempts
	unwanted := conn != nil && (e.users == 0 || p.closed)
	if (err != nil || unwanted) && p.entries[e.key] == e {
		delete(p.entries, e.key)
	}
	p.mu.Unlock()
	close(e.ready)
	if unwanted {
		conn.Close()
	}
}

// release takes one use from an entry. The last one leaves the connection for
// keep, or closes it if keep is negative.
func (p *Pool) release(e *entry, keep time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	if e.conn == nil {
		if e.err == nil { // nobody waits for the dial any more
			e.cancel()
			if p.entries[e.key] == e {
				delete(p.entries, e.key)
			}
		}
		return
	}
	full := p.cfg.MaxIdle > 0 && p.idle >= p.cfg.MaxIdle
	if keep >= 0 && !full && p.entries[e.key] == e && e.conn.usable() {
		p.idle++
		e.idle = time.AfterFunc(keep, func() { p.expire(e) })
		return
	}
	p.drop(e)
}

// drop forgets an unused entry and closes its connection; p.mu is held.
func (p *Pool) drop(e *entry) {
	if p.entries[e.key] == e {
		delete(p.entries, e.key)
	}
	delete(p.left, e)
	if p.closed { // Close no longer waits for anything
		go e.conn.Close()
		return
	}
	p.dials.Add(1)
	go func() {
		defer p.dials.Done()
		e.conn.Close()
	}()
}

func (p *Pool) expire(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.users == 0 && e.idle != nil && p.entries[e.key] == e {
		p.awake(e)
		p.drop(e)
	}
}

// Close closes all connections, also those in use, and waits for dials under
// way to end.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	var conns []*Conn
	for key, e := range p.entries {
		if e.idle != nil {
			e.idle.Stop()
		}
		if e.conn != nil {
			conns = append(conns, e.conn)
		}
		delete(p.entries, key)
	}
	for e := range p.left {
		conns = append(conns, e.conn)
		delete(p.left, e)
	}
	p.mu.Unlock()
	p.stop()
	for _, c := range conns {
		c.Close()
	}
	p.dials.Wait()
	return nil
}

// connect dials, again where that is right, all within the target's Total and
// each time through pass.
func (p *Pool) connect(ctx context.Context, t Target, pass gate) (*Conn, int, error) {
	t.Limits = t.Limits.withDefaults()
	t.hops, t.logins = p.leaseHop, &p.logins
	total := t.Limits.Total
	var began time.Time // of the first attempt, once the pacer let it
	enter := func(ctx context.Context, key string) (func(error), error) {
		leave, err := pass(ctx, key)
		if began.IsZero() {
			began = time.Now()
		}
		return leave, err
	}
	for n := 1; ; n++ {
		if err := p.logins.check(); err != nil {
			return nil, n - 1, err
		}
		c, err := dial(ctx, t, enter)
		t.logAttempt(ctx, n, c, err)
		if err == nil {
			return c, n, nil
		}
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Op: opDial, Kind: KindInternal, Err: err, Text: err.Error()}
		}
		if e.below { // it has had its own attempts
			return nil, n - 1, e
		}
		e.Attempts = n
		wait, again := p.pacer.retry(e, n, cmp.Or(t.Attempts, p.cfg.MaxAttempts))
		if !again && n < t.Attempts && e.Kind == KindRefused && e.Stage == StageTCP {
			wait, again = time.Second, true
		}
		if !again || total > 0 && time.Since(began)+wait >= total {
			return nil, n, e
		}
		t.logWait(ctx, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, n, e
		}
		if total > 0 { // the wait may have been longer: a limit below zero would be none
			if t.Limits.Total = total - time.Since(began); t.Limits.Total <= 0 {
				return nil, n, e
			}
		}
	}
}
