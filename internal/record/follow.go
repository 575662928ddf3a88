package record

import (
	"bytes"
	"context"
	"sync"

	"fleet/internal/event"
)

// mostFollowed is how many bytes of output wait for a follower that is slow.
const mostFollowed = 1 << 20

// Chunk is a piece of what a host writes, less secrets, as it comes.
type Chunk struct {
	Host   string
	Stream event.Stream
	At     int64 // of its first byte in the stream
	Data   []byte
	// Again says, without Data, that the host is tried again: its streams begin anew.
	Again bool
	// Missed is how many bytes were dropped before this chunk, of any host, as the
	// follower was slow.
	Missed int64
}

// Follower is told what hosts of a run write, as it comes. One that does not keep
// up misses some of it; it never holds the run up.
type Follower struct {
	rec  *Recorder
	wake chan struct{}

	mu     sync.Mutex
	queue  []Chunk
	held   int
	missed int64
}

// Follow returns a new follower. What came before is in the store when it returns,
// as far as the store takes it (Store.Partial); some may be in both. Close it.
func (r *Recorder) Follow(ctx context.Context) (*Follower, error) {
	f := &Follower{rec: r, wake: make(chan struct{}, 1)}
	r.followMu.Lock()
	r.followers = append(r.followers[:len(r.followers):len(r.followers)], f)
	r.followMu.Unlock()
	r.followed.Add(1)
	r.queueAllTails()
	there := make(chan struct{})
	r.add(0, func(b *batch) { b.there = append(b.there, there) })
	select {
	case <-there:
	case <-r.done:
	case <-ctx.Done():
		f.Close()
		return nil, ctx.Err()
	}
	return f, nil
}

// Close ends it.
func (f *Follower) Close() {
	r := f.rec
	r.followMu.Lock()
	defer r.followMu.Unlock()
	var rest []*Follower
	for _, other := range r.followers {
		if other != f {
			rest = append(rest, other)
		}
	}
	if len(rest) < len(r.followers) {
		r.followers = rest
		r.followed.Add(-1)
	}
}

// Next gives what came since the last call, or waits for it. It gives none when
// the run has ended, and an error of ctx only.
func (f *Follower) Next(ctx context.Context) ([]Chunk, error) {
	for {
		f.mu.Lock()
		chunks := f.queue
		f.queue, f.held = nil, 0
		f.mu.Unlock()
		if len(chunks) > 0 {
			return chunks, nil
		}
		select {
		case <-f.wake:
		case <-f.rec.done:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// publish tells followers of a chunk, whose data are copied.
func (r *Recorder) publish(c Chunk) {
	r.followMu.Lock()
	followers := r.followers
	r.followMu.Unlock()
	for _, f := range followers {
		f.take(c)
	}
}

func (f *Follower) take(c Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held+len(c.Data) > mostFollowed || f.missed > 0 && len(f.queue) > 0 { // one gap, and not many
		f.missed += int64(len(c.Data))
		return
	}
	c.Data, c.Missed, f.missed = bytes.Clone(c.Data), f.missed, 0
	f.queue = append(f.queue, c)
	f.held += len(c.Data)
	signal(f.wake)
}
