package sshpool

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// keyring is the keys of an Auth, read once.
type keyring struct {
	certs    []*candidate // from Certificates
	named    []*candidate // from Signers and Keys
	defaults []*candidate // from DefaultKeys
	notes    []string     // what was wrong with files that are left out
}

// candidate is one key, or certificate, that may be offered.
type candidate struct {
	public ssh.PublicKey
	name   string // type, fingerprint and origin, for error texts
	origin string
	blob   string // the public key's bytes, to tell keys apart
	signer ssh.Signer
	file   *keyFile   // where the signer comes from a file
	agent  bool       // only the agent can sign
	cert   *candidate // the certificate beside the key's file, or nil
}

func newCandidate(pub ssh.PublicKey, origin string) *candidate {
	key := pub
	if cert, ok := pub.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return &candidate{public: pub, blob: string(pub.Marshal()), origin: origin,
		name: fmt.Sprintf("%s %s (%s)", pub.Type(), ssh.FingerprintSHA256(key), origin)}
}

// keys reads the key files at the first call.
func (a *Auth) keys(ctx context.Context) (*keyring, error) {
	if err := a.loading.take(ctx); err != nil {
		return nil, canceledError(ctx, opDial, StageAuth)
	}
	defer a.loading.give()
	if a.loaded != nil {
		return a.loaded, nil
	}
	ring, err := a.readKeys(ctx)
	if err != nil {
		return nil, &Error{Op: opDial, Kind: KindAuth, Stage: StageAuth, Err: err, Text: err.Error(), untried: true}
	}
	a.loaded = ring
	return ring, nil
}

func (a *Auth) readKeys(ctx context.Context) (*keyring, error) {
	ring := &keyring{}
	for _, s := range a.Signers {
		c := newCandidate(s.PublicKey(), "given")
		c.signer = s
		ring.named = append(ring.named, c)
	}
	for _, path := range a.Certificates {
		c, err := readCertificate(path)
		if err != nil {
			return nil, err
		}
		ring.certs = append(ring.certs, c)
	}
	for _, path := range a.Keys {
		c, err := a.readKey(ctx, path)
		if err != nil {
			return nil, err
		}
		ring.named = append(ring.named, c)
	}
	for _, path := range a.DefaultKeys {
		switch c, err := a.readKey(ctx, path); {
		case err == nil:
			ring.defaults = append(ring.defaults, c)
		case !errors.Is(err, fs.ErrNotExist):
			ring.notes = append(ring.notes, err.Error())
		}
	}
	if len(a.Certificates) > 0 {
		return ring, nil
	}
	for _, c := range slices.Concat(ring.named[len(a.Signers):], ring.defaults) {
		cert, err := readCertificate(strings.TrimSuffix(c.origin, ".pub") + "-cert.pub")
		switch {
		case err == nil && certifies(cert, c):
			c.cert = cert
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			ring.notes = append(ring.notes, err.Error())
		}
	}
	return ring, nil
}

// readKey reads one key file; of an encrypted one at least the public key.
func (a *Auth) readKey(ctx context.Context, path string) (*candidate, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if c := publicCandidate(path); c != nil {
			return c, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
		c := newCandidate(pub, path)
		c.agent = true
		return c, nil
	}
	if err := checkMode(path); err != nil {
		return nil, err
	}
	if pub := openSSHPublic(text); pub != nil && onToken(pub) {
		c := newCandidate(pub, path) // the file holds but a handle
		c.agent = true
		return c, nil
	}
	raw, err := ssh.ParseRawPrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return openKey(path, raw)
	case !errors.As(err, &locked):
		return nil, fmt.Errorf("parse key %s: %s", path, keyParseText(err))
	case a.Passphrase == nil && a.AgentSocket == "":
		return nil, noPassphrase(path)
	}
	f := a.KeyFiles.file(path, text)
	if locked.PublicKey != nil {
		c := newCandidate(locked.PublicKey, path)
		c.file = f
		return c, nil
	}
	if c := publicCandidate(path); c != nil { // an old format that hides the public key
		c.agent, c.file = false, f
		return c, nil
	}
	if _, err := f.unlock(ctx, a); err != nil {
		return nil, err
	}
	c := newCandidate(f.signer.PublicKey(), path)
	c.signer = f.signer
	return c, nil
}

// publicCandidate reads the public key file beside a key file; nil if there is
// none.
func publicCandidate(path string) *candidate {
	text, err := os.ReadFile(path + ".pub")
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

// openSSHPublic reads the public key that stands at the head of a private key
// file of OpenSSH's own format, encrypted or not (PROTOCOL.key); else it is nil.
func openSSHPublic(text []byte) ssh.PublicKey {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "OPENSSH PRIVATE KEY" {
		return nil
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	if !ok {
		return nil
	}
	var head struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public               []byte
		Rest                 []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(body, &head) != nil {
		return nil
	}
	pub, err := ssh.ParsePublicKey(head.Public)
	if err != nil {
		return nil
	}
	return pub
}

// checkMode refuses a private key that others than its owner may read, as ssh(1) does.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if KeyExposed(info) {
		return fmt.Errorf("key %s can be read by others (mode %04o)", path, info.Mode().Perm())
	}
	return nil
}

// KeyExposed says whether a private key file is one of this user that others may
// read, which is not used, as by ssh(1). What is another user's is theirs to guard:
// a key that root shares with a group, or that is mounted into a container.
func KeyExposed(info fs.FileInfo) bool { return exposed(info, os.Getuid()) }

func exposed(info fs.FileInfo, uid int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == uid && info.Mode().Perm()&0o077 != 0
}

func keyParseText(err error) string {
	return string(bytes.TrimPrefix([]byte(err.Error()), []byte("ssh: ")))
}
