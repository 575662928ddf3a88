package sshpool

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// penalties keeps account as an sshd from OpenSSH 9.8 on does: each connection
// that ends with a refused login costs its source 5 s, one without any login
// 1 s, and above 15 s the source is banned. Time takes nothing away here.
type penalties struct {
	mu     sync.Mutex
	sum    time.Duration
	logins int
}

// serve handles one connection whose every login is wrong.
func (p *penalties) serve(nc net.Conn, host ssh.Signer) {
	defer nc.Close()
	p.mu.Lock()
	banned := p.sum > 15*time.Second
	p.mu.Unlock()
	if banned {
		nc.Write([]byte("Not allowed at this time\r\n"))
		return
	}
	refused := false
	cfg := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, errors.New("no") },
		AuthLogCallback:   func(_ ssh.ConnMetadata, method string, _ error) { refused = refused || method != "none" },
	}
	cfg.AddHostKey(host)
	ssh.NewServerConn(nc, cfg)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sum += time.Second; refused {
		p.logins++
		p.sum += 4 * time.Second
	}
}

// TestPenaltyBudget sends a wrong key to a thousand hosts behind one address.
func TestPenaltyBudget(t *testing.T) {
	p, host := &penalties{}, mustSigner(t, newKey(t))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(nc, host) })
		}
	})
	names := &sshtest.Resolver{Addrs: make(map[string][]netip.Addr)}
	auth := &Auth{Signers: []ssh.Signer{mustSigner(t, newKey(t))}}
	texts := map[string]int{}
	pool := newTestPool(t, PoolConfig{Resolver: names})
	var mu sync.Mutex
	var wg sync.WaitGroup
	const hosts = 1000
	targets := make([]Target, hosts)
	for i := range targets {
		name := "web" + strings.Repeat("i", i%40) + string(rune('a'+i/40))
		names.Addrs[name] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		targets[i] = Target{Address: name, Port: ln.Addr().(*net.TCPAddr).Port, User: "me", Auth: auth, HostKeys: &exactly{host.PublicKey()}}
	}
	for _, target := range targets {
		wg.Go(func() {
			_, _, err := pool.Get(testContext(t), target)
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindAuth {
				t.Errorf("error %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			texts[e.Text]++
		})
	}
	wg.Wait()
	pool.Close()
	ln.Close()
	serving.Wait()
	if p.sum > 15*time.Second || p.logins == 0 {
		t.Errorf("%v of penalty by %d logins", p.sum, p.logins)
	}
	if len(texts) > 3 {
		t.Errorf("texts do not fold: %v", texts)
	}
}

// TestBreakerAtOnce connects to two hundred servers at the same time with what
// is wrong everywhere: it is sent to twenty of them.
func TestBreakerAtOnce(t *testing.T) {
	const hosts = 200
	w := newWorld(t, lab.Config{N: hosts, Prefix: "h", Faults: map[string]lab.Fault{"*": "deny-auth"}})
	pool := newTestPool(t, PoolConfig{})
	texts := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, h := range w.Hosts() {
		target := w.target(t, h.Name)
		wg.Go(func() {
			_, _, err := pool.Get(testContext(t), target)
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindAuth {
				t.Errorf("error %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			texts[e.Text]++
		})
	}
	wg.Wait()
	if n := w.Stats().Attempts; n != 20 {
		t.Errorf("%d logins tried", n)
	}
	key := ssh.FingerprintSHA256(w.Signer().PublicKey())
	told := 0
	for text, n := range texts {
		if strings.HasPrefix(text, "not tried: stopped after 20 refused logins in a row; first: login refused; tried ssh-ed25519 "+key) {
			told += n
		}
	}
	if told != hosts-20 || len(texts) != 2 {
		t.Errorf("%d hosts tell why they were left out: %v", told, texts)
	}
}

// TestBreakerLetsTheRestGo once one login has worked, or does not come to an
// end; a host that never answers does not hold up the others for long.
func TestBreakerLetsTheRestGo(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	key := loginKey{&Auth{}, "me"}
	for name, end := range map[string]*Error{"worked": nil, "timed out": {Kind: KindTimeout}} {
		b := &breaker{most: 2}
		var leave []func(*Error)
		for range 2 {
			l, err := b.enter(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		in := make(chan error)
		go func() {
			_, err := b.enter(ctx, key)
			in <- err
		}()
		for waiting := false; !waiting; {
			b.mu.Lock()
			waiting = len(b.waiting) == 1
			b.mu.Unlock()
		}
		leave[0](end)
		if err := <-in; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := &breaker{most: 1}
	if _, err := b.enter(ctx, key); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err := b.enter(ctx, key)
	wantError(t, err, KindCanceled, StageAuth)
	if len(b.waiting) != 0 {
		t.Error("a canceled login still waits")
	}
}
