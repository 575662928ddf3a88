package sshpool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"fleet/scheduler"
)

// Poller carries out the ops of a scheduler over the connections of a pool. It
// is a [scheduler.Poller]: Submit, Cancel and Poll are called from one
// goroutine. Each op in flight has a goroutine, parked in the network poller.
type Poller struct {
	pool    *Pool
	resolve func(host string) (Target, error)
	stops   <-chan struct{}
	keep    time.Duration // for how long connections are left behind; negative: not at all
	before  func(ctx context.Context, host string) error
	ctx     context.Context
	cancel  context.CancelFunc
	ops     sync.WaitGroup
	timer   *time.Timer

	mu    sync.Mutex
	live  map[scheduler.ID]context.CancelCauseFunc
	hosts map[string]*hostConn
	done  []scheduler.Completion
	spare []scheduler.Completion // what the last Poll gave
	ready chan struct{}          // has a token when done is not empty
}

// hostConn is the connection that the ops of one host share.
type hostConn struct {
	mu    sync.Mutex
	lease *entry
}

// NewPoller gives a poller over pool. resolve gives the target of a host; it is
// called from many goroutines. Each receive from stops completes one Stop op.
func NewPoller(pool *Pool, resolve func(host string) (Target, error), stops <-chan struct{}) *Poller {
	p := &Poller{pool: pool, resolve: resolve, stops: stops, keep: -1,
		live:  make(map[scheduler.ID]context.CancelCauseFunc),
		hosts: make(map[string]*hostConn),
		ready: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Keep has the poller leave the connections of hosts that are done in the pool,
// each for d at most, for whoever wants them next; without it they are closed.
// It is called before the first Submit.
func (p *Poller) Keep(d time.Duration) { p.keep = d }

// Before has f called ahead of each op that may change something on a host, on
// that op's goroutine: the op is not carried out before f has returned, and not
// at all after an error, which is then the op's. It is called before the first
// Submit.
func (p *Poller) Before(f func(ctx context.Context, host string) error) { p.before = f }

// Submit starts op; see scheduler.Poller.
func (p *Poller) Submit(id scheduler.ID, host string, op scheduler.Op) {
	if _, ok := op.(scheduler.Release); ok {
		p.release(host)
		p.complete(scheduler.Completion{ID: id})
		return
	}
	ctx, cancel := context.WithCancelCause(p.ctx)
	p.mu.Lock()
	p.live[id] = cancel
	p.mu.Unlock()
	p.ops.Add(1)
	go p.run(ctx, id, host, op)
}

// Cancel asks the op to end early; see scheduler.Poller.
func (p *Poller) Cancel(id scheduler.ID) {
	p.mu.Lock()
	cancel := p.live[id]
	p.mu.Unlock()
	if cancel != nil {
		cancel(scheduler.ErrCanceled)
	}
}

// Poll waits for completions; see scheduler.Poller. They come in the order in
// which the ops ended.
func (p *Poller) Poll(until time.Time) (time.Time, []scheduler.Completion) {
	if done := p.take(); len(done) > 0 {
		return time.Now(), done
	}
	var late <-chan time.Time
	if !until.IsZero() {
		wait := time.Until(until)
		if wait <= 0 {
			return time.Now(), nil
		}
		p.timer.Reset(wait)
		late = p.timer.C
	}
	for {
		select {
		case <-p.ready:
			if done := p.take(); len(done) > 0 {
				p.timer.Stop()
				return time.Now(), done
			}
		case <-late:
			return time.Now(), p.take()
		}
	}
}

// Now is the time as Poll gives it; see scheduler.Clock.
func (p *Poller) Now() time.Time { return time.Now() }

// take gives all completions that are there.
func (p *Poller) take() []scheduler.Completion {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.done
	clear(p.spare)
	p.done, p.spare = p.spare[:0], done
	return done
}

// Close cancels all ops, waits for them to end, and returns the hosts'
// connections to the pool. The poller is not to be used afterwards.
func (p *Poller) Close() error {
	p.cancel()
	p.ops.Wait()
	for host := range p.hosts {
		p.release(host)
	}
	return nil
}

func (p *Poller) complete(c scheduler.Completion) {
	p.mu.Lock()
	delete(p.live, c.ID)
	p.done = append(p.done, c)
	p.mu.Unlock()
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// run carries out one op.
func (p *Poller) run(ctx context.Context, id scheduler.ID, host string, op scheduler.Op) {
	defer p.ops.Done()
	c := scheduler.Completion{ID: id}
	func() {
		defer func() {
			if v := recover(); v != nil {
				c.Err = internalError(scheduler.Failed, fmt.Errorf("panic: %v", v))
			}
		}()
		c.Value, c.Err = p.do(ctx, host, op)
	}()
	if c.Err != nil && ctx.Err() != nil && !errors.Is(c.Err, scheduler.ErrCanceled) {
		c.Err = canceled(c.Err)
	}
	p.mu.Lock()
	if cancel := p.live[id]; cancel != nil {
		cancel(nil)
	}
	p.mu.Unlock()
	p.complete(c)
}

func (p *Poller) do(ctx context.Context, host string, op scheduler.Op) (any, error) {
	switch op.(type) {
	case scheduler.Connect, scheduler.Stop:
	default:
		if p.before == nil {
			break
		}
		if err := p.before(ctx, host); err != nil {
			return nil, err
		}
	}
	switch op := op.(type) {
	case scheduler.Connect:
		return p.connect(ctx, host)
	case scheduler.Exec:
		return p.exec(ctx, host, op)
	case scheduler.Do:
		return nil, op.F(ctx)
	case scheduler.Use:
		return nil, p.use(ctx, host, op)
	case scheduler.Stop:
		select {
		case <-p.stops:
			return nil, nil
		case <-ctx.Done():
			return nil, scheduler.ErrCanceled
		}
	}
	return nil, internalError(scheduler.Failed, fmt.Errorf("unknown op %s", op))
}

// host gives the shared connection of a host's ops.
func (p *Poller) host(name string) *hostConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		h = &hostConn{}
		p.hosts[name] = h
	}
	return h
}

// lease gives a living connection to the host.
func (p *Poller) lease(ctx context.Context, host string) (*entry, bool, error) {
	h := p.host(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lease != nil {
		if h.lease.conn.usable() {
			return h.lease, false, nil
		}
		p.pool.release(h.lease, -1)
		h.lease = nil
	}
	t, err := p.resolve(host)
	if err != nil {
		return nil, false, err
	}
	h.lease, err = p.pool.lease(ctx, t)
	return h.lease, true, err
}

func (p *Poller) release(host string) {
	p.mu.Lock()
	h := p.hosts[host]
	delete(p.hosts, host)
	p.mu.Unlock()
	if h != nil && h.lease != nil {
		p.pool.release(h.lease, p.keep)
	}
}

// connect gets the host a connection. Attempts are those that it took to make,
// also where somebody else made it.
func (p *Poller) connect(ctx context.Context, host string) (any, error) {
	began := time.Now()
	l, _, err := p.lease(ctx, host)
	res := scheduler.ConnectResult{Took: time.Since(began)}
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			res.Attempts = e.Attempts
		}
		return res, outcome(err)
	}
	res.Attempts = l.attempts
	return res, nil
}

