package sshpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// pacer lets handshakes begin: so many in all, and so many to one daemon. The
// second number starts small, grows by one with each login that worked, and is
// halved when the daemon shows that it has enough (additive increase,
// multiplicative decrease). A daemon that refuses logins is left alone before it
// bans this client for them.
type pacer struct {
	backOff  time.Duration // after the first throttle sign
	refusals int           // logins that one daemon may refuse in a row; negative for any number

	mu    sync.Mutex
	all   queue
	each  int // most per address
	addrs map[string]*daemon
}

// daemon is what is known about one address and port.
type daemon struct {
	queue
	strikes int       // throttle signs in a row
	after   time.Time // no attempt before
	refused int       // logins refused in a row
	shut    time.Time // no login before, as too many were refused
}

// queue lets limit holders in at a time, first come first served.
type queue struct {
	limit, in int
	waiting   []chan struct{}
}

func newPacer(all, each int) *pacer {
	return &pacer{backOff: minThrottleWait, refusals: maxRefusals, all: queue{limit: all}, each: each, addrs: make(map[string]*daemon)}
}

// minThrottleWait is the least time between attempts at a host that has said it
// takes no more.
const minThrottleWait = 15 * time.Second

// An unknown daemon gets firstHandshakes at once, and no more than maxRefusals
// logins that it refuses: sshd from 9.8 on bans an address for 15 s worth of
// penalties, each refused login counts 5 s, and time takes them away again
// (sshd_config(5), PerSourcePenalties).
const (
	firstHandshakes = 2
	maxRefusals     = 2
	refusalTime     = time.Minute
)

// enter waits until a handshake with the daemon at key may begin; see gate.
func (p *pacer) enter(ctx context.Context, key string) (func(error), error) {
	p.mu.Lock()
	d := p.addrs[key]
	if d == nil {
		d = &daemon{queue: queue{limit: p.first()}}
		p.addrs[key] = d
	}
	defer p.mu.Unlock()
	if err := p.pass(ctx, &d.queue); err != nil {
		p.forget(key, d)
		return nil, err
	}
	err := d.early()
	if err == nil {
		err = p.pass(ctx, &p.all)
		if err == nil {
			if err = d.early(); err != nil { // by what others met meanwhile
				p.all.leave()
			}
		}
	}
	if err != nil {
		d.leave()
		p.forget(key, d)
		return nil, err
	}
	return func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.learn(d, err)
		d.leave()
		p.all.leave()
		p.forget(key, d)
	}, nil
}

func (p *pacer) first() int { return min(firstHandshakes, p.each) }

// early is the error of an attempt at a daemon that wants to be left alone.
func (d *daemon) early() error {
	switch {
	case !d.after.IsZero() && time.Now().Before(d.after):
		return &Error{Op: opDial, Kind: KindThrottled, Stage: StageTCP, after: d.after,
			Text: "throttled: not tried again yet"}
	case !d.shut.IsZero() && time.Now().Before(d.shut):
		return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, untried: true,
			Text: "not tried: logins to this address were refused just now"}
	}
	return nil
}

// pass waits for a place in q. p.mu is held before and after, not meanwhile.
func (p *pacer) pass(ctx context.Context, q *queue) error {
	if q.in < q.limit {
		q.in++
		return nil
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		p.mu.Lock()
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	if i := slices.Index(q.waiting, turn); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else {
		q.leave() // the turn came at the same moment
	}
	return canceledError(ctx, opDial, StageTCP)
}

// leave frees a place and lets the next in.
func (q *queue) leave() {
	q.in--
	for len(q.waiting) > 0 && q.in < q.limit {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
		q.in++
	}
}

// learn adapts a daemon's limit to how a handshake ended.
func (p *pacer) learn(d *daemon, err error) {
	var e *Error
	switch {
	case err == nil:
		d.limit = min(d.limit+1, p.each)
		d.strikes, d.after, d.refused = 0, time.Time{}, 0
	case !errors.As(err, &e):
	case e.Kind == KindAuth && e.untried:
	case e.Kind == KindAuth:
		d.limit = max(d.limit/2, 1)
		if d.refused++; p.refusals >= 0 && d.refused >= p.refusals {
			d.shut = time.Now().Add(refusalTime)
		}
	case e.Kind == KindThrottled:
		d.limit = max(d.limit/2, 1)
		d.strikes++
		d.after = time.Now().Add(jitter(p.backOff << min(d.strikes-1, 4)))
		e.after = d.after
	case e.Kind == KindRefused && e.Stage == StageBanner:
		d.limit = max(d.limit/2, 1)
	}
}

// forget drops what is known of a daemon when that is nothing.
func (p *pacer) forget(key string, d *daemon) {
	if d.in == 0 && len(d.waiting) == 0 && d.limit >= p.first() && d.after.IsZero() && d.refused == 0 {
		delete(p.addrs, key)
	}
}

// jitter is d and up to a quarter more, so that clients part.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/4)
}

// resetWait is the first wait after a connection that was dropped before the
// version line.
const resetWait = 15 * time.Millisecond

// retry tells whether and when to try again after the n-th attempt ended with
// e. Only what was dropped before it began is repeated: never a login, a host
// key or a key exchange.
func (p *pacer) retry(e *Error, n, most int) (time.Duration, bool) {
	if n >= most {
		return 0, false
	}
	switch {
	case e.Kind == KindRefused && e.Stage == StageBanner:
		return jitter(resetWait << (n - 1)), true
	case e.Kind == KindThrottled:
		return time.Until(e.after), true
	}
	return 0, false
}
