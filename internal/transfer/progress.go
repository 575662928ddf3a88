package transfer

import (
	"io"
	"time"

	"fleet/internal/event"
)

// counter tells how far a transfer has come, a few times a second.
type counter struct {
	show func(event.Progress)
	at   event.Progress
	last time.Time
}

// often is the least time between two tellings.
const often = 200 * time.Millisecond

// newCounter counts up to so many bytes and files.
func newCounter(show func(event.Progress), bytes int64, files int) *counter {
	c := &counter{show: show}
	c.at.Total, c.at.Count = bytes, files
	c.tell(time.Now())
	return c
}

func (d *pushing) counter() *counter {
	n := 0
	for _, ch := range d.plan.changes {
		if ch.send {
			n++
		}
	}
	return newCounter(d.show.Progress, d.plan.bytes, n)
}

func (c *counter) add(bytes int64, files int) {
	c.at.Bytes += bytes
	c.at.Files += files
	if now := time.Now(); now.Sub(c.last) >= often {
		c.tell(now)
	}
}

// end tells the last.
func (c *counter) end() { c.tell(time.Now()) }

func (c *counter) tell(now time.Time) {
	c.last, c.at.Time = now, now
	if c.show != nil {
		c.show(c.at)
	}
}

// ticker counts what is read.
type ticker struct {
	r io.Reader
	c *counter
}

func (t *ticker) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.c.add(int64(n), 0)
	return n, err
}
