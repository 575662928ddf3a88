package hostkeys

import (
	"strings"

	"golang.org/x/crypto/ssh"
)

// Reason says why a host's key was refused.
type Reason string

const (
	ReasonUnknown Reason = "unknown" // no line means the host
	ReasonChanged Reason = "changed" // lines mean the host, with other keys
	ReasonRevoked Reason = "revoked" // the key, or the authority that signed it, is revoked
	ReasonCert    Reason = "cert"    // an authority vouches for the host, but its certificate is missing or not valid; or the key is too short
)

// Error is the refusal of a host's key. Its texts never hold the host's name
// or address.
type Error struct {
	Reason      Reason
	Addr        string  // as given to Check
	Type        string  // of the key that the host showed
	Fingerprint string  // of that key, "SHA256:..."; of the certified key for a certificate
	Known       []Entry // the lines that speak against it

	problem string // what is wrong with a certificate, equal for equal causes
	detail  string // what is wrong with this one
}

// newError makes an Error about a key, which may be a certificate.
func newError(reason Reason, addr string, key ssh.PublicKey, known []Entry) *Error {
	e := &Error{Reason: reason, Addr: addr, Type: key.Type(), Known: known}
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	e.Fingerprint = ssh.FingerprintSHA256(key)
	return e
}

// Text is the cause without anything that differs from host to host, so that
// equal causes fold.
func (e *Error) Text() string {
	if e.problem != "" {
		return e.problem
	}
	switch e.Reason {
	case ReasonChanged:
		return "host key changed"
	case ReasonRevoked:
		return "host key is revoked"
	case ReasonCert:
		return "host certificate is not valid"
	}
	return "host key is not in known_hosts"
}

// Detail says which key was shown and which were known, with their places.
func (e *Error) Detail() string {
	var b strings.Builder
	if e.detail != "" {
		b.WriteString(e.detail + ", ")
	}
	for i, k := range e.Known {
		switch {
		case i > 0:
			b.WriteString(", ")
		case e.Reason == ReasonRevoked:
			b.WriteString("revoked ")
		case e.Reason == ReasonCert:
			b.WriteString("authority ")
		default:
			b.WriteString("known ")
		}
		b.WriteString(ssh.FingerprintSHA256(k.Key) + " (" + k.Key.Type() + ", " + k.Place() + ")")
	}
	if len(e.Known) > 0 {
		b.WriteString(", ")
	}
	b.WriteString("got " + e.Fingerprint + " (" + e.Type + ")")
	return b.String()
}

// Error is Text and Detail.
func (e *Error) Error() string { return e.Text() + ": " + e.Detail() }

// HostKeyReason is the reason as a word: unknown, changed, revoked or cert.
func (e *Error) HostKeyReason() string { return string(e.Reason) }