// exec runs one command. A connection that turns out to be dead before the
// command was sent is replaced, once.
func (p *Poller) exec(ctx context.Context, host string, op scheduler.Exec) (any, error) {
	for n := 1; ; n++ {
		l, fresh, err := p.lease(ctx, host)
		if err != nil {
			return scheduler.ExecResult{}, outcome(err)
		}
		t, err := p.resolve(host)
		if err != nil {
			return scheduler.ExecResult{}, outcome(err)
		}
		r, err := l.conn.Run(ctx, p.command(op, t))
		var e *Error
		if n == 1 && !fresh && errors.As(err, &e) && e.Kind == KindConnLost && !e.Sent {
			continue
		}
		return scheduler.ExecResult{ExitCode: r.ExitCode, HasExit: r.HasExit, Signal: r.Signal,
			StdoutBytes: r.StdoutBytes, StderrBytes: r.StderrBytes,
			Lingering: r.Lingering, Took: r.Took, Supervised: scheduler.Supervised(r.Supervised)}, outcome(err)
	}
}

// use lends the host's connection to a function.
func (p *Poller) use(ctx context.Context, host string, op scheduler.Use) error {
	for n := 1; ; n++ {
		l, fresh, err := p.lease(ctx, host)
		if err != nil {
			return outcome(err)
		}
		err = op.F(ctx, l.conn)
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		if n == 1 && !fresh && e.Kind == KindConnLost && !e.Sent {
			continue
		}
		var known *scheduler.Error
		if errors.As(err, &known) {
			return err
		}
		return outcome(err)
	}
}

// command is what an op asks of a connection.
func (p *Poller) command(op scheduler.Exec, t Target) Command {
	c := Command{Text: op.Command, Stdout: op.Stdout, Stderr: op.Stderr, OfferEnv: t.OfferEnv, leave: p.ctx.Done()}
	c.Stdin, c.Payload = op.Stdin, op.Payload
	if op.TTY {
		c.PTY = &PTY{Term: "xterm"}
	}
	if b := op.Become; b != nil {
		c.Become = &Become{Method: b.Method, User: b.User, Password: b.Password, Limit: b.Limit}
	}
	if !op.Raw {
		c.Supervise = &Supervision{KillAfter: op.KillAfter, KeepRunning: op.KeepRunning, Shell: op.Shell, Dir: op.Dir}
	}
	return c
}

// outcome says what an error means for its host.
func outcome(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return unresolved(err)
	}
	s := &scheduler.Error{Outcome: scheduler.Unreachable, Err: err,
		Cause: scheduler.Cause{Kind: scheduler.Kind(e.Kind), Stage: scheduler.Stage(e.Stage), Text: e.Text}}
	switch {
	case e.Kind == KindCanceled:
		s.Err = scheduler.ErrCanceled
		if e.Sent {
			s.Outcome = scheduler.Canceled
		}
	case e.Sent && (e.Kind == KindConnLost || e.Kind == KindTimeout):
		s.Outcome = scheduler.Lost // gone, or never answered: the command may have run
	case e.Sent, e.Kind == KindPermission && e.Op == opExec: // not of a jump host
		s.Outcome = scheduler.Failed
	}
	return s
}

// canceled is the outcome of an op that ended as its context did.
func canceled(err error) error {
	return &scheduler.Error{Outcome: scheduler.Canceled, Err: scheduler.ErrCanceled,
		Cause: scheduler.Cause{Kind: scheduler.KindCanceled, Text: err.Error()}}
}

// unresolved is the outcome of a host that has no target; the caller may know
// it better.
func unresolved(err error) error {
	var known *scheduler.Error
	if errors.As(err, &known) {
		return err
	}
	return internalError(scheduler.Unreachable, err)
}

// internalError is the outcome of a fault on our side.
func internalError(o scheduler.Outcome, err error) error {
	return &scheduler.Error{Outcome: o, Err: err,
		Cause: scheduler.Cause{Kind: scheduler.KindInternal, Text: err.Error()}}
}
