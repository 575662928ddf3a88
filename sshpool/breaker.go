package sshpool

import (
	"errors"
	"fmt"
	"sync"
)

// breaker stops logins after too many were refused in a row: most likely the
// key or password is wrong everywhere, and hosts ban a client that goes on.
type breaker struct {
	most int // negative: no limit

	mu     sync.Mutex
	failed int // in a row
}

// check gives an error if no login should be tried.
func (b *breaker) check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.most < 0 || b.failed < b.most {
		return nil
	}
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, untried: true,
		Text: fmt.Sprintf("not tried: stopped after %d refused logins in a row", b.most)}
}

// note takes the result of a dial.
func (b *breaker) note(err error) {
	var e *Error
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		if b.most < 0 || b.failed < b.most {
			b.failed = 0
		}
	case errors.As(err, &e) && e.Kind == KindAuth && !e.untried:
		b.failed++
	}
}
