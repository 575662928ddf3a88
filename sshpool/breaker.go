package sshpool

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// breaker stops logins after too many were refused in a row: most likely the
// key or password is wrong everywhere, and hosts ban a client, or lock a user
// out, that goes on. Until some host has let a user in, no more logins of it are
// under way than may still be refused; so a wrong password is sent to no more
// hosts than that, however many are connected to at once.
type breaker struct {
	most int // negative: no limit

	mu      sync.Mutex
	failed  int    // in a row
	first   string // what the first of them said
	open    int    // logins under way that nothing speaks for yet
	extra   int    // of them, allowed because others neither worked nor were refused
	proven  map[loginKey]bool
	waiting []chan struct{} // closed when something has changed
}

// loginKey is what a login is made with.
type loginKey struct {
	auth *Auth
	user string
}

// check gives an error if no login should be tried.
func (b *breaker) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped()
}

// stopped is check while b.mu is held.
func (b *breaker) stopped() error {
	if b.most < 0 || b.failed < b.most {
		return nil
	}
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, untried: true,
		Text: fmt.Sprintf("not tried: stopped after %d refused logins in a row; first: %s", b.most, b.first)}
}

// enter waits until a login may be tried, or gives the error of check. What it
// returns is to be told how the login ended.
func (b *breaker) enter(ctx context.Context, key loginKey) (leave func(*Error), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.most >= 0 && !b.proven[key] {
		if err := b.stopped(); err != nil {
			return nil, err
		}
		if b.failed+b.open < b.most+b.extra {
			break
		}
		if err := b.wait(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.stopped(); err != nil {
		return nil, err
	}
	counted := !b.proven[key]
	if counted {
		b.open++
	}
	return func(e *Error) { b.leave(key, counted, e) }, nil
}

// wait waits for a login to end; b.mu is held before and after.
func (b *breaker) wait(ctx context.Context) error {
	changed := make(chan struct{})
	b.waiting = append(b.waiting, changed)
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		if i := slices.Index(b.waiting, changed); i >= 0 {
			b.waiting = slices.Delete(b.waiting, i, i+1)
		}
		return canceledError(ctx, opDial, StageAuth)
	}
}

// leave takes how a login ended.
func (b *breaker) leave(key loginKey, counted bool, e *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if counted {
		b.open--
	}
	switch {
	case e == nil:
		if b.stopped() == nil {
			b.failed = 0
		}
		if b.proven == nil {
			b.proven = make(map[loginKey]bool)
		}
		b.proven[key] = true
	case e.Kind == KindAuth && !e.untried:
		if b.failed++; b.failed == 1 {
			b.first = e.Text
		}
	case counted && e.Kind != KindCanceled:
		b.extra += b.most // hosts that never answer must not hold up the others
	}
	for _, w := range b.waiting {
		close(w)
	}
	b.waiting = nil
}
