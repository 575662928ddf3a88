package hostkeys

import (
	"crypto/rsa"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Mode says what becomes of hosts that are not known.
type Mode int

const (
	Strict      Mode = iota // refused
	AcceptNew               // accepted, and written to the policy's file
	InsecureOff             // no key is checked, but revoked ones are refused
)

func (m Mode) String() string {
	switch m {
	case Strict:
		return "strict"
	case AcceptNew:
		return "accept-new"
	case InsecureOff:
		return "insecure-off"
	}
	return "invalid"
}

// Policy decides on host keys. The fields are set before first use and not
// changed after. All methods may be called from many goroutines at once.
type Policy struct {
	Mode  Mode
	Index *Index           // nil is an empty one
	File  string           // where AcceptNew appends; if empty, new keys are kept for this run only
	Hash  bool             // append hashed names
	Now   func() time.Time // for the validity of certificates; nil is time.Now
	// Revoked are refused whatever the mode, as keys that the index has as revoked
	// are. May be nil.
	Revoked *RevokedKeys
	// MinRSA is the least length in bits of RSA keys, whatever the mode; 0 is any.
	MinRSA int
	// CAAlgorithms are those that authorities may sign certificates by, in the names
	// of golang.org/x/crypto/ssh; nil is all but those over SHA-1, which never count.
	CAAlgorithms []string

	once  sync.Once
	index *Index
	keep  keeper
}

// idx gives the index, an empty one where none was set.
func (p *Policy) idx() *Index {
	p.once.Do(func() {
		if p.index = p.Index; p.index == nil {
			p.index = newIndex()
		}
	})
	return p.index
}

// Algorithms gives the host key algorithms to offer to addr, best first, as
// Index.Algorithms does; nil if nothing is known of the host or keys are not
// checked.
func (p *Policy) Algorithms(addr string) []string {
	if p.Mode == InsecureOff {
		return nil
	}
	return p.idx().Algorithms(addr)
}

// Check decides on the key that the host at addr has shown and proved to have.
// It is nil for a key that is accepted and an *Error for one that is refused,
// never another type. With AcceptNew it returns after a new host's key is on
// disk, at most lockLimit late if another process holds the file; a key that
// could not be written is accepted for this run, see Unwritten. The address
// remote is not used: keys belong to names, as with CheckHostIP=no.
//
// The signature fits ssh.HostKeyCallback.
func (p *Policy) Check(addr string, remote net.Addr, key ssh.PublicKey) error {
	if err := p.checkAlways(addr, key); err != nil {
		return err
	}
	if p.Mode == InsecureOff {
		return nil
	}
	err := p.judge(addr, key)
	if err == nil {
		return nil
	}
	if p.Mode == AcceptNew && err.Reason == ReasonUnknown {
		err = p.accept(addr, certified(key))
	}
	if err != nil {
		return err
	}
	return nil
}

// judge decides by the index alone. A key known for the name without its port is
// good for every port that no key is known of, as in ssh; another key there says
// nothing.
func (p *Policy) judge(addr string, key ssh.PublicKey) *Error {
	x := p.idx()
	name, bare := lineName(addr)
	var certErr *Error
	if cert, ok := key.(*ssh.Certificate); ok {
		if certErr = p.checkCert(addr, cert); certErr == nil {
			return nil
		}
	}
	plain := certified(key).Marshal()
	if x.knows(name, plain) {
		return nil
	}
	known, authorities := x.speak(name)
	if bare != "" {
		if len(known) == 0 && x.knows(bare, plain) {
			return nil
		}
		_, more := x.speak(bare)
		authorities = append(authorities, more...)
	}
	switch {
	case len(known) > 0:
		return newError(ReasonChanged, addr, key, known)
	case len(authorities) == 0:
		return newError(ReasonUnknown, addr, key, nil)
	case certErr == nil:
		certErr = newError(ReasonCert, addr, key, nil)
		certErr.problem = "host has an authority but showed no certificate"
	}
	certErr.Known = authorities
	return certErr
}

// speak gives the entries that a name is known by: its own keys, of types that
// can be checked at all, and its authorities.
func (x *Index) speak(name string) (known, authorities []Entry) {
	for _, e := range x.entries(x.find(name)) {
		switch {
		case e.Marker == Authority:
			authorities = append(authorities, e)
		case e.Marker == NoMarker && isUsable(e.Key.Type()):
			known = append(known, e)
		}
	}
	return known, authorities
}

// knows says whether an unmarked line that means name holds the key.
func (x *Index) knows(name string, blob []byte) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, n := range x.findKey(blob) {
		if l := &x.lines[n]; l.marker == NoMarker && matchNames(l.hosts, name) {
			return true
		}
	}
	return false
}

// checkAlways refuses what no mode and no line makes right.
func (p *Policy) checkAlways(addr string, key ssh.PublicKey) error {
	if err := checkLength(addr, key, p.MinRSA); err != nil {
		return err
	}
	return p.checkRevoked(addr, key)
}

// checkLength refuses an RSA key of fewer bits than least.
func checkLength(addr string, key ssh.PublicKey, least int) error {
	crypto, ok := certified(key).(ssh.CryptoPublicKey)
	if !ok {
		return nil
	}
	public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	if !ok || public.N.BitLen() >= least {
		return nil
	}
	err := newError(ReasonCert, addr, key, nil)
	err.problem = "host key is too short"
	err.detail = fmt.Sprintf("%d bits, at least %d are required", public.N.BitLen(), least)
	return err
}

// checkRevoked refuses a key that is revoked, a certificate for one, and a
// certificate signed by one, whatever names the line has: sshd(8) says that
// revoked keys must not ever be accepted.
func (p *Policy) checkRevoked(addr string, key ssh.PublicKey) error {
	if p.Revoked.has(key) {
		return p.Revoked.refuse(addr, key)
	}
	return p.idx().checkRevoked(addr, key)
}

func (x *Index) checkRevoked(addr string, key ssh.PublicKey) error {
	blobs := [][]byte{certified(key).Marshal()}
	if cert, ok := key.(*ssh.Certificate); ok {
		blobs = append(blobs, cert.SignatureKey.Marshal())
	}
	for i, blob := range blobs {
		revoked := x.entries(x.findMarked(Revoked, blob))
		if len(revoked) == 0 {
			continue
		}
		err := newError(ReasonRevoked, addr, key, revoked)
		if i > 0 {
			err.problem = "authority of the host certificate is revoked"
		}
		return err
	}
	return nil
}

// findMarked gives the lines with a marker that hold a key.
func (x *Index) findMarked(m Marker, blob []byte) []int32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []int32
	for _, n := range x.findKey(blob) {
		if x.lines[n].marker == m {
			found = append(found, n)
		}
	}
	return found
}

// certified gives the key that a certificate is for, and other keys as they are.
func certified(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}
