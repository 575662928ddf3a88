package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/scheduler"
	"fleet/sshpool"
)

// patient is one host while it is examined.
type patient struct {
	*ward
	h       *Host
	conn    *sshpool.Conn
	release func()
	facts   sshpool.Facts
	rtt     time.Duration
	turn    chan struct{} // holds a value of this host's while it has the connection
}

// stage is one part of the examination of a host that is connected. do fills in
// what it finds out, and returns when ctx ends.
type stage struct {
	name string // in the text of a problem: "the answer to NAME"
	do   func(p *patient, ctx context.Context) error
}

// stages in their order: the counting of sessions comes last, as it leaves the
// connection in need of a rest.
var stages = []stage{
	{"keepalive", (*patient).roundTrip},
	{"shell", (*patient).askShell},
	{"sftp", (*patient).trySFTP},
	{"sessions", (*patient).countSessions},
}

// connect connects and logs in, and notes all that this shows.
func (p *patient) connect(ctx context.Context) error {
	t, err := p.targets.Target(p.h.Name)
	if err != nil {
		return err
	}
	before := knownBefore(t)
	p.conn, p.release, err = p.pool.Get(ctx, t)
	if err != nil {
		p.facts, _ = sshpool.DialFacts(err)
		p.h.Connect = connectFacts(p.facts, "")
		p.h.HostKey = refusedKey(err)
		return err
	}
	p.facts = p.conn.Facts()
	p.h.Connect = connectFacts(p.facts, p.conn.RemoteAddr().String())
	version := p.conn.ServerVersion()
	p.h.Server = &version
	p.h.Crypto = algorithms(p.conn.Algorithms())
	p.h.HostKey = acceptedKey(t, p.facts.KnownAs, p.conn.HostKey(), before)
	p.h.Login = &Login{Methods: notNil(p.facts.Methods), Keys: notNil(p.facts.Keys)}
	return nil
}

// takeTurn waits while the same connection is examined under another name.
func (p *patient) takeTurn(ctx context.Context) error {
	p.mu.Lock()
	turn := p.turns[p.conn]
	if turn == nil {
		turn = make(chan struct{}, 1)
		p.turns[p.conn] = turn
	}
	p.mu.Unlock()
	select {
	case turn <- struct{}{}:
		p.turn = turn
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dismiss lets go of the connection.
func (p *patient) dismiss() {
	if p.turn != nil {
		<-p.turn
	}
	if p.release != nil {
		p.release()
	}
}

func connectFacts(f sshpool.Facts, remote string) *Connect {
	c := &Connect{Addresses: []string{}, Remote: remote,
		DNS: millis(f.DNS), TCP: millis(f.TCP), Banner: millis(f.Banner), Kex: millis(f.Kex), Auth: millis(f.Auth)}
	for _, a := range f.Addresses {
		c.Addresses = append(c.Addresses, a.Addr().String())
	}
	return c
}

// algorithms judges what was negotiated by the library's list of what is not safe.
func algorithms(n ssh.NegotiatedAlgorithms) *Algorithms {
	a := &Algorithms{Kex: n.KeyExchange, HostKey: n.HostKey, Cipher: n.Write.Cipher, MAC: n.Write.MAC, Weak: []string{},
		PostQuantum: slices.Contains(postQuantum, n.KeyExchange)}
	unsafe := ssh.InsecureAlgorithms()
	for _, used := range []struct {
		name string
		list []string
	}{
		{n.KeyExchange, unsafe.KeyExchanges}, {n.HostKey, unsafe.HostKeys},
		{n.Read.Cipher, unsafe.Ciphers}, {n.Write.Cipher, unsafe.Ciphers},
		{n.Read.MAC, unsafe.MACs}, {n.Write.MAC, unsafe.MACs},
	} {
		if slices.Contains(used.list, used.name) && !slices.Contains(a.Weak, used.name) {
			a.Weak = append(a.Weak, used.name)
		}
	}
	return a
}

// postQuantum are the key exchanges that a quantum computer does not undo.
var postQuantum = []string{
	ssh.KeyExchangeMLKEM768X25519, "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com",
	"mlkem768nistp256-sha256", "mlkem1024nistp384-sha384",
}

// pings is how often the round trip is measured; the median counts.
const pings = 5

func (p *patient) roundTrip(ctx context.Context) error {
	var took []time.Duration
	for range pings {
		d, err := p.conn.Ping(ctx)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	p.rtt = took[len(took)/2]
	rtt := millis(p.rtt)
	p.h.RTT = &rtt
	return nil
}

func (p *patient) trySFTP(ctx context.Context) error {
	v, err := p.conn.SFTPVersion(ctx)
	if err != nil {
		return err
	}
	p.h.SFTP = &SFTP{Version: v}
	return nil
}

// mostSessions is how many sessions are opened at once to see whether the host
// allows them: a few more than the usual limit, 10 (sshd_config(5)).
const mostSessions = 12

func (p *patient) countSessions(ctx context.Context) error {
	n, refused, err := p.conn.CountSessions(ctx, mostSessions)
	if err != nil {
		return err
	}
	p.h.Sessions = &Sessions{Open: n, AtLeast: !refused}
	return nil
}

// causeOf types an error of a connection.
func causeOf(err error) scheduler.Cause {
	var known *scheduler.Error
	if errors.As(err, &known) {
		return known.Cause
	}
	var e *sshpool.Error
	if !errors.As(err, &e) {
		return scheduler.Cause{Kind: scheduler.KindInternal, Text: err.Error()}
	}
	return scheduler.Cause{Kind: scheduler.Kind(e.Kind), Stage: scheduler.Stage(e.Stage), Text: e.Text}
}

// away is the outcome of a host without a connection, whose problem it notes.
func (p *patient) away(err error) error {
	if errors.Is(err, scheduler.ErrCanceled) {
		return err
	}
	cause := causeOf(err)
	detail := ""
	if p.h.HostKey != nil {
		detail = p.h.HostKey.detail()
	}
	if p.conn != nil { // what came before the loss may tell why
		p.h.diagnose()
	}
	p.h.Problems = append([]Problem{awayProblem(cause, detail)}, p.h.Problems...)
	return &scheduler.Error{Outcome: scheduler.Unreachable, Cause: cause, Err: err}
}

// fails notes that a stage ended badly on a connection that lives.
func (p *patient) fails(s stage, err error) {
	cause := causeOf(err)
	problem := Problem{Kind: s.name, Text: cause.Text}
	none, isNone := errors.AsType[*noShell](err)
	switch {
	case isNone:
		problem.Kind, problem.Text = "no_shell", none.how
		if none.quote != "" {
			problem.Detail = fmt.Sprintf("it says %q", none.quote)
		}
	case cause.Kind == scheduler.KindTimeout:
		problem.Text = fmt.Sprintf("no end of the check of %s within %v", s.name, p.req.Limit)
		if own, ok := errors.AsType[*stuck](err); ok {
			problem.Text = fmt.Sprintf("%s does not end within %v", own.at, p.req.Limit)
		}
	case cause.Kind == scheduler.KindSessionLimit, cause.Kind == scheduler.KindPermission && s.name == "shell":
		problem.Kind = string(cause.Kind)
	case s.name == "sftp":
		problem.Text = "no sftp: " + cause.Text
	}
	problem.Fix = stageFix(s.name, cause)
	if slices.Contains(p.h.Problems, problem) { // no session for this nor for that
		return
	}
	p.h.Problems = append(p.h.Problems, problem)
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
