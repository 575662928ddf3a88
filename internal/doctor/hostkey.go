package doctor

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// knownBefore says whether a host has any line in known_hosts yet, where new
// keys are accepted on the way; elsewhere it does not matter.
func knownBefore(t sshpool.Target) bool {
	p, ok := t.HostKeys.(*hostkeys.Policy)
	if !ok || p.Mode != hostkeys.AcceptNew || p.Index == nil {
		return true
	}
	return len(entries(p.Index, t.HostKeyAddr())) > 0
}

// acceptedKey tells by what the key of a connected host is known.
func acceptedKey(t sshpool.Target, knownAs string, key ssh.PublicKey, before bool) *HostKey {
	k := &HostKey{Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(plain(key)), Places: []string{}}
	p, ok := t.HostKeys.(*hostkeys.Policy)
	switch {
	case !ok:
		k.State = "pinned"
		return k
	case p.Index == nil:
		k.State = "unknown"
		return k
	}
	var others []string
	for _, e := range entries(p.Index, knownAs) {
		cert, isCert := key.(*ssh.Certificate)
		switch {
		case e.Marker == hostkeys.NoMarker && same(e.Key, plain(key)):
			k.State = "known"
			k.Places = append(k.Places, e.Place())
		case e.Marker == hostkeys.Authority && isCert && same(e.Key, cert.SignatureKey):
			k.State = "certificate"
			k.Places = append(k.Places, e.Place())
		case e.Marker == hostkeys.NoMarker:
			others = append(others, e.Place())
		}
	}
	switch {
	case k.State != "" && !before:
		k.State = "accepted"
	case k.State == "" && len(others) > 0:
		k.State, k.Places = "changed", others
	case k.State == "":
		k.State = "unknown"
	}
	return k
}

// entries are the lines that decide on addr: those of its port and those without
// one, of which keys count only where the port has none of its own.
func entries(x *hostkeys.Index, addr string) []hostkeys.Entry {
	found := x.Lookup(addr)
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "22" {
		return found
	}
	isKey := func(e hostkeys.Entry) bool { return e.Marker == hostkeys.NoMarker }
	own := slices.ContainsFunc(found, isKey)
	for _, e := range x.Lookup(net.JoinHostPort(host, "22")) {
		if !own || !isKey(e) {
			found = append(found, e)
		}
	}
	return found
}

// refusedKey is the host key of a connection that was refused for it; nil where
// it was not.
func refusedKey(err error) *HostKey {
	var e *hostkeys.Error
	if !errors.As(err, &e) {
		return nil
	}
	k := &HostKey{State: string(e.Reason), Type: e.Type, Fingerprint: e.Fingerprint, Places: []string{}}
	for _, known := range e.Known {
		k.Places = append(k.Places, known.Place())
	}
	return k
}

// detail says in a few words which key it is and what speaks against it.
func (k *HostKey) detail() string {
	switch k.State {
	case "unknown":
		return k.Type + " " + k.Fingerprint
	case "changed", "revoked", "cert":
		text := "got " + k.Type + " " + k.Fingerprint
		if len(k.Places) > 0 {
			text += ", against " + strings.Join(k.Places, ", ")
		}
		return text
	}
	return ""
}

// plain gives the key that a certificate is for, and other keys as they are.
func plain(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

func same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
