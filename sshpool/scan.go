package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// ShownKey is the key that a host has shown and proved to have.
type ShownKey struct {
	Key    ssh.PublicKey // a *ssh.Certificate where the host showed one
	Daemon string        // "address:port" of the server that showed it, behind "JUMP > " for each jump host
}

// ScanKey connects to t, up to the point where the host has proved to have its
// key, and disconnects: nothing is logged in to and no secret is sent. The host
// is asked for the key that t.HostKeys wants first, else for the default order;
// t.Algorithms.HostKeys stands above both. Whether the key is the right one is
// not checked. User and Auth are not needed. Errors are of type *Error.
//
// An sshd from OpenSSH 9.8 on counts each such connection against the client's
// address and bans it when there are too many; a Scanner keeps below that.
func ScanKey(ctx context.Context, t Target) (ssh.PublicKey, error) {
	scan := t.forScan()
	_, err := dial(ctx, t, nil)
	return scan.result(err)
}

// HostKeyAddr is the address under which the host's key is looked up, as
// HostKeys gets it.
func (t *Target) HostKeyAddr() string { return t.knownAs() }

// keyScan takes the place of a target's checker: it keeps the key that was
// shown and refuses it, which ends the connection.
type keyScan struct {
	checker HostKeyChecker // says what to ask for; may be nil
	key     ssh.PublicKey
	remote  net.Addr
}

// errScanned is the end of a connection that was made for its key alone.
var errScanned = errors.New("host key read")

func (s *keyScan) Algorithms(addr string) []string {
	if s.checker == nil {
		return nil
	}
	return s.checker.Algorithms(addr)
}

func (s *keyScan) Check(_ string, remote net.Addr, key ssh.PublicKey) error {
	s.key, s.remote = key, remote
	return errScanned
}

// forScan makes t one that stops before login.
func (t *Target) forScan() *keyScan {
	scan := &keyScan{checker: t.HostKeys}
	t.HostKeys = scan
	if t.User == "" {
		t.User = "nobody"
	}
	if t.Auth == nil {
		t.Auth = &Auth{}
	}
	return scan
}

// result takes the error apart with which a scan ends.
func (s *keyScan) result(err error) (ssh.PublicKey, error) {
	if errors.Is(err, errScanned) && s.key != nil {
		return s.key, nil
	}
	if err == nil { // it cannot log in, having refused every key
		err = &Error{Op: opDial, Kind: KindInternal, Stage: StageKex, Text: "host key was not checked"}
	}
	return nil, err
}

// An sshd from 9.8 on counts a connection that ends without a login as 1 s of
// penalty for the client's address and turns the address away while more than
// 15 s are left (sshd_config(5), PerSourcePenalties). A server gets scanBurst such
// connections, and one more for each scanRefill that has passed: 5 are left for
// others at this address.
const (
	scanBurst  = 10
	scanRefill = 6 * time.Second
)

// ErrScanBudget is the cause where a host was left out, as its server has had as
// many connections without a login as it may get for now.
var ErrScanBudget = errors.New("scan budget used up")

// Scanner collects host keys by ordinary connections that stop before login,
// paced as the pool's others. Of targets that are one server (the same address
// and port, reached directly) one is asked and the answer is that of all. It may
// be used from many goroutines at once.
type Scanner struct {
	pool *Pool

	mu    sync.Mutex
	spent map[string]*spending
	asked map[string]*question
}

// spending is how much of its budget a server has used, as of some time.
type spending struct {
	n  float64
	at time.Time
}

// question is a server that is being asked for a key, or has answered.
type question struct {
	what string
	done chan struct{} // closed when there is an answer
	key  *ShownKey
	err  *Error // in place of a key
}

// NewScanner gives a scanner that connects as pool does.
func NewScanner(pool *Pool) *Scanner {
	return &Scanner{pool: pool, spent: make(map[string]*spending), asked: make(map[string]*question)}
}

// Key gives the key that t shows, see ScanKey. Errors are of type *Error and
// wrap ErrScanBudget where the server was left alone.
func (s *Scanner) Key(ctx context.Context, t Target) (ShownKey, error) {
	scan := t.forScan()
	if t.Resolver == nil {
		t.Resolver = s.pool.cfg.Resolver
	}
	if t.Log == nil {
		t.Log = s.pool.cfg.Log
	}
	if err := t.check(); err != nil {
		return ShownKey{}, err
	}
	one := &scanning{s: s, t: &t, scan: scan}
	_, _, err := s.pool.connect(ctx, t, one.enter)
	if one.shared != nil {
		return *one.shared, nil
	}
	key, err := scan.result(err)
	if err != nil {
		return ShownKey{}, err
	}
	return ShownKey{Key: key, Daemon: one.daemon}, nil
}

