package sshpool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Auth says how to log in. One Auth serves any number of targets at once: key
// files are read and passphrases asked once for all of them. Set its fields
// before first use and do not copy it afterwards.
//
// Methods are tried in this order, as far as the host allows them: public keys,
// password, keyboard-interactive. Public keys come in this order: those of
// Keys (through the agent if it holds them), those of the agent, those of
// DefaultKeys. A login that the host refused is not tried again.
type Auth struct {
	// Signers are keys that the caller holds itself; they go first.
	Signers []ssh.Signer
	// Keys are private key files, OpenSSH or PEM. A file that cannot be read
	// is an error. A public key file will do where the agent has the key.
	Keys []string
	// DefaultKeys are key files that may be missing.
	DefaultKeys []string
	// AgentSocket is the path of the agent's socket (SSH_AUTH_SOCK); empty for
	// no agent. An agent that does not answer is an error only where no other
	// method is left.
	AgentSocket string
	// IdentitiesOnly restricts the agent to the keys of Keys; see ssh_config(5).
	IdentitiesOnly bool
	// Passphrase is asked once for each encrypted key file, when the key is
	// first needed to sign, and again up to three times while it is wrong. Nil
	// means that encrypted keys are not used, which is an error for Keys.
	Passphrase func(ctx context.Context, file string) ([]byte, error)
	// Password is asked once, when the first host wants a password. Its answer
	// also serves keyboard-interactive questions that hide what is typed.
	Password func(ctx context.Context) (string, error)

	loadOnce sync.Mutex
	loaded   *keyring

	passOnce sync.Mutex
	password *string

	agentMu sync.Mutex
	agent   *agentLink
}

// Prepare reads the key files and asks for the passphrases of those in Keys
// that are encrypted, so that no host waits for a person later. It may be left
// out: whatever was not prepared is done when it is first needed.
func (a *Auth) Prepare(ctx context.Context) error {
	ring, err := a.keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range ring.named {
		if k.file != nil {
			if _, err := k.file.unlock(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends the connection to the agent, if there is one.
func (a *Auth) Close() error {
	a.dropAgent(nil)
	return nil
}

// askPassword gives the password, asking at most once.
func (a *Auth) askPassword(ctx context.Context) (string, error) {
	a.passOnce.Lock()
	defer a.passOnce.Unlock()
	if a.password == nil {
		p, err := a.Password(ctx)
		if err != nil {
			return "", err
		}
		a.password = &p
	}
	return *a.password, nil
}

// authTrace is what one login has tried.
type authTrace struct {
	keys     []string // the keys offered, as the error shows them
	methods  []string // methods used since the last partial success
	partial  int      // partial successes so far
	accepted []string // keys that succeeded in part
	last     string   // key offered last
	allowed  []string // what the host allows
	notes    []string // why a method could not be used
	final    *Error   // nothing else is to be tried
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
	if n := len(c.PartialSuccessMethods); n > tr.partial {
		tr.partial = n
		d.passes(c.PartialSuccessMethods[n-1])
		if tr.last != "" && c.PartialSuccessMethods[n-1] == "publickey" {
			tr.accepted = append(tr.accepted, tr.last)
		}
		tr.methods = nil
	}
	if below := d.wire.failure(); below != nil || d.ctx.Err() != nil {
		return nil, d.fail(below) // nobody refused anything
	}
	for _, m := range []string{"publickey", "password", "keyboard-interactive"} {
		if !slices.Contains(c.AllowedMethods, m) || slices.Contains(tr.methods, m) {
			continue
		}
		method, err := d.method(m)
		if err != nil {
			return nil, err
		}
		if method != nil {
			tr.methods = append(tr.methods, m)
			d.tries(m)
			return method, nil
		}
	}
	return nil, d.refused()
}

// refused is the error of a login that has nothing left to try.
func (d *dialer) refused() *Error {
	text := "login refused"
	if len(d.auth.methods) == 0 && len(d.auth.keys) == 0 {
		text = "no way to log in"
	}
	allowed := excerpt([]byte(strings.Join(d.auth.allowed, ",")))
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth,
		Text: text + d.auth.tried() + "; the host allows " + strings.Trim(allowed, `"`)}
}

// method gives the named method if this Auth can use it, else nil.
func (d *dialer) method(name string) (ssh.AuthMethod, error) {
	a := d.t.Auth
	switch {
	case name == "publickey":
		signers, err := d.signers()
		if err != nil || len(signers) == 0 {
			return nil, err
		}
		return ssh.PublicKeys(signers...), nil
	case a.Password == nil:
		return nil, nil
	case name == "password":
		pw, err := d.person(func() (string, error) { return a.askPassword(d.ctx) })
		if err != nil {
			return nil, d.promptError(err)
		}
		return ssh.Password(pw), nil
	}
	return ssh.KeyboardInteractive(d.answer), nil
}

// answer replies to keyboard-interactive questions (RFC 4256) where one asks
// for what is not to be shown, which is taken as the password.
func (d *dialer) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range questions {
		if echos[i] {
			return nil, fmt.Errorf("keyboard-interactive question %s has no answer", excerpt([]byte(questions[i])))
		}
		pw, err := d.person(func() (string, error) { return d.t.Auth.askPassword(d.ctx) })
		if err != nil {
			return nil, err
		}
		answers[i] = pw
	}
	return answers, nil
}

// person runs f, which may ask somebody, with the login's clock stopped.
func (d *dialer) person(f func() (string, error)) (string, error) {
	began := time.Now()
	d.wire.SetDeadline(noDeadline)
	defer func() {
		d.lapped = d.lapped.Add(time.Since(began))
		d.enter(StageAuth, d.t.Limits.Auth)
	}()
	return f()
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
	return &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Err: err, Text: err.Error()}
}
