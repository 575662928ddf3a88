package sshpool

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// KeyFiles are encrypted key files that several Auths have in common
// (Auth.KeyFiles): the passphrase of each is asked once for all of them. One that
// was not told to an Auth is asked again by the next. The zero value is ready for
// use, by many goroutines at once; do not copy it.
type KeyFiles struct {
	mu   sync.Mutex
	list []*keyFile
}

// file gives the file of that name and content. On nil it is a new one.
func (s *KeyFiles) file(path string, pem []byte) *keyFile {
	f := &keyFile{path: path, pem: pem}
	if s == nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.list, func(have *keyFile) bool { return have.path == path && bytes.Equal(have.pem, pem) })
	switch {
	case at < 0:
		s.list = append(s.list, f)
	case s.list[at].failed.Load():
		s.list[at] = f
	default:
		f = s.list[at]
	}
	return f
}

// keyFile is an encrypted private key and, once unlocked, its signer.
type keyFile struct {
	path string
	pem  []byte

	turn   turn
	signer ssh.Signer
	err    error       // final
	failed atomic.Bool // err is set
}

// openKey gives the key of a file that is not encrypted.
func openKey(path string, raw any) (*candidate, error) {
	s, err := signerOf(raw)
	if err != nil {
		return nil, fmt.Errorf("parse key %s: %s", path, keyParseText(err))
	}
	c := newCandidate(s.PublicKey(), path)
	c.signer = s
	return c, nil
}

func signerOf(raw any) (ssh.Signer, error) {
	if k, ok := raw.(crypto.Signer); ok {
		return ssh.NewSignerFromSigner(k)
	}
	return ssh.NewSignerFromKey(raw)
}

// maxPassphraseTries is how often a person may mistype one passphrase.
const maxPassphraseTries = 3

// unlock gives the signer, having a ask for the passphrase at the first call. A
// wrong answer is final for all after the tries are used up.
func (f *keyFile) unlock(ctx context.Context, a *Auth) (ssh.Signer, error) {
	if err := f.turn.take(ctx); err != nil {
		return nil, err
	}
	defer f.turn.give()
	if f.signer != nil || f.err != nil {
		return f.signer, f.err
	}
	if a.Passphrase == nil {
		return nil, noPassphrase(f.path)
	}
	err := a.ask(ctx, func() error {
		for range maxPassphraseTries {
			pass, err := a.Passphrase(ctx, f.path)
			if err != nil {
				return fmt.Errorf("passphrase for key %s: %w", f.path, err)
			}
			if len(pass) == 0 { // no key is encrypted by it
				continue
			}
			raw, err := ssh.ParseRawPrivateKeyWithPassphrase(f.pem, pass)
			clear(pass)
			if err == nil {
				f.signer, err = signerOf(raw)
				return err
			}
			if !errors.Is(err, x509.IncorrectPasswordError) {
				return fmt.Errorf("parse key %s: %s", f.path, keyParseText(err))
			}
		}
		return fmt.Errorf("wrong passphrase for key %s", f.path)
	})
	if err != nil && ctx.Err() == nil {
		f.err = err
		f.failed.Store(true)
	}
	return f.signer, err
}

func noPassphrase(path string) error {
	return fmt.Errorf("key %s is encrypted and there is no way to ask for its passphrase", path)
}
