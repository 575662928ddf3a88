package hostkeys

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// preference lists host key algorithms best first. Those of SHA-1 and DSA are
// left out: RFC 8332 section 3.1, RFC 9142 section 1.1.
var preference = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256,
	ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512,
	ssh.KeyAlgoRSASHA256,
}

// certPreference lists host certificate algorithms best first.
var certPreference = []string{
	ssh.CertAlgoED25519v01,
	ssh.CertAlgoECDSA256v01,
	ssh.CertAlgoECDSA384v01,
	ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01,
	ssh.CertAlgoRSASHA256v01,
}

// DefaultAlgorithms gives the host key algorithms to offer to a host of which
// nothing is known, best first. The caller owns the slice.
func DefaultAlgorithms() []string { return slices.Clone(preference) }

// Algorithms gives the host key algorithms to offer to addr, best first, so
// that the host shows a key that can be checked: certificates if an authority
// vouches for the host, then the types of its known keys, then all others. It
// is nil if the index holds nothing on the host. SHA-1 and DSA never appear.
// The caller owns the slice.
func (x *Index) Algorithms(addr string) []string {
	name, bare := lineName(addr)
	kinds, authority := x.kinds(name)
	if len(kinds) == 0 && !authority && bare != "" {
		kinds, authority = x.kinds(bare)
	}
	if len(kinds) == 0 && !authority {
		return nil
	}
	var list []string
	if authority {
		list = append(list, certPreference...)
	}
	for _, algo := range preference {
		if slices.Contains(kinds, keyType(algo)) {
			list = append(list, algo)
		}
	}
	for _, algo := range preference {
		if !slices.Contains(kinds, keyType(algo)) {
			list = append(list, algo)
		}
	}
	return list
}

// kinds gives the types of the known keys of a name, and whether an authority
// vouches for it.
func (x *Index) kinds(name string) (kinds []string, authority bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, n := range x.findNamed(name) {
		switch l := &x.lines[n]; l.marker {
		case Authority:
			authority = true
		case NoMarker:
			kinds = append(kinds, l.kind)
		}
	}
	if len(kinds) > 0 {
		return kinds, authority
	}
	for _, n := range x.searchSome(name) {
		kinds = append(kinds, x.lines[n].kind)
	}
	return kinds, authority
}

// keyType gives the type of the keys that sign by a host key algorithm.
func keyType(algo string) string {
	if strings.HasPrefix(algo, "rsa-sha2-") {
		return ssh.KeyAlgoRSA
	}
	return algo
}

// isUsable says whether keys of a type can prove a host's identity here at all.
func isUsable(kind string) bool {
	return slices.ContainsFunc(preference, func(algo string) bool { return keyType(algo) == kind })
}

// certTypes gives for each type of certificate the type of the key in it.
var certTypes = map[string]string{
	ssh.CertAlgoED25519v01:  ssh.KeyAlgoED25519,
	ssh.CertAlgoECDSA256v01: ssh.KeyAlgoECDSA256,
	ssh.CertAlgoECDSA384v01: ssh.KeyAlgoECDSA384,
	ssh.CertAlgoECDSA521v01: ssh.KeyAlgoECDSA521,
	ssh.CertAlgoRSAv01:      ssh.KeyAlgoRSA,
}
