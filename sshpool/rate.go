package sshpool

import (
	"context"

	"golang.org/x/time/rate"
)

// Rate bounds how fast bytes are moved, by all transfers that share it, in the
// order in which they ask: each gets its turn.
type Rate struct{ l *rate.Limiter }

// rateBurst is the largest piece that is let go at once.
const rateBurst = maxMessage

// NewRate gives a Rate of so many bytes a second, which is more than 0.
func NewRate(bytesPerSecond int64) *Rate {
	return &Rate{rate.NewLimiter(rate.Limit(bytesPerSecond), rateBurst)}
}

// wait waits until n bytes may be moved.
func waitRates(ctx context.Context, rates []*Rate, n int) error {
	for _, r := range rates {
		for left := n; left > 0; left -= rateBurst {
			if err := r.l.WaitN(ctx, min(left, rateBurst)); err != nil {
				return err
			}
		}
	}
	return nil
}
