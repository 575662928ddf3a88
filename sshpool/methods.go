package sshpool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// authTrace is what one login has tried.
type authTrace struct {
	keys     []string     // the keys offered, as the error shows them
	methods  []string     // methods used, each once
	partial  int          // partial successes so far
	accepted []string     // blobs of keys that succeeded in part
	last     string       // blob of the key offered last
	lastKey  *candidate   // that key
	unsent   []*candidate // keys that the library was given and has not offered
	allowed  []string     // what the host allows
	notes    []string     // why a key or method could not be used
	rounds   int          // of keyboard-interactive questions
	step     authStep     // since the last partial success
	final    *Error       // nothing else is to be tried
	leave    func(*Error) // tells the breaker how it ended; nil: not let in yet
}

// authStep is what was tried between two partial successes.
type authStep struct {
	methods  []string        // used up
	offered  map[string]bool // blobs of keys
	password bool            // was sent
	answers  map[int]bool    // those of Auth.Answers that were sent
	asked    bool            // a person answered the last questions
	asks     int             // rounds of that
}

// maxRounds bounds the steps of one login and the questions in it.
const maxRounds = 64

// maxAsks is how often a person may answer one login wrongly.
const maxAsks = 3

func ownMethods() []string { return []string{"publickey", "password", "keyboard-interactive"} }

// note keeps why something could not be used, once.
func (a *authTrace) note(text string) {
	if !slices.Contains(a.notes, text) {
		a.notes = append(a.notes, text)
	}
}

// tried is the end of an error's text that lists what was tried.
func (a *authTrace) tried() string {
	var b strings.Builder
	if len(a.keys) > 0 {
		fmt.Fprintf(&b, "; tried %s", strings.Join(a.keys, ", "))
	}
	for _, m := range a.methods {
		if m != "publickey" {
			fmt.Fprintf(&b, "; tried %s", m)
		}
	}
	for _, n := range a.notes {
		fmt.Fprintf(&b, "; %s", n)
	}
	return b.String()
}

// nextMethod picks the next way to log in (ssh.ClientAuthCallback).
func (d *dialer) nextMethod(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	tr := &d.auth
	tr.allowed = c.AllowedMethods
	if tr.final != nil {
		return nil, tr.final
	}
	if below := d.wire.failure(); below != nil || d.ctx.Err() != nil {
		return nil, d.fail(below) // nobody refused anything
	}
	if n := len(c.PartialSuccessMethods); n > tr.partial {
		tr.partial = n
		d.passes(c.PartialSuccessMethods[n-1])
		if tr.last != "" && c.PartialSuccessMethods[n-1] == "publickey" {
			tr.accepted = append(tr.accepted, tr.last)
		}
		tr.step = authStep{}
	}
	if tr.partial >= maxRounds {
		return nil, endless()
	}
	if err := d.letIn(); err != nil {
		return nil, err
	}
	order := d.t.Auth.Methods
	if len(order) == 0 {
		order = ownMethods()
	}
	for _, m := range order {
		if !slices.Contains(c.AllowedMethods, m) || slices.Contains(tr.step.methods, m) && !tr.step.again(m) {
			continue
		}
		method, err := d.method(m)
		if err != nil {
			return nil, err
		}
		if method != nil {
			tr.use(m)
			d.tries(m)
			return method, nil
		}
	}
	return nil, d.refused()
}

// use notes that a method is about to be used.
func (a *authTrace) use(method string) {
	a.step.asked = false
	if !slices.Contains(a.methods, method) {
		a.methods = append(a.methods, method)
	}
	if !slices.Contains(a.step.methods, method) {
		a.step.methods = append(a.step.methods, method)
	}
}

// again tells whether a method that was refused may be used once more: other
// keys are left where one could not sign, and people mistype.
func (s *authStep) again(method string) bool {
	switch method {
	case "publickey":
		return true // as long as there are keys not offered yet
	case "keyboard-interactive":
		return s.asked && s.asks < maxAsks
	}
	return false
}

// endless is the error of a login that is never enough.
func endless() *Error {
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Text: "login refused: the host asks without end"}
}

// letIn waits for the breaker's leave to log in, before the first attempt.
func (d *dialer) letIn() error {
	if d.auth.leave != nil || d.t.logins == nil {
		return nil
	}
	return d.person(func() (err error) {
		d.auth.leave, err = d.t.logins.enter(d.ctx, loginKey{d.t.Auth, d.t.User})
		return err
	})
}

// settle tells the breaker how a login ended.
func (d *dialer) settle(err error) {
	if d.auth.leave == nil {
		return
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		e = &Error{Kind: KindInternal}
	}
	d.auth.leave(e)
}

// promptError types the failure of a prompt.
func (d *dialer) promptError(err error) *Error {
	if d.ctx.Err() != nil {
		return canceledError(d.ctx, opDial, StageAuth)
	}
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Err: err, Text: err.Error(), untried: true}
}

// turn is a lock whose wait ends with a context. The zero value is free.
type turn struct {
	once sync.Once
	held chan struct{}
}

func (t *turn) take(ctx context.Context) error {
	t.once.Do(func() { t.held = make(chan struct{}, 1) })
	select {
	case t.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.held }
