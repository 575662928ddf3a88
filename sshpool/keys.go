package sshpool

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// keyring is the keys of an Auth, read once.
type keyring struct {
	named    []*candidate // from Signers and Keys
	defaults []*candidate // from DefaultKeys
}

// candidate is one key that may be offered.
type candidate struct {
	public ssh.PublicKey
	name   string // type, fingerprint and origin, for error texts
	blob   string // the public key's bytes, to tell keys apart
	signer ssh.Signer
	file   *keyFile // where the signer comes from a file
	agent  bool     // only the agent can sign
}

func newCandidate(pub ssh.PublicKey, origin string) *candidate {
	return &candidate{public: pub, blob: string(pub.Marshal()),
		name: fmt.Sprintf("%s %s (%s)", pub.Type(), ssh.FingerprintSHA256(pub), origin)}
}

// keys reads the key files at the first call.
func (a *Auth) keys(context.Context) (*keyring, error) {
	a.loadOnce.Lock()
	defer a.loadOnce.Unlock()
	if a.loaded != nil {
		return a.loaded, nil
	}
	ring := &keyring{}
	for _, s := range a.Signers {
		c := newCandidate(s.PublicKey(), "given")
		c.signer = s
		ring.named = append(ring.named, c)
	}
	for _, path := range a.Keys {
		c, err := a.readKey(path)
		if err != nil {
			return nil, &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Err: err, Text: err.Error()}
		}
		ring.named = append(ring.named, c)
	}
	for _, path := range a.DefaultKeys {
		if c, err := a.readKey(path); err == nil {
			ring.defaults = append(ring.defaults, c)
		}
	}
	a.loaded = ring
	return ring, nil
}

// readKey reads one key file; of an encrypted one at least the public key.
func (a *Auth) readKey(path string) (*candidate, error) {
	pem, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if c := publicCandidate(path + ".pub"); c != nil {
			return c, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(pem); err == nil {
		c := newCandidate(pub, path)
		c.agent = true
		return c, nil
	}
	if err := checkMode(path); err != nil {
		return nil, err
	}
	f := &keyFile{path: path, pem: pem, ask: a.Passphrase}
	raw, err := ssh.ParseRawPrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return f.open(raw)
	case !errors.As(err, &locked):
		return nil, fmt.Errorf("parse key %s: %s", path, keyParseText(err))
	case a.Passphrase == nil && a.AgentSocket == "":
		return nil, fmt.Errorf("key %s is encrypted and there is no way to ask for its passphrase", path)
	case locked.PublicKey != nil:
		c := newCandidate(locked.PublicKey, path)
		c.file = f
		return c, nil
	}
	if c := publicCandidate(path + ".pub"); c != nil { // an old format that hides the public key
		c.agent, c.file = false, f
		return c, nil
	}
	if _, err := f.unlock(context.Background()); err != nil {
		return nil, err
	}
	c := newCandidate(f.signer.PublicKey(), path)
	c.signer = f.signer
	return c, nil
}

// publicCandidate reads a public key file; nil if there is none.
func publicCandidate(path string) *candidate {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	c := newCandidate(pub, path)
	c.agent = true
	return c
}

// checkMode refuses a private key that others than its owner may read, as ssh(1) does.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("key %s can be read by others (mode %04o)", path, mode)
	}
	return nil
}

func keyParseText(err error) string {
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("ssh: ")))
}

// keyFile is an encrypted private key and, once unlocked, its signer.
type keyFile struct {
	path string
	pem  []byte
	ask  func(context.Context, string) ([]byte, error)

	mu     sync.Mutex
	signer ssh.Signer
	err    error // final
}