// scanning is one call of Key.
type scanning struct {
	s      *Scanner
	t      *Target
	scan   *keyScan
	daemon string
	shared *ShownKey // the answer that another call got
}

// enter is the pool's gate, see there, behind what the scanner knows and allows.
func (o *scanning) enter(ctx context.Context, key string) (func(error), error) {
	o.daemon = daemonOf(key)
	var q *question
	if o.t.ProxyCommand == "" && o.t.nearest().DialContext == nil { // else nothing tells which server it is
		var err error
		if q, err = o.s.ask(ctx, key+" "+strings.Join(o.asksFor(), ",")); err != nil {
			return nil, err
		}
		if q.key != nil {
			o.shared = q.key
			return nil, &Error{Op: opDial, Kind: KindHostKeyUnknown, Stage: StageKex, Err: errScanned, Text: errScanned.Error()}
		}
	}
	leave, err := o.pass(ctx, key)
	if err != nil {
		o.s.answer(q, nil, err)
		return nil, err
	}
	return func(err error) {
		if errors.Is(err, errScanned) {
			o.s.answer(q, &ShownKey{Key: o.scan.key, Daemon: o.daemon}, nil)
		} else {
			o.s.refund(key, err)
			o.s.answer(q, nil, err)
		}
		leave(err)
	}, nil
}

// asksFor is what tells questions to one server apart.
func (o *scanning) asksFor() []string {
	if own := o.t.Algorithms.HostKeys; len(own) > 0 {
		return own
	}
	return o.scan.Algorithms(o.t.knownAs())
}

// pass takes one connection from the server's budget, then waits for its turn.
func (o *scanning) pass(ctx context.Context, key string) (func(error), error) {
	if err := o.s.spend(key, time.Now()); err != nil {
		return nil, err
	}
	leave, err := o.s.pool.pacer.enter(ctx, key)
	if err != nil {
		o.s.refund(key, err)
	}
	return leave, err
}

// ask gives the answer to a question that was asked before, or the question
// itself to whoever asks it first: that one calls answer. Those who wait for an
// answer share its error too, but not that its asker was canceled.
func (s *Scanner) ask(ctx context.Context, what string) (*question, error) {
	for {
		s.mu.Lock()
		q := s.asked[what]
		if q == nil {
			q = &question{what: what, done: make(chan struct{})}
			s.asked[what] = q
			s.mu.Unlock()
			return q, nil
		}
		s.mu.Unlock()
		select {
		case <-q.done:
		case <-ctx.Done():
			return nil, canceledError(ctx, opDial, StageTCP)
		}
		switch {
		case q.key != nil:
			return q, nil
		case q.err != nil && q.err.Kind != KindCanceled:
			own := *q.err
			return nil, &own
		}
	}
}

// answer ends a question. One that failed may be asked again.
func (s *Scanner) answer(q *question, key *ShownKey, err error) {
	if q == nil {
		return
	}
	q.key = key
	if e := (*Error)(nil); errors.As(err, &e) {
		own := *e
		q.err = &own
	}
	if key == nil {
		s.mu.Lock()
		delete(s.asked, q.what)
		s.mu.Unlock()
	}
	close(q.done)
}

// spend takes one connection from a server's budget.
func (s *Scanner) spend(key string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.spent[key]
	if b == nil {
		b = &spending{at: now}
		s.spent[key] = b
	}
	b.n = max(0, b.n-float64(now.Sub(b.at))/float64(scanRefill))
	b.at = now
	if b.n+1 > scanBurst {
		return &Error{Op: opDial, Kind: KindThrottled, Stage: StageTCP, Err: ErrScanBudget, after: now.Add(time.Minute),
			Text: fmt.Sprintf("left out: its server had %d connections without a login within a minute, and may ban at 15", scanBurst)}
	}
	b.n++
	return nil
}

// refund gives back what a connection did not cost, as no server saw it.
func (s *Scanner) refund(key string, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageTCP && e.Stage != StageDNS {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.spent[key]; b != nil {
		b.n = max(0, b.n-1)
	}
}

// farewell ends a connection politely, within its first key exchange, as long
// as nothing is encrypted in our direction (RFC 4253 section 11.1). That the
// other side may be gone already is no matter.
func (w *wire) farewell(why string) {
	const disconnect, byApplication = 1, 11
	payload := binary.BigEndian.AppendUint32([]byte{disconnect}, byApplication)
	payload = binary.BigEndian.AppendUint32(payload, uint32(len(why)))
	payload = append(payload, why...)
	payload = binary.BigEndian.AppendUint32(payload, 0) // language
	const block, head = 8, 5
	pad := block - (head+len(payload))%block
	if pad < 4 {
		pad += block
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	packet = append(packet, byte(pad))
	packet = append(packet, payload...)
	packet = append(packet, make([]byte, pad)...)
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.send(packet)
}
