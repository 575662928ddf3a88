package sshpool

import (
	"sync"
	"time"
)

// backlog bounds what has come from the peer and was not taken yet by the
// command's streams. The library would keep a whole window, 2 MiB a stream, for
// a reader that is late: gigabytes where a thousand hosts write at once. Here
// the connection is not read further until the streams have caught up, and TCP
// holds the peer back.
//
// It counts bytes on the wire, which are more than what the streams take. So a
// stream that has read all there was says that everything has been taken.
//
// It bounds a connection with one command on it and nothing else; else a slow
// reader of one command would hold up the others.
type backlog struct {
	mu       sync.Mutex
	came     int64 // bytes from the wire
	taken    int64 // of them, taken by streams
	busy     int   // streams that pass on what they have read
	commands int   // commands that may be bounded
	others   int   // whatever else waits for an answer
	held     bool  // reading waits
	ended    bool
	wake     chan struct{}
}

const (
	maxBacklog = 64 << 10
	// stuckAfter is when a wait ends though no stream says that it took
	// anything: the last one may have read just to the last byte.
	stuckAfter = 100 * time.Millisecond
)

func (b *backlog) bounded() bool { return b.commands == 1 && b.others == 0 && !b.ended }

// arrive counts what was read from the wire.
func (b *backlog) arrive(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came += int64(n)
}

// wait returns when more may be read from the wire.
func (b *backlog) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.full() {
		return
	}
	b.held = true
	stuck := time.NewTimer(stuckAfter)
	defer stuck.Stop()
	for b.full() {
		before := b.taken
		b.mu.Unlock()
		late := false
		select {
		case <-b.wake:
			stuck.Reset(stuckAfter)
		case <-stuck.C:
			stuck.Reset(stuckAfter)
			late = true
		}
		b.mu.Lock()
		if late && b.busy == 0 && b.taken == before {
			b.taken = b.came
		}
	}
	b.held = false
}

func (b *backlog) full() bool { return b.bounded() && b.came-b.taken > maxBacklog }

// read notes what one stream has read, and gives what to call when it has
// passed that on. rest says that there may be more to read now.
func (b *backlog) read(n int, rest bool) (passed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	upTo := int64(0)
	if !rest && b.busy == 0 {
		upTo = b.came
	}
	b.busy++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.busy--
		b.taken = min(max(b.taken+int64(n), upTo), b.came)
		b.wakeUp()
	}
}

// command adds to the commands on the connection, or takes from them.
func (b *backlog) command(n int) { b.change(&b.commands, n) }

// other adds to what waits for an answer beside a command, or takes from it.
func (b *backlog) other(n int) { b.change(&b.others, n) }

func (b *backlog) change(what *int, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*what += n
	b.taken = b.came
	b.wakeUp()
}

// end lets go of whoever waits, for good.
func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.wakeUp()
}

// holds tells whether the wire is not being read, so that silence says nothing
// about the peer.
func (b *backlog) holds() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

func (b *backlog) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
