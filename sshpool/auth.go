package sshpool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Auth says how to log in. One Auth serves any number of targets at once: key
// files are read and passphrases asked once for all of them. Set its fields
// before first use and do not copy it afterwards.
//
// Keys are offered in this order, each once: Signers; Certificates; the keys of
// Keys, each behind its certificate and by the agent where that holds it; what
// else the agent has; DefaultKeys. A login that the host refused is not tried
// again. A key or certificate that cannot be used (expired, not in the agent, a
// wrong passphrase) is left out; if nothing else lets the login in, its error
// says so.
//
// Of Passphrase, Password, Interactive and Touch at most one call runs at any
// time, and the time they take does not count against a login's limits. What
// they return is an error of the login that asked; an answer is kept for the
// others where that is said.
type Auth struct {
	// Signers are keys that the caller holds itself; they go first.
	Signers []ssh.Signer
	// Certificates are files of OpenSSH certificates (ssh-keygen(1)) for keys of
	// Keys or of the agent. A file that cannot be read is an error. If there are
	// none, FILE-cert.pub beside a key file is used where it exists, as by ssh(1).
	Certificates []string
	// Keys are private key files, OpenSSH or PEM. A file that cannot be read
	// is an error, and so is one of the caller's own that others may read
	// (KeyExposed). A public key file will do where the agent has the key, and so
	// will the file of a key that lives on a FIDO token.
	Keys []string
	// DefaultKeys are key files that may be missing.
	DefaultKeys []string
	// KeyFiles, where not nil, are shared with other Auths, so that a passphrase is
	// asked once for all of them.
	KeyFiles *KeyFiles
	// AgentSocket is the path of the agent's socket (SSH_AUTH_SOCK); empty for
	// no agent. An agent that does not answer is an error only where no other
	// method is left. It is asked for up to 16 signatures at once; one that it
	// does not give within the login's limit fails that login alone.
	AgentSocket string
	// IdentitiesOnly restricts the agent to the keys of Keys and Certificates;
	// see ssh_config(5).
	IdentitiesOnly bool
	// KeyAlgorithms lists the public key algorithms to log in with, best first,
	// in OpenSSH's names, those of certificates included. Empty means all but
	// those over SHA-1; ssh-rsa is used only where it is listed.
	KeyAlgorithms []string
	// Methods lists the methods to use, best first (RFC 4252); empty means
	// publickey, password, keyboard-interactive. Others are not supported.
	Methods []string
	// Passphrase is asked once for each encrypted key file, when the key is
	// first needed to sign, and again up to three times while it is wrong. Nil
	// means that encrypted keys are not used, which is an error for Keys.
	Passphrase func(ctx context.Context, file string) ([]byte, error)
	// Password is asked once, when the first host wants a password. Its answer
	// also serves the first keyboard-interactive question that hides what is
	// typed; where Interactive is set, only if the question speaks of a
	// password. No login sends it twice.
	Password func(ctx context.Context) (string, error)
	// Answers serve keyboard-interactive questions before all else; see ReadAnswers.
	Answers []Answer
	// Interactive asks a person the questions of the host (keyboard-interactive,
	// RFC 4256) that have no other answer. The texts come from the host but are
	// safe to print: control characters are escaped, and name and questions are
	// one line. Without questions the texts are only to be shown. The answers
	// are those of the questions, in order. A refused login asks up to 3 times.
	Interactive func(ctx context.Context, host, name, instruction string, questions []Question) ([]string, error)
	// Touch is told before the agent signs with a key on a FIDO token, which
	// waits for its owner's touch: the n-th signature of total known so far. It
	// should return at once; there is one at a time, and each has 30 s.
	Touch func(ctx context.Context, host, key string, n, total int)

	asking turn // who may ask somebody now

	loading turn
	loaded  *keyring

	passwords   turn
	password    *string
	passwordErr error

	agents agentState
	touch  touches
}

// Question is one question of a keyboard-interactive login.
type Question struct {
	Text string
	Echo bool // what is typed may be seen
}

