package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// How an agent is used.
const (
	maxAgentWait  = 5 * time.Second  // for the list of its keys
	agentRest     = 30 * time.Second // before one that did not answer is asked again
	maxSignatures = 16               // at once
)

// agentState is an Auth's agent: what it holds, or why that is not known.
type agentState struct {
	turn  turn
	mu    sync.Mutex
	link  *agentLink
	err   error
	again time.Time // not before this after err
}

// agentLink is an agent that has listed its keys.
type agentLink struct {
	socket string
	keys   []*candidate
	turns  turns // to make a signature

	mu     sync.Mutex
	idle   []*agentConn
	closed bool
}

// agentConn is a connection to an agent; it notes when it is broken.
type agentConn struct {
	net.Conn
	client agent.ExtendedAgent
	broken atomic.Bool
}

func (c *agentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func (c *agentConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// agentKeys lists the keys of the agent, once for all logins of an Auth. An
// agent that did not answer is left alone for a while, so that only one login
// waits for it.
func (a *Auth) agentKeys(ctx context.Context) ([]*candidate, error) {
	if a.AgentSocket == "" {
		return nil, nil
	}
	s := &a.agents
	if err := s.turn.take(ctx); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	defer s.turn.give()
	if s.link != nil {
		return s.link.keys, nil
	}
	if s.err != nil && time.Now().Before(s.again) {
		return nil, s.err
	}
	waiting, cancel := context.WithTimeout(ctx, maxAgentWait)
	defer cancel()
	link, err := openAgent(waiting, a)
	if err != nil {
		if ctx.Err() == nil {
			s.err, s.again = err, time.Now().Add(agentRest)
		}
		return nil, err
	}
	s.mu.Lock()
	s.link = link
	s.mu.Unlock()
	return link.keys, nil
}

// close ends all connections to the agent.
func (s *agentState) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.link.close()
	}
}

// openAgent asks the agent for its keys.
func openAgent(ctx context.Context, a *Auth) (*agentLink, error) {
	link := &agentLink{socket: a.AgentSocket, turns: newTurns(maxSignatures)}
	conn, err := link.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", innermost(err))
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	list, err := conn.client.List()
	if !stop() && err != nil {
		err = errors.New("no answer")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("agent: %w", err)
	}
	link.put(conn)
	for _, k := range list {
		pub, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			continue // a type of key that the library does not know
		}
		c := newCandidate(pub, "agent: "+shown(k.Comment, false))
		c.signer = &agentSigner{link, pub}
		link.keys = append(link.keys, c)
	}
	return link, nil
}

func (l *agentLink) connect(ctx context.Context) (*agentConn, error) {
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, "unix", l.socket)
	if err != nil {
		return nil, err
	}
	c := &agentConn{Conn: nc}
	c.client = agent.NewClient(c)
	return c, nil
}

// take gives a connection that nobody uses; fresh tells that it is a new one.
func (l *agentLink) take(ctx context.Context) (c *agentConn, fresh bool, err error) {
	l.mu.Lock()
	for len(l.idle) > 0 {
		c, l.idle = l.idle[len(l.idle)-1], l.idle[:len(l.idle)-1]
		if !c.broken.Load() {
			l.mu.Unlock()
			return c, false, nil
		}
		c.Close()
	}
	l.mu.Unlock()
	c, err = l.connect(ctx)
	return c, true, err
}

// put takes a connection back.
func (l *agentLink) put(c *agentConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || c.broken.Load() {
		c.Close()
		return
	}
	l.idle = append(l.idle, c)
}

func (l *agentLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.idle {
		c.Close()
	}
	l.idle = nil
}

// sign asks for one signature, on a connection of its own; an agent that was
// started anew meanwhile is connected to again.
func (l *agentLink) sign(ctx context.Context, pub ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	for {
		c, fresh, err := l.take(ctx)
		if err != nil {
			return nil, innermost(err)
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		sig, err := c.client.SignWithFlags(pub, data, flags)
		if !stop() {
			c.Close()
			if err != nil {
				return nil, ctx.Err()
			}
			return sig, nil
		}
		if err == nil {
			l.turns.moved.Add(1)
			l.put(c)
			return sig, nil
		}
		again := !fresh && c.broken.Load()
		if l.put(c); !again {
			return nil, err
		}
	}
}

// agentSigner signs through an agent.
type agentSigner struct {
	link *agentLink
	pub  ssh.PublicKey
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.pub }

func (s *agentSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return s.link.sign(context.Background(), s.pub, data, 0)
}

// agentFlags ask an agent for a signature by that algorithm.
func agentFlags(algo string) agent.SignatureFlags {
	switch algo {
	case ssh.KeyAlgoRSASHA256:
		return agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		return agent.SignatureFlagRsaSha512
	}
	return 0
}

// signFor signs for one login: within its limit, or, where the key waits for a
// touch, when its turn has come.
func (s *agentSigner) signFor(o *offered, data []byte, algo string) (*ssh.Signature, error) {
	d := o.d
	if onToken(s.pub) {
		return s.signByTouch(o, data)
	}
	if err := d.person(func() error { return s.link.turns.take(d.ctx, d.limit) }); err != nil {
		return nil, s.unsigned(d, err)
	}
	defer s.link.turns.give()
	ctx := d.ctx
	if !d.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, d.until)
		defer cancel()
	}
	sig, err := s.link.sign(ctx, s.pub, data, agentFlags(algo))
	if err != nil {
		return nil, s.unsigned(d, err)
	}
	return sig, nil
}

// unsigned is the error of a signature that was not made. An agent that says no
// leaves the login to the other keys; one that says nothing ends it.
func (s *agentSigner) unsigned(d *dialer, err error) error {
	if d.ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errNoTurn) {
		err = fmt.Errorf("agent did not sign: %w", err)
		d.auth.note(err.Error())
		return err
	}
	e := d.fail(context.DeadlineExceeded)
	e.Text += ": the agent did not sign"
	d.auth.final = e
	return e
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
