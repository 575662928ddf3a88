package hostkeys

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// checkCert says whether cert proves that the host is the one at addr: it is a
// host certificate (OpenSSH's PROTOCOL.certkeys), signed without SHA-1 by an
// authority that a line names for the host, valid now, for this name, and
// without critical options, none of which is defined for hosts.
func (p *Policy) checkCert(addr string, cert *ssh.Certificate) *Error {
	refuse := func(problem, detail string) *Error {
		err := newError(ReasonCert, addr, cert, nil)
		err.problem, err.detail = problem, detail
		return err
	}
	if cert.CertType != ssh.HostCert {
		return refuse("certificate shown by the host is not a host certificate", "")
	}
	if !p.isAuthority(addr, cert.SignatureKey) {
		return refuse("host certificate is signed by an unknown authority",
			"signed by "+ssh.FingerprintSHA256(cert.SignatureKey))
	}
	if cert.Signature == nil || !isSoundSignature(cert.Signature.Format) {
		return refuse("host certificate is signed by an unsafe algorithm", "")
	}
	if p.CAAlgorithms != nil && !slices.Contains(p.CAAlgorithms, cert.Signature.Format) {
		return refuse("host certificate is signed by an algorithm that is not allowed", "signed by "+clip(strconv.QuoteToASCII(cert.Signature.Format)))
	}
	if len(cert.CriticalOptions) > 0 {
		return refuse("host certificate has critical options", quoteAll(keysOf(cert.CriticalOptions)))
	}
	if !isPrincipal(cert.ValidPrincipals, hostOf(addr)) {
		return refuse("host certificate is for other names", "principals "+quoteAll(cert.ValidPrincipals))
	}
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	at := uint64(max(now().Unix(), 0))
	if at < cert.ValidAfter {
		return refuse("host certificate is not valid yet", "valid from "+certTime(cert.ValidAfter))
	}
	if at >= cert.ValidBefore {
		return refuse("host certificate has expired", "valid until "+certTime(cert.ValidBefore))
	}
	if !p.isSigned(cert) {
		return refuse("host certificate has a wrong signature", "")
	}
	return nil
}

// isSigned leaves the signature to the library, which alone can tell what was signed.
func (p *Policy) isSigned(cert *ssh.Certificate) bool {
	principal := ""
	if len(cert.ValidPrincipals) > 0 {
		principal = cert.ValidPrincipals[0] // whether it is ours was checked before
	}
	checker := ssh.CertChecker{Clock: p.Now}
	return checker.CheckCert(principal, cert) == nil
}

// isAuthority says whether a line names key as an authority for addr.
func (p *Policy) isAuthority(addr string, key ssh.PublicKey) bool {
	x := p.idx()
	name, bare := lineName(addr)
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, n := range x.findKey(key.Marshal()) {
		l := &x.lines[n]
		if l.marker == Authority && (matchNames(l.hosts, name) || bare != "" && matchNames(l.hosts, bare)) {
			return true
		}
	}
	return false
}

// isPrincipal says whether host, in lower case, is among the names of a
// certificate, byte for byte as ssh compares them. No names mean any host.
func isPrincipal(principals []string, host string) bool {
	return len(principals) == 0 || slices.Contains(principals, host)
}

// isSoundSignature refuses signatures made with SHA-1, as CASignatureAlgorithms
// of ssh_config(5) does.
func isSoundSignature(format string) bool {
	switch format {
	case "", ssh.KeyAlgoRSA, keyDSA:
		return false
	}
	return true
}

// certTime shows a moment in a certificate, seconds since 1970.
func certTime(t uint64) string {
	if t > 1<<40 {
		return "forever"
	}
	return time.Unix(int64(t), 0).UTC().Format(time.RFC3339)
}

func keysOf(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func quoteAll(words []string) string {
	var quoted []string
	for _, w := range words[:min(len(words), 10)] {
		quoted = append(quoted, fmt.Sprintf("%q", clip(w)))
	}
	if len(words) > 10 {
		quoted = append(quoted, fmt.Sprintf("and %d more", len(words)-10))
	}
	return strings.Join(quoted, ", ")
}