// Prepare reads the key files and asks for the passphrases of those in Keys
// that are encrypted and not in the agent, so that no host waits for a person
// later. It may be left out: whatever was not prepared is done when it is first
// needed. An error means that a file cannot be read, or that none of Keys can
// be used and there is no other way to log in.
func (a *Auth) Prepare(ctx context.Context) error {
	ring, err := a.keys(ctx)
	if err != nil {
		return err
	}
	inAgent, _ := a.agentKeys(ctx)
	usable := a.Password != nil || a.Interactive != nil || len(a.Answers) > 0
	var first error
	for _, k := range ring.named {
		held := slices.ContainsFunc(inAgent, func(h *candidate) bool { return h.blob == k.blob })
		if held || k.file == nil {
			usable = usable || held || k.signer != nil
			continue
		}
		if _, err := k.file.unlock(ctx, a); err == nil {
			usable = true
		} else if first == nil {
			first = err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if usable || !a.IdentitiesOnly && (len(inAgent) > 0 || len(ring.defaults) > 0) {
		return nil
	}
	return first
}

// Close ends the connections to the agent, if there are any.
func (a *Auth) Close() error {
	a.agents.close()
	return nil
}

// askPassword gives the password, asking at most once.
func (a *Auth) askPassword(ctx context.Context) (string, error) {
	if err := a.passwords.take(ctx); err != nil {
		return "", err
	}
	defer a.passwords.give()
	if a.password == nil && a.passwordErr == nil {
		var pw string
		err := a.ask(ctx, func() (err error) {
			pw, err = a.Password(ctx)
			return err
		})
		switch {
		case err == nil:
			a.password = &pw
		case ctx.Err() != nil:
			return "", err // that login ended; others may still ask
		default:
			a.passwordErr = err
		}
	}
	if a.passwordErr != nil {
		return "", a.passwordErr
	}
	return *a.password, nil
}

// ask runs f, which asks somebody, while no other question is open.
func (a *Auth) ask(ctx context.Context, f func() error) error {
	if err := a.asking.take(ctx); err != nil {
		return err
	}
	defer a.asking.give()
	return f()
}

// method gives the named method if this Auth can use it, else nil.
func (d *dialer) method(name string) (ssh.AuthMethod, error) {
	a := d.t.Auth
	switch name {
	case "publickey":
		signers, err := d.signers()
		if err != nil || len(signers) == 0 {
			return nil, err
		}
		return ssh.PublicKeys(signers...), nil
	case "password":
		if a.Password == nil || d.auth.step.password {
			return nil, nil
		}
		pw, err := d.askPassword()
		if err != nil {
			return nil, d.promptError(err)
		}
		return ssh.Password(pw), nil
	case "keyboard-interactive":
		if a.Password == nil && a.Interactive == nil && len(a.Answers) == 0 {
			return nil, nil
		}
		return ssh.KeyboardInteractive(d.answer), nil
	}
	return nil, nil
}

// askPassword gives the password, once in a step of the login.
func (d *dialer) askPassword() (pw string, err error) {
	d.auth.step.password = true
	err = d.person(func() error {
		pw, err = d.t.Auth.askPassword(d.ctx)
		return err
	})
	return pw, err
}

// person runs f, which may wait for somebody, with the login's clock stopped.
func (d *dialer) person(f func() error) error {
	began := time.Now()
	d.wire.SetDeadline(noDeadline)
	defer func() {
		spent := time.Since(began)
		d.lapped = d.lapped.Add(spent)
		if !d.until.IsZero() {
			d.until = d.until.Add(spent)
		}
		if !d.end.IsZero() {
			d.end = d.end.Add(spent)
		}
		d.wire.SetDeadline(d.until)
	}()
	return f()
}

// refused is the error of a login that has nothing left to try.
func (d *dialer) refused() *Error {
	d.auth.unsuited()
	e := &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Text: "login refused" + d.auth.tried()}
	if len(d.auth.methods) == 0 && len(d.auth.keys) == 0 {
		e.Text = "no way to log in" + d.auth.tried()
	}
	allowed := strings.Trim(excerpt([]byte(strings.Join(d.auth.allowed, ","))), `"`)
	if len(d.auth.allowed) > 0 && !slices.ContainsFunc(d.auth.allowed, func(m string) bool { return slices.Contains(ownMethods(), m) }) {
		e.Text += fmt.Sprintf("; the host allows only %s, which is not supported", allowed)
		return e
	}
	e.Text += "; the host allows " + allowed
	return e
}
