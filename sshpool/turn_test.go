package sshpool

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fleet/internal/sshtest"
)

// TestLookupWaitsForItsTurn has ten names that take most of the limit each,
// two at a time: the limit runs from a name's own turn.
func TestLookupWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &sshtest.Resolver{Delay: 4 * time.Second, Addrs: map[string][]netip.Addr{"a": {netip.MustParseAddr("127.0.0.1")}}}
		r := &limitedResolver{next: next, turns: newTurns(2)}
		began := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if ips, err := r.lookup(t.Context(), "ip", "a", 5*time.Second); err != nil || len(ips) != 1 {
					t.Errorf("%v, %v", ips, err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestLookupGivesUpOnAStuckResolver has no turn come free for a whole limit.
func TestLookupGivesUpOnAStuckResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		r := &limitedResolver{next: &sshtest.Resolver{Deaf: deaf}, turns: newTurns(2)}
		began := time.Now()
		var late, turnless atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				switch _, err := r.lookup(t.Context(), "ip", "a", 5*time.Second); {
				case errors.Is(err, context.DeadlineExceeded):
					late.Add(1)
				case errors.Is(err, errNoTurn):
					turnless.Add(1)
				default:
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
		if late.Load() != 2 || turnless.Load() != 8 {
			t.Errorf("%d lookups took too long, %d had no turn", late.Load(), turnless.Load())
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		close(deaf)
		synctest.Wait()
	})
}