func (f *keyFile) open(raw any) (*candidate, error) {
	s, err := signerOf(raw)
	if err != nil {
		return nil, fmt.Errorf("parse key %s: %s", f.path, keyParseText(err))
	}
	c := newCandidate(s.PublicKey(), f.path)
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

// unlock gives the signer, asking for the passphrase at the first call. A wrong
// answer is final for all after the tries are used up.
func (f *keyFile) unlock(ctx context.Context) (ssh.Signer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.signer != nil || f.err != nil {
		return f.signer, f.err
	}
	if f.ask == nil {
		f.err = fmt.Errorf("key %s is encrypted and there is no way to ask for its passphrase", f.path)
		return nil, f.err
	}
	for range maxPassphraseTries {
		pass, err := f.ask(ctx, f.path)
		if err != nil {
			if ctx.Err() == nil {
				f.err = fmt.Errorf("passphrase for key %s: %w", f.path, err)
				return nil, f.err
			}
			return nil, err
		}
		raw, err := ssh.ParseRawPrivateKeyWithPassphrase(f.pem, pass)
		clear(pass)
		if err == nil {
			f.signer, f.err = signerOf(raw)
			return f.signer, f.err
		}
	}
	f.err = fmt.Errorf("wrong passphrase for key %s", f.path)
	return nil, f.err
}

// offered is a key as one login offers it: it notes that it was offered, and
// signs within the login's limit.
type offered struct {
	d *dialer
	k *candidate
}

// signers lists the keys to offer in one login, best first, each once.
func (d *dialer) signers() ([]ssh.Signer, error) {
	a := d.t.Auth
	ring, err := a.keys(d.ctx)
	if err != nil {
		return nil, err
	}
	inAgent, agentErr := d.agentKeys()
	held := make(map[string]*candidate, len(inAgent))
	for _, k := range inAgent {
		held[k.blob] = k
	}
	var out []ssh.Signer
	seen := make(map[string]bool)
	add := func(keys []*candidate) {
		for _, k := range keys {
			if h := held[k.blob]; h != nil && k.signer == nil {
				k = h
			}
			usable := k.signer != nil || k.file != nil
			if !usable || seen[k.blob] || slices.Contains(d.auth.accepted, k.name) {
				continue
			}
			seen[k.blob] = true
			out = append(out, &offered{d, k})
		}
	}
	add(ring.named)
	if !a.IdentitiesOnly {
		add(inAgent)
		add(ring.defaults)
	}
	if agentErr != nil && !slices.Contains(d.auth.notes, agentErr.Error()) {
		d.auth.notes = append(d.auth.notes, agentErr.Error())
	}
	return out, nil
}

// PublicKey is called by the library when it offers the key.
func (o *offered) PublicKey() ssh.PublicKey {
	o.d.offers(o.k.name)
	if o.d.auth.last != o.k.name {
		o.d.auth.last = o.k.name
		o.d.auth.keys = append(o.d.auth.keys, o.k.name)
	}
	return o.k.public
}

func (o *offered) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return o.SignWithAlgorithm(rand, data, "")
}

// Algorithms lists the signature algorithms, SHA-1 left out.
func (o *offered) Algorithms() []string {
	switch t := o.k.public.Type(); t {
	case ssh.KeyAlgoRSA, ssh.CertAlgoRSAv01:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	default:
		if cert, ok := o.k.public.(*ssh.Certificate); ok {
			return []string{cert.Key.Type()}
		}
		return []string{t}
	}
}

func (o *offered) SignWithAlgorithm(rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
	s := o.k.signer
	if o.k.file != nil {
		_, err := o.d.person(func() (string, error) {
			var err error
			s, err = o.k.file.unlock(o.d.ctx)
			return "", err
		})
		if err != nil {
			o.d.auth.notes = append(o.d.auth.notes, err.Error())
			return nil, err
		}
	}
	if as, ok := s.(*agentSigner); ok {
		return as.signFor(o.d, data, algo)
	}
	if as, ok := s.(ssh.AlgorithmSigner); ok && algo != "" {
		return as.SignWithAlgorithm(rand, data, algo)
	}
	return s.Sign(rand, data)
}
