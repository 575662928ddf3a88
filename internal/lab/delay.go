package lab

import (
	"net"
	"sync"
	"time"
)

// delayLine sends what is written to it later by a fixed time, at any rate and
// in order. The whole round-trip time is put on the way from host to client:
// requests arrive at once and every answer is late by one round trip, which
// a client cannot tell from half on each way. It takes no goroutine but while
// it sends.
type delayLine struct {
	to net.Conn
	by time.Duration

	mu      sync.Mutex
	room    sync.Cond // bytes fell under maxDelayed, or the line ended
	queue   []delayed
	bytes   int
	timer   *time.Timer
	pending bool // the timer runs or its function does
	closing bool
	err     error
	ended   chan struct{} // closed when nothing will be sent any more
}

type delayed struct {
	due  time.Time
	data []byte
}

// maxDelayed bounds what one connection holds: 64 MiB is more than 1 GB/s at
// 50 ms.
const maxDelayed = 64 << 20

func newDelayLine(to net.Conn, by time.Duration) *delayLine {
	d := &delayLine{to: to, by: by, ended: make(chan struct{})}
	d.room.L = &d.mu
	return d
}

func (d *delayLine) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.bytes >= maxDelayed && d.err == nil && !d.closing {
		d.room.Wait()
	}
	if d.err != nil {
		return 0, d.err
	}
	if d.closing {
		return 0, net.ErrClosed
	}
	d.queue = append(d.queue, delayed{time.Now().Add(d.by), append([]byte(nil), p...)})
	d.bytes += len(p)
	d.arm(d.by)
	return len(p), nil
}

// arm makes flush run after wait, unless it is due already.
func (d *delayLine) arm(wait time.Duration) {
	if d.pending {
		return
	}
	d.pending = true
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.flush)
	} else {
		d.timer.Reset(wait)
	}
}

// flush sends all that is due and arms the timer for the next.
func (d *delayLine) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) > 0 && d.err == nil {
		now := time.Now()
		if wait := d.queue[0].due.Sub(now); wait > 0 {
			d.pending = false
			d.arm(wait)
			return
		}
		var due net.Buffers
		n := 0
		for len(d.queue) > 0 && !d.queue[0].due.After(now) {
			due = append(due, d.queue[0].data)
			n += len(d.queue[0].data)
			d.queue = d.queue[1:]
		}
		d.mu.Unlock()
		_, err := due.WriteTo(d.to)
		d.mu.Lock()
		d.bytes -= n
		if err != nil && d.err == nil {
			d.err = err
		}
		d.room.Broadcast()
	}
	d.pending = false
	if d.closing {
		d.finish()
	}
}

// finish is the end of a line that closes and has nothing left to send.
func (d *delayLine) finish() {
	select {
	case <-d.ended:
	default:
		d.queue = nil
		d.to.Close()
		close(d.ended)
	}
}

// close closes the connection behind the last byte written.
func (d *delayLine) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closing {
		d.closing = true
		d.room.Broadcast()
		d.arm(d.by)
	}
}

// kill drops what is not yet sent and closes the connection.
func (d *delayLine) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing, d.err = true, net.ErrClosed
	d.room.Broadcast()
	d.to.Close()
	if !d.pending || d.timer.Stop() {
		d.finish()
	}
}
