package hostkeys

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
)

// RevokedKeys are keys, and certificates, that no host may show whatever else is known
// of it: those of a file that RevokedHostKeys of ssh_config(5) names. It does not
// change once made and may be used from many goroutines at once.
type RevokedKeys struct {
	file         string
	keys         map[string]bool // wire forms
	sha1, sha256 map[string]bool // sums of wire forms
	certs        []revokedCerts
}

// LoadRevoked reads such a file: public keys, one a line, or a key revocation list
// as ssh-keygen -k writes it. A file that is not there or holds anything else is an
// error: ssh(1) accepts no host then.
func LoadRevoked(file string) (*RevokedKeys, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &RevokedKeys{file: file, keys: make(map[string]bool), sha1: make(map[string]bool), sha256: make(map[string]bool)}
	if bytes.HasPrefix(text, []byte(krlMagic)) {
		err = r.readKRL(text[len(krlMagic):])
	} else {
		err = r.readLines(text)
	}
	if err != nil {
		return nil, fmt.Errorf("revoked host keys: %s: %w", file, err)
	}
	return r, nil
}

// readLines takes in public keys, one a line.
func (r *RevokedKeys) readLines(text []byte) error {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			return fmt.Errorf("line %d is no public key", n)
		}
		r.keys[string(certified(key).Marshal())] = true
	}
	return nil
}

// has says whether a key is revoked; of a certificate also whether it is itself, or
// the authority that signed it.
func (r *RevokedKeys) has(key ssh.PublicKey) bool {
	if r == nil {
		return false
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return r.hasPlain(key)
	}
	for i := range r.certs {
		if r.certs[i].has(cert) {
			return true
		}
	}
	return r.hasPlain(cert.Key) || r.hasPlain(cert.SignatureKey)
}

func (r *RevokedKeys) hasPlain(key ssh.PublicKey) bool {
	blob := key.Marshal()
	old, sum := sha1.Sum(blob), sha256.Sum256(blob)
	return r.keys[string(blob)] || r.sha1[string(old[:])] || r.sha256[string(sum[:])]
}

// refuse is the error about a key that is revoked.
func (r *RevokedKeys) refuse(addr string, key ssh.PublicKey) *Error {
	err := newError(ReasonRevoked, addr, key, nil)
	err.detail = "revoked in " + r.file
	return err
}
