package trust

import (
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// State is what a host's key is to known_hosts.
type State string

const (
	Known   State = "known"   // a line has it, or an authority vouches for it
	New     State = "new"     // no line means the host
	Changed State = "changed" // lines mean the host, with other keys
	Revoked State = "revoked" // the key is never to be trusted
	Invalid State = "invalid" // an authority vouches for the host, but it has no valid certificate
)

// States lists all states, in the order in which they are shown: what matters
// most comes last.
var States = []State{Known, New, Invalid, Revoked, Changed}

// Key is a key that a host has shown.
type Key struct {
	Host    string // in the inventory
	Addr    string // under which known_hosts has it
	Daemon  string // address and port of the server that showed it
	Key     ssh.PublicKey
	State   State
	Beside  bool            // new, for a host that is known by keys of other types
	Refusal *hostkeys.Error // why it is not known; nil if it is
	policy  *hostkeys.Policy
}

// Plain is the key itself, also of a certificate.
func (k *Key) Plain() ssh.PublicKey {
	if cert, ok := k.Key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return k.Key
}

// Fingerprint is "SHA256:..." of the key itself.
func (k *Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Plain()) }

// Authority is the fingerprint of who signed the certificate that was shown,
// empty for a plain key.
func (k *Key) Authority() string {
	if cert, ok := k.Key.(*ssh.Certificate); ok {
		return ssh.FingerprintSHA256(cert.SignatureKey)
	}
	return ""
}

// judge says what a key that a host has shown is to its known_hosts. With byType
// it was asked for by type, also where the host is known by other types.
func judge(host string, t *sshpool.Target, shown sshpool.ShownKey, byType bool) Key {
	k := Key{Host: host, Addr: t.HostKeyAddr(), Daemon: shown.Daemon, Key: shown.Key, State: Known}
	k.policy, _ = t.HostKeys.(*hostkeys.Policy)
	err := t.HostKeys.Check(k.Addr, nil, shown.Key)
	if err == nil || !errors.As(err, &k.Refusal) {
		return k
	}
	switch k.Refusal.Reason {
	case hostkeys.ReasonChanged:
		k.State = Changed
		if byType && k.Refusal.OtherType() {
			k.State, k.Beside = New, true
		}
	case hostkeys.ReasonRevoked:
		k.State = Revoked
	case hostkeys.ReasonCert:
		k.State = Invalid
	default:
		k.State = New
	}
	return k
}

// Types lists the types of keys that can be asked for.
var Types = []string{"ed25519", "ecdsa", "rsa"}

// keyTypes gives the host key algorithms (RFC 8332, RFC 5656, RFC 8709) of each
// of Types.
var keyTypes = map[string][]string{
	"ed25519": {ssh.KeyAlgoED25519},
	"ecdsa":   {ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	"rsa":     {ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// ShortType is a key's type as ssh-keygen -l shows it: ED25519, ECDSA, RSA.
func ShortType(kind string) string {
	cert := ""
	if plain, ok := strings.CutSuffix(kind, "-cert-v01@openssh.com"); ok {
		kind, cert = plain, "-CERT"
	}
	switch {
	case kind == ssh.KeyAlgoED25519:
		return "ED25519" + cert
	case strings.HasPrefix(kind, "ecdsa-sha2-"):
		return "ECDSA" + cert
	case kind == ssh.KeyAlgoRSA:
		return "RSA" + cert
	}
	return kind + cert
}
