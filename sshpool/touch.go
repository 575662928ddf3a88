package sshpool

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// touchTime is how long a key on a token has to be touched; tokens give up
// after about as long (CTAP 2.1, section 6.2).
const touchTime = 30 * time.Second

// touches counts the signatures that wait, or have waited, for a touch.
type touches struct {
	mu          sync.Mutex
	done, total int
}

func (t *touches) add(done, total int) (n, of int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += done
	t.total += total
	return t.done, t.total
}

// signByTouch signs with a key on a FIDO token: one login at a time, and no
// question is open meanwhile, as its owner has to act.
func (s *agentSigner) signByTouch(o *offered, data []byte) (sig *ssh.Signature, err error) {
	d, a := o.d, o.d.t.Auth
	a.touch.add(0, 1)
	touched := 0
	err = d.person(func() error {
		return a.ask(d.ctx, func() error {
			if below := d.wire.failure(); below != nil {
				return d.fail(below) // the host has not waited
			}
			if err := s.link.turns.take(d.ctx, touchTime); err != nil {
				return err
			}
			defer s.link.turns.give()
			touched = 1
			if n, total := a.touch.add(1, 0); a.Touch != nil {
				a.Touch(d.ctx, d.t.name(), o.k.name, n, total)
			}
			ctx, cancel := context.WithTimeout(d.ctx, touchTime)
			defer cancel()
			sig, err = s.link.sign(ctx, s.pub, data, 0)
			return err
		})
	})
	if touched == 0 {
		a.touch.add(0, -1)
	}
	var typed *Error
	switch {
	case err == nil:
		return sig, nil
	case errors.As(err, &typed):
		d.auth.final = typed
		return nil, typed
	case d.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		err = errors.New("key " + o.k.name + " was not touched within " + touchTime.String())
		d.auth.note(err.Error())
		return nil, err
	}
	return nil, s.unsigned(d, err)
}
