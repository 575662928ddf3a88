package sshpool

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// readCertificate reads a file as ssh-keygen -s writes it (PROTOCOL.certkeys).
func readCertificate(path string) (*candidate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("parse certificate %s: %s", path, keyParseText(err))
	}
	if _, ok := pub.(*ssh.Certificate); !ok {
		return nil, fmt.Errorf("parse certificate %s: it is a plain key", path)
	}
	return newCandidate(pub, path), nil
}

// certifies tells whether cert is a certificate for the key k.
func certifies(cert, k *candidate) bool {
	c, ok := cert.public.(*ssh.Certificate)
	return ok && bytes.Equal(c.Key.Marshal(), []byte(k.blob))
}

// certProblem says why a certificate is of no use now, or nothing. Whom it lets
// in is the host's to say.
func certProblem(k *candidate, now time.Time) string {
	cert, ok := k.public.(*ssh.Certificate)
	if !ok {
		return ""
	}
	at := func(t uint64) string { return time.Unix(int64(t), 0).UTC().Format("2006-01-02 15:04:05 UTC") }
	problem := ""
	switch unix := uint64(now.Unix()); {
	case cert.CertType != ssh.UserCert:
		problem = "is not for users"
	case unix < cert.ValidAfter:
		problem = "is not valid before " + at(cert.ValidAfter)
	case cert.ValidBefore != ssh.CertTimeInfinity && unix >= cert.ValidBefore:
		problem = "expired at " + at(cert.ValidBefore)
	default:
		return ""
	}
	return "certificate " + k.name + " " + problem
}

// onToken tells whether a key, or that of a certificate, lives on a FIDO token
// (PROTOCOL.u2f).
func onToken(pub ssh.PublicKey) bool {
	return strings.HasPrefix(pub.Type(), "sk-")
}

// underlying is the type of the key, that of a certificate's key.
func underlying(pub ssh.PublicKey) string {
	if cert, ok := pub.(*ssh.Certificate); ok {
		return cert.Key.Type()
	}
	return pub.Type()
}

// algorithms lists the signature algorithms to use a key with, best first: all
// but those over SHA-1, or those whose public key algorithms are in only.
func (k *candidate) algorithms(only []string) []string {
	sig := []string{underlying(k.public)}
	if sig[0] == ssh.KeyAlgoRSA {
		sig = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	if len(only) == 0 {
		if len(sig) > 1 {
			sig = sig[:2]
		}
		return sig
	}
	var picked []string
	_, certified := k.public.(*ssh.Certificate)
	for _, name := range only {
		for _, s := range sig {
			full := s
			if certified {
				full = certAlgorithm(s)
			}
			if name == full {
				picked = append(picked, s)
			}
		}
	}
	return picked
}

// certAlgorithm is the public key algorithm of a certificate whose key signs by
// the given algorithm.
func certAlgorithm(sig string) string {
	if base, ok := strings.CutSuffix(sig, "@openssh.com"); ok {
		sig = base
	}
	return sig + "-cert-v01@openssh.com"
}
