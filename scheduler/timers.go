package scheduler

import "time"

// timerKind is what the loop does when a timer fires.
type timerKind uint8

const (
	opLimit timerKind = iota
	sleepEnd
	hostLimit
	hostGrace
	runDeadline
	runGrace
	startDue
	stragglerDue
)

// timer is embedded where it is needed, so that setting one allocates nothing.
type timer struct {
	kind timerKind
	r    *Remote // nil for timers of the run
	at   time.Time
	seq  uint64
	slot int // place in the heap, from 1; 0 while not set
}

// timers is a binary heap by time, then by the order of setting.
type timers struct {
	heap []*timer
	seq  uint64
}

// set arms t for at, anew if it is armed.
func (ts *timers) set(t *timer, kind timerKind, r *Remote, at time.Time) {
	ts.clear(t)
	ts.seq++
	t.kind, t.r, t.at, t.seq = kind, r, at, ts.seq
	ts.heap = append(ts.heap, t)
	t.slot = len(ts.heap)
	ts.up(t.slot - 1)
}

// clear disarms t, if it is armed.
func (ts *timers) clear(t *timer) {
	if t.slot == 0 {
		return
	}
	i, last := t.slot-1, len(ts.heap)-1
	ts.swap(i, last)
	ts.heap[last] = nil
	ts.heap = ts.heap[:last]
	t.slot = 0
	if i < last {
		ts.down(i)
		ts.up(i)
	}
}

// next is the time of the earliest timer; zero if there is none.
func (ts *timers) next() time.Time {
	if len(ts.heap) == 0 {
		return time.Time{}
	}
	return ts.heap[0].at
}

// pop disarms and returns the earliest timer that is due at now and was set no
// later than the one numbered seq; nil if there is none.
func (ts *timers) pop(now time.Time, seq uint64) *timer {
	if len(ts.heap) == 0 {
		return nil
	}
	t := ts.heap[0]
	if t.at.After(now) || t.seq > seq {
		return nil
	}
	ts.clear(t)
	return t
}

func (ts *timers) less(i, j int) bool {
	a, b := ts.heap[i], ts.heap[j]
	if c := a.at.Compare(b.at); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}

func (ts *timers) swap(i, j int) {
	ts.heap[i], ts.heap[j] = ts.heap[j], ts.heap[i]
	ts.heap[i].slot, ts.heap[j].slot = i+1, j+1
}

func (ts *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !ts.less(i, parent) {
			return
		}
		ts.swap(i, parent)
		i = parent
	}
}

func (ts *timers) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(ts.heap) && ts.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		ts.swap(i, least)
		i = least
	}
}
