package sshpool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sessionSlots counts the sessions open on one connection. A host says how many
// it allows (sshd_config(5), MaxSessions) only by refusing one; from then on
// the others wait for their turn.
type sessionSlots struct {
	mu      sync.Mutex
	open    int  // sessions open or being opened
	limit   int  // 0 while unknown
	worked  bool // one was opened
	waiting []chan struct{}
}

// take waits for a slot; ended is closed with the connection.
func (s *sessionSlots) take(ctx context.Context, ended <-chan struct{}) bool {
	s.mu.Lock()
	if len(s.waiting) == 0 && (s.limit == 0 || s.open < s.limit) {
		s.open++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	case <-ended:
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, turn)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // the turn came at the same moment
		s.give()
	}
	return false
}

// full tells whether a session would have to wait for its turn.
func (s *sessionSlots) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) > 0 || s.limit > 0 && s.open >= s.limit
}

// give returns a slot.
func (s *sessionSlots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.wake()
}

func (s *sessionSlots) wake() {
	for len(s.waiting) > 0 && (s.limit == 0 || s.open < s.limit) {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		s.open++
	}
}

// opened notes that a session was opened.
func (s *sessionSlots) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worked = true
}

// refused returns the slot of a session that the host refused and tells what
// to make of it: others hold sessions, so that a wait for one of them helps;
// or sessions have worked before.
func (s *sessionSlots) refused() (others, worked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if others = s.open > 0; others {
		s.limit = s.open
	}
	s.wake()
	return others, s.worked
}

// opening is a channel that has been asked for.
type opening struct {
	done chan struct{} // closed with the fields below set
	ch   ssh.Channel
	reqs <-chan *ssh.Request
	err  error

	taken chan struct{} // of the session opened ahead: closed when it is to be used
	over  bool          // it ended before that
}

// channel asks for a channel and waits for the answer. Of a connection that is
// over nothing is asked: the library may take the request and wait for ever. Who
// asks in the moment of its end looks at done as well.
func (c *Conn) channel(kind string, payload []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	if err := c.Err(); err != nil {
		return nil, nil, err
	}
	return c.ssh.OpenChannel(kind, payload)
}

// open asks for a session channel; the caller holds a slot for it. With taken
// it is not to be used before that is closed.
func (c *Conn) open(taken chan struct{}) *opening {
	o := &opening{done: make(chan struct{}), taken: taken}
	c.wire.stock.other(1)
	go func() {
		defer close(o.done)
		o.ch, o.reqs, o.err = c.channel("session", nil)
		c.wire.quick.Store(false)
		c.wire.stock.other(-1)
		if o.err == nil && taken != nil {
			o.rest()
			o.over = o.ended()
		}
	}()
	return o
}

// rest answers the host's requests until the session opened ahead is taken: sshd
// asks for signs of life on any open channel (sshd_config(5),
// ClientAliveInterval), and a connection on which requests are left unread comes
// to a halt.
func (o *opening) rest() {
	for {
		select {
		case r, ok := <-o.reqs:
			if !ok {
				return
			}
			r.Reply(false, nil)
		case <-o.taken:
			return
		}
	}
}

// ended tells whether the host has closed the channel; what it had asked for is
// refused.
func (o *opening) ended() bool {
	for {
		select {
		case r, ok := <-o.reqs:
			if !ok {
				return true
			}
			r.Reply(false, nil)
		default:
			return false
		}
	}
}

// abandon lets go of a channel that nobody waits for any more, whenever it comes.
func (c *Conn) abandon(o *opening) {
	go func() {
		<-o.done
		if o.err == nil {
			o.ch.Close()
			ssh.DiscardRequests(o.reqs)
		}
		c.slots.give()
	}()
}

// takeFirst gives the session opened ahead, once.
func (c *Conn) takeFirst() *opening {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.first
	if c.first = nil; o != nil {
		close(o.taken)
	}
	return o
}

// Waits between attempts to open a session on a host that allowed some before
// and has not yet noticed that they ended.
const (
	minSessionRetry = 20 * time.Millisecond
	maxSessionRetry = time.Second
)

// session gives an open session channel, waiting for a turn where the host
// allows no more at once. The slot is to be given back when reqs is closed.
func (c *Conn) session(ctx context.Context) (*opening, error) { return c.sessionOr(ctx, true) }

// sessionOr is session, which where it may not wait for one that others hold
// fails with KindSessionLimit.
func (c *Conn) sessionOr(ctx context.Context, wait bool) (*opening, error) {
	retry := minSessionRetry
	var giveUp time.Time
	o := c.takeFirst()
	for {
		if o == nil {
			if !wait && c.slots.full() {
				return nil, &Error{Op: opExec, Kind: KindSessionLimit, Stage: StageChannel, Text: "no session free"}
			}
			if !c.slots.take(ctx, c.done) {
				return nil, c.noSession(ctx)
			}
			o = c.open(nil)
		}
		if err := c.await(ctx, o); err != nil {
			return nil, err
		}
		switch {
		case o.over: // closed before anything was asked of it
			c.slots.give()
			o = nil
			continue
		case o.err == nil:
			c.slots.opened()
			return o, nil
		}
		var refusal *ssh.OpenChannelError
		if !errors.As(o.err, &refusal) {
			c.slots.give()
			return nil, c.lost(ctx, StageChannel)
		}
		others, worked := c.slots.refused()
		o = nil
		if others {
			continue
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(c.limits.Channel)
		}
		if !worked || time.Now().After(giveUp) {
			return nil, &Error{Op: opExec, Kind: KindSessionLimit, Stage: StageChannel, Err: refusal,
				Text: "session refused: " + excerpt([]byte(refusal.Message))}
		}
		if !c.pause(ctx, retry) {
			return nil, c.noSession(ctx)
		}
		retry = min(2*retry, maxSessionRetry)
	}
}

// await waits for the answer to an opening.
func (c *Conn) await(ctx context.Context, o *opening) error {
	select {
	case <-o.done:
		return nil
	default:
	}
	limit := newLimit(c.limits.Channel)
	defer limit.stop()
	select {
	case <-o.done:
		return nil
	case <-c.done:
		c.abandon(o)
		return c.lost(ctx, StageChannel)
	case <-ctx.Done():
		c.abandon(o)
		return canceledError(ctx, opExec, StageChannel)
	case <-limit.c:
		c.abandon(o)
		c.retire()
		return timeoutError(opExec, StageChannel, c.limits.Channel)
	}
}

func (c *Conn) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.done:
	}
	return false
}

// noSession is the error of a wait that ended without a session.
func (c *Conn) noSession(ctx context.Context) error {
	if ctx.Err() != nil {
		return canceledError(ctx, opExec, StageChannel)
	}
	return c.lost(ctx, StageChannel)
}

// lost is the error of a connection that is over; it waits until that is settled.
func (c *Conn) lost(ctx context.Context, stage Stage) *Error {
	select {
	case <-c.done:
	case <-ctx.Done():
		return canceledError(ctx, opExec, stage)
	}
	e := &Error{Op: opExec, Kind: KindConnLost, Stage: stage, Err: c.Err(), Text: "connection lost"}
	var why *Error
	if errors.As(e.Err, &why) {
		e.Text = why.Text
	} else if errors.Is(e.Err, ErrClosed) {
		e.Text = "connection closed"
	}
	return e
}

// limit is a timer that may be absent.
type limit struct {
	c     <-chan time.Time
	timer *time.Timer
}

func newLimit(d time.Duration) limit {
	if d <= 0 {
		return limit{}
	}
	t := time.NewTimer(d)
	return limit{t.C, t}
}

func (l limit) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}
