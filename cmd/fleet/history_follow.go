package main

import (
	"context"
	"fmt"
	"time"

	"fleet/internal/control"
	"fleet/internal/event"
	"fleet/internal/record"
)

// askFollow is what a running run is asked for, to be told what its hosts write.
const askFollow = "follow"

// followLine is one value of that feed. The first is empty: what came before it is
// in the store.
type followLine struct {
	Host   string       `json:"host,omitempty"`
	Stream event.Stream `json:"stream,omitempty"`
	At     int64        `json:"at,omitempty"`   // of the first byte in the stream
	Data   []byte       `json:"data,omitempty"` // base64
	Again  bool         `json:"again,omitempty"`
	Missed int64        `json:"missed,omitempty"`
}

// feed tells a follower what hosts write.
func (r *recording) feed(ctx context.Context, send func(any) error) error {
	f, err := r.rec.Follow(ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := send(followLine{}); err != nil {
		return err
	}
	for {
		chunks, err := f.Next(ctx)
		if err != nil || len(chunks) == 0 {
			return err
		}
		for _, c := range chunks {
			if err := send(followLine(c)); err != nil {
				return err
			}
		}
	}
}

// hostStream is a stream of a host.
type hostStream struct {
	host   string
	stream event.Stream
}

// follower shows what hosts of a run write as it comes. What it misses, for being
// slow or for having come late, is in the store.
type follower struct {
	chunks <-chan record.Chunk // closed when there are no more
	from   map[hostStream]int64
	open   map[hostStream]bool // the last byte shown ends no line
	begun  map[string]bool
	missed int64     // bytes, not told yet
	told   time.Time // when that was last
	close  func()
}

// follow asks the process of the run for what its hosts write, and shows what the
// store has of those that have not ended. A run that does not answer, as one that
// is at its end, is shown host by host.
func (r *replayer) follow(ctx context.Context, run *record.Run) error {
	r.live = &follower{from: map[hostStream]int64{}, open: map[hostStream]bool{}, begun: map[string]bool{}, close: func() {}}
	feed, err := control.Follow(ctx, r.store.Socket(run), askFollow)
	if err != nil {
		return nil
	}
	if err := feed.Next(&followLine{}); err != nil {
		feed.Close()
		return nil
	}
	chunks, done := make(chan record.Chunk), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(chunks)
		for {
			var line followLine
			if feed.Next(&line) != nil {
				return
			}
			select {
			case chunks <- record.Chunk(line):
			case <-done:
				return
			}
		}
	}()
	r.live.chunks = chunks
	r.live.close = func() {
		close(done)
		feed.Close()
		<-ended
	}
	return r.store.Partial(ctx, run, func(c record.Chunk) error {
		r.chunk(c)
		return nil
	})
}

// chunk shows what of a chunk was not shown.
func (r *replayer) chunk(c record.Chunk) {
	if r.told[c.Host] || r.shown != nil && !r.shown[c.Host] {
		return
	}
	l := r.live
	l.missed += c.Missed
	r.tellMissed(5 * time.Second) // a slow reader misses much, many times
	if c.Again {
		for _, s := range []event.Stream{event.Stdout, event.Stderr} {
			delete(l.from, hostStream{c.Host, s})
			delete(l.open, hostStream{c.Host, s})
		}
		r.sink.Resent(c.Host)
		return
	}
	key := hostStream{c.Host, c.Stream}
	switch at := l.from[key]; {
	case c.At+int64(len(c.Data)) <= at:
		return
	case c.At < at:
		c.Data, c.At = c.Data[at-c.At:], at
	case c.At > at && l.open[key] && r.lines:
		r.output(c.Host, c.Stream, []byte("\n")) // the line goes on in what is missing
	}
	if !l.begun[c.Host] {
		l.begun[c.Host] = true
		r.sink.Started(c.Host, time.Now())
	}
	r.output(c.Host, c.Stream, c.Data)
	l.from[key], l.open[key] = c.At+int64(len(c.Data)), c.Data[len(c.Data)-1] != '\n'
}

// tellMissed tells how much was left out, but not again within a time.
func (r *replayer) tellMissed(within time.Duration) {
	l := r.live
	if l == nil || l.missed == 0 || time.Since(l.told) < within {
		return
	}
	r.sink.Note(fmt.Sprintf("fleet: %d bytes came faster than they could be shown, and are left out; 'fleet history show' has them when their hosts have ended", l.missed))
	l.missed, l.told = 0, time.Now()
}

func (r *replayer) output(host string, stream event.Stream, data []byte) {
	r.sink.Output(event.Output{Host: host, Stream: stream, Data: data, Time: time.Now()})
}
