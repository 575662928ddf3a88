package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentLink is one connection to an agent and the keys it listed.
type agentLink struct {
	conn   net.Conn
	client agent.ExtendedAgent
	keys   []*candidate
}

// maxAgentWait bounds the listing of an agent's keys.
const maxAgentWait = 5 * time.Second

// agentKeys lists the keys of the agent, once for all logins of an Auth.
func (d *dialer) agentKeys() ([]*candidate, error) {
	a := d.t.Auth
	if a.AgentSocket == "" {
		return nil, nil
	}
	a.agentMu.Lock()
	defer a.agentMu.Unlock()
	if a.agent != nil {
		return a.agent.keys, nil
	}
	ctx, cancel := context.WithTimeout(d.ctx, maxAgentWait)
	defer cancel()
	link, err := openAgent(ctx, a)
	if err != nil {
		return nil, err
	}
	a.agent = link
	return link.keys, nil
}

func openAgent(ctx context.Context, a *Auth) (*agentLink, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", a.AgentSocket)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", innermost(err))
	}
	link := &agentLink{conn: conn, client: agent.NewClient(conn)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	list, err := link.client.List()
	if !stop() && err != nil {
		err = errors.New("no answer")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("agent: %w", err)
	}
	for _, k := range list {
		pub, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			continue // a type of key that the library does not know
		}
		c := newCandidate(pub, "agent: "+k.Comment)
		c.signer = &agentSigner{a, link, pub}
		link.keys = append(link.keys, c)
	}
	return link, nil
}

// dropAgent closes the link that did not answer, so that what waits on it ends;
// the next login opens another. Nil means whichever is open.
func (a *Auth) dropAgent(link *agentLink) {
	a.agentMu.Lock()
	defer a.agentMu.Unlock()
	if a.agent != nil && (link == nil || link == a.agent) {
		link, a.agent = a.agent, nil
	}
	if link != nil {
		link.conn.Close()
	}
}

// agentSigner signs through an agent.
type agentSigner struct {
	a    *Auth
	link *agentLink
	pub  ssh.PublicKey
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.pub }

func (s *agentSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return s.link.client.Sign(s.pub, data)
}

// signFor signs for one login, within its limit.
func (s *agentSigner) signFor(d *dialer, data []byte, algo string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algo {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	type answer struct {
		sig *ssh.Signature
		err error
	}
	got := make(chan answer, 1)
	go func() {
		sig, err := s.link.client.SignWithFlags(s.pub, data, flags)
		got <- answer{sig, err}
	}()
	ctx := d.ctx
	if !d.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.until)
		defer cancel()
	}
	select {
	case a := <-got:
		if a.err != nil {
			a.err = fmt.Errorf("agent did not sign: %w", a.err)
			d.auth.notes = append(d.auth.notes, a.err.Error())
		}
		return a.sig, a.err
	case <-ctx.Done():
		s.a.dropAgent(s.link)
		e := d.fail(context.DeadlineExceeded)
		e.Text += ": the agent did not sign"
		d.auth.final = e
		return nil, e
	}
}

// innermost is the last error of a chain, without addresses and operations.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
