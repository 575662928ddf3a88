package hostkeys

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Pins are the only keys that a host may show, named one by one, as in an
// inventory; no known_hosts file is asked. They do not change once made and may
// be used from many goroutines at once.
type Pins struct {
	Revoked *RevokedKeys // refused though they are pinned; set before first use, may be nil
	MinRSA  int          // as in Policy
	pins    []pin
}

type pin struct {
	fingerprint string // "SHA256:..."
	kind        string // type of the key; empty where only the fingerprint is known
	blob        []byte // wire form of the key; nil where only the fingerprint is known
}

// ParsePins reads keys in the form of a known_hosts or authorized_keys file,
// "ssh-ed25519 AAAA...", or fingerprints as ssh-keygen -l prints them, "SHA256:...".
func ParsePins(keys []string) (*Pins, error) {
	p := &Pins{}
	for _, text := range keys {
		if sum, ok := strings.CutPrefix(text, "SHA256:"); ok {
			if b, err := base64.RawStdEncoding.DecodeString(sum); err != nil || len(b) != 32 {
				return nil, fmt.Errorf("parse host key %q: not a SHA256 fingerprint", text)
			}
			p.pins = append(p.pins, pin{fingerprint: text})
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("parse host key %q: %w", text, err)
		}
		p.pins = append(p.pins, pin{ssh.FingerprintSHA256(key), key.Type(), key.Marshal()})
	}
	return p, nil
}

// Algorithms puts the types of the pinned keys first; nil if only fingerprints
// are known.
func (p *Pins) Algorithms(string) []string {
	var first, rest []string
	for _, algo := range preference {
		if slices.ContainsFunc(p.pins, func(k pin) bool { return k.kind == keyType(algo) }) {
			first = append(first, algo)
		} else {
			rest = append(rest, algo)
		}
	}
	if len(first) == 0 {
		return nil
	}
	return append(first, rest...)
}

// Check accepts a pinned key, or a certificate for one; any other is an *Error
// that says changed, revoked or, where it is too short, cert.
func (p *Pins) Check(addr string, _ net.Addr, key ssh.PublicKey) error {
	if err := checkLength(addr, key, p.MinRSA); err != nil {
		return err
	}
	if p.Revoked.has(key) {
		return p.Revoked.refuse(addr, key)
	}
	shown := certified(key)
	fingerprint, blob := ssh.FingerprintSHA256(shown), shown.Marshal()
	var wanted []string
	for _, k := range p.pins {
		if k.fingerprint == fingerprint && (k.blob == nil || bytes.Equal(k.blob, blob)) {
			return nil
		}
		wanted = append(wanted, k.fingerprint)
	}
	err := newError(ReasonChanged, addr, key, nil)
	err.problem = "host key is not the one in the inventory"
	err.detail = "inventory has " + strings.Join(wanted, ", ")
	return err
}
