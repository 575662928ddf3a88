package sshpool

import (
	"fmt"
	"sync"
	"time"
)

// keepaliveRequest is what ssh(1) sends for ServerAliveInterval; any answer
// will do, also a refusal.
const keepaliveRequest = "keepalive@openssh.com"

// keepalive finds a dead peer. It costs a timer and no goroutine, and does not
// depend on a write to come through: any byte from the peer counts as life.
type keepalive struct {
	c        *Conn
	interval time.Duration // between requests, in silence
	limit    time.Duration // of silence

	mu      sync.Mutex
	timer   *time.Timer
	due     time.Time // when the timer should fire
	stopped bool
	asking  bool
}

func startKeepalive(c *Conn, interval time.Duration, count int) *keepalive {
	if interval == 0 {
		interval = DefaultKeepaliveInterval
	}
	if count == 0 {
		count = DefaultKeepaliveCount
	}
	k := &keepalive{c: c, interval: interval, limit: interval * time.Duration(count)}
	if interval < 0 || count < 0 {
		k.stopped = true
		return k
	}
	if count == 1 { // else the first request would come when it is too late
		k.interval = interval / 2
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = time.Now().Add(k.interval)
	k.timer = time.AfterFunc(k.interval, k.check)
	return k
}

// maxTimerDelay is how late a timer may be before it is this process, and not
// the peer, that was stopped for a while.
const maxTimerDelay = time.Second

// check runs when there may have been an interval of silence.
func (k *keepalive) check() {
	k.mu.Lock()
	stalled := time.Since(k.due) > maxTimerDelay
	k.mu.Unlock()
	if stalled || k.c.wire.stock.holds() { // what came meanwhile has not been read yet
		k.c.wire.hear()
	}
	silent := k.c.wire.silence()
	if silent >= k.limit {
		k.c.kill(&Error{Kind: KindConnLost, Text: fmt.Sprintf("connection lost: no answer for %v", k.limit)})
		return
	}
	wait := k.interval - silent
	ask := wait <= 0
	if ask {
		wait = min(k.interval, k.limit-silent)
	}
	k.mu.Lock()
	if k.stopped {
		k.mu.Unlock()
		return
	}
	k.due = time.Now().Add(wait)
	k.timer.Reset(wait)
	ask = ask && !k.asking
	k.asking = k.asking || ask
	k.mu.Unlock()
	if !ask {
		return
	}
	k.c.ssh.SendRequest(keepaliveRequest, true, nil) // may block until the connection is closed
	k.mu.Lock()
	k.asking = false
	k.mu.Unlock()
}

func (k *keepalive) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	if k.timer != nil {
		k.timer.Stop()
	}
}
