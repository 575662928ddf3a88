package sshpool

import (
	"context"
	"io"

	"golang.org/x/crypto/ssh"
)

// LoginKey signs with the key, or the certificate, that logged in to the host, as
// long as the Auth is open that the login was by. It is nil where the login was
// by something else, by more than a key, or by a key that waits for a touch.
func (c *Conn) LoginKey() ssh.Signer {
	k := c.loginKey
	if k == nil || len(c.facts.Methods) != 1 || c.facts.Methods[0] != "publickey" || onToken(k.public) {
		return nil
	}
	s := k.signer
	if k.file != nil {
		s = k.file.signer // unlocked, as it has signed
	}
	if s == nil {
		return nil
	}
	return &loginSigner{k.public, s}
}

// loginSigner signs for one more login.
type loginSigner struct {
	public ssh.PublicKey // perhaps a certificate of the signer's key
	by     ssh.Signer
}

func (s *loginSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *loginSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm is part of ssh.AlgorithmSigner.
func (s *loginSigner) SignWithAlgorithm(rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
	switch by := s.by.(type) {
	case *agentSigner:
		ctx, cancel := context.WithTimeout(context.Background(), maxAgentWait)
		defer cancel()
		return by.link.sign(ctx, by.pub, data, agentFlags(algo))
	case ssh.AlgorithmSigner:
		if algo != "" {
			return by.SignWithAlgorithm(rand, data, algo)
		}
	}
	return s.by.Sign(rand, data)
}
