package scheduler

import "time"

// SlowResume is how long a program may hold the loop between two ops before
// an event names it.
const SlowResume = 100 * time.Millisecond

// A Clock is a [Poller] that tells the time in between, on the same clock as
// Poll does. The loop reads it for one purpose: to name programs that hold it.
type Clock interface{ Now() time.Time }

// step lets a program run until it parks, and names it if that took long.
func (l *loop) step(r *Remote) (request, bool) {
	if l.clock == nil || l.dead {
		r.running = true
		req, parked := r.step()
		r.running = false
		return req, parked
	}
	from := l.time()
	r.running = true
	req, parked := r.step()
	r.running = false
	if took := l.time().Sub(from); took >= SlowResume {
		l.emit(Event{Kind: Slow, Host: r.host, Batch: r.batch, Gate: r.gate, Took: took})
	}
	return req, parked
}

func (l *loop) time() time.Time {
	l.outside = "poller"
	now := l.clock.Now()
	l.outside = ""
	return now
}
