package sshpool

import (
	"context"

	"golang.org/x/time/rate"
)

// Rate bounds how fast bytes are moved, by all transfers that share it, in the
// order in which they ask: each gets its turn.
type Rate struct {
	l     *rate.Limiter
	piece int // the longest piece, so that none holds the others up for long
}

// NewRate gives a Rate of so many bytes a second, which is more than 0.
func NewRate(bytesPerSecond int64) *Rate {
	const shortest, aSecond = 1 << 10, 8 // pieces
	piece := int(min(max(bytesPerSecond/aSecond, shortest), maxMessage))
	return &Rate{rate.NewLimiter(rate.Limit(bytesPerSecond), piece), piece}
}

// pieceOf is the longest piece that all rates let go at once; 0 is any.
func pieceOf(rates []*Rate) (piece int) {
	for _, r := range rates {
		if piece == 0 || r.piece < piece {
			piece = r.piece
		}
	}
	return piece
}

// Wait waits until n bytes may be moved. The error, of type *Error, is that ctx
// ended, perhaps only once it does: a wait is never cut short by a guess.
func (r *Rate) Wait(ctx context.Context, n int) error { return waitRates(ctx, []*Rate{r}, n) }

// waitRates waits until n bytes may be moved.
func waitRates(ctx context.Context, rates []*Rate, n int) error {
	for _, r := range rates {
		for left := n; left > 0; left -= r.piece {
			if err := r.l.WaitN(ctx, min(left, r.piece)); err != nil {
				if ctx.Err() == nil { // the time that is left is too short, says the library
					<-ctx.Done()
				}
				return canceledError(ctx, "wait", StageTransfer)
			}
		}
	}
	return nil
}
