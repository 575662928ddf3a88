package sshpool

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errNoTurn is the end of a wait in which no turn came for a whole limit.
var errNoTurn = errors.New("no turn came")

// turns lets a few at a time do what may block in somebody else's hands: a
// resolver, an agent. Whoever has taken a turn gives it back, once. All methods
// may be called at the same time.
type turns struct {
	slots chan struct{}
	// moved counts what came of the turns taken; who takes turns counts it. As
	// long as it grows within each limit, the others wait on.
	moved atomic.Int64
}

// newTurns gives n turns.
func newTurns(n int) turns { return turns{slots: make(chan struct{}, n)} }

// take waits for a turn until the context ends, or until nothing moved for a
// whole limit (errNoTurn); a limit of 0 or less is none.
func (t *turns) take(ctx context.Context, limit time.Duration) error {
	select {
	case t.slots <- struct{}{}:
		return nil
	default:
	}
	var late <-chan time.Time
	if limit > 0 {
		tick := time.NewTicker(limit)
		defer tick.Stop()
		late = tick.C
	}
	for moved := t.moved.Load(); ; {
		select {
		case t.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			now := t.moved.Load()
			if now == moved {
				return errNoTurn
			}
			moved = now
		}
	}
}

// give gives a turn back.
func (t *turns) give() { <-t.slots }
