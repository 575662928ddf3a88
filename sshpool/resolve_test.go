package sshpool

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// named is a target with a name that r looks up.
func named(t testing.TB, name string, r Resolver) (*world, Target) {
	w, target := one(t, "")
	ip := netip.MustParseAddr(target.Address)
	if fake, ok := r.(*sshtest.Resolver); ok {
		fake.Addrs = map[string][]netip.Addr{"good.example": {ip}, "none.example": nil,
			"two.example": {netip.MustParseAddr("127.255.3.4"), ip}}
	}
	target.KnownAs, target.Address, target.Resolver = target.addr(), name, r
	return w, target
}

func TestResolve(t *testing.T) {
	for name, text := range map[string]string{
		"good.example": "", "two.example": "",
		"bad.example": "no such host", "none.example": "name has no address",
	} {
		_, target := named(t, name, &sshtest.Resolver{})
		c, err := Dial(testContext(t), target)
		if text == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			c.Close()
			continue
		}
		if e := wantError(t, err, KindDNS, StageDNS); e.Text != text {
			t.Errorf("%s: text %q, want %q", name, e.Text, text)
		}
	}
}

func TestSlowResolver(t *testing.T) {
	deaf := make(chan struct{})
	defer close(deaf)
	for name, r := range map[string]*sshtest.Resolver{
		"slow": {Delay: time.Minute}, "mute": {Never: true}, "deaf": {Deaf: deaf},
	} {
		_, target := named(t, "good.example", r)
		target.Limits.DNS = 100 * time.Millisecond
		began := time.Now()
		_, err := Dial(testContext(t), target)
		e := wantError(t, err, KindTimeout, StageDNS)
		if e.Text != "timeout in dns after 100ms" || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %q after %v", name, e.Text, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
		defer cancel()
		target.Limits.DNS = -1
		if _, err := Dial(ctx, target); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}

// TestLookupsAtOnce lets hosts of a deaf resolver fail without more lookups
// than are allowed, and one with an address pass beside them.
func TestLookupsAtOnce(t *testing.T) {
	deaf := make(chan struct{})
	r := &sshtest.Resolver{Deaf: deaf}
	_, target := named(t, "good.example", r)
	p := newTestPool(t, PoolConfig{Resolver: r, MaxLookups: 5})
	target.Resolver = nil
	target.Limits.DNS = 200 * time.Millisecond
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			mine := target
			mine.Address = "h" + strconv.Itoa(i)
			_, _, err := p.Get(testContext(t), mine)
			wantError(t, err, KindTimeout, StageDNS)
		})
	}
	mine := target
	mine.Address, _, _ = net.SplitHostPort(target.KnownAs)
	_, release, err := p.Get(testContext(t), mine)
	if err != nil {
		t.Error(err)
	} else {
		release()
	}
	wg.Wait()
	if _, _, most := r.Lookups(); most != 5 {
		t.Errorf("%d lookups at once", most)
	}
	close(deaf)
}

func TestDroppedSYN(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(sshtest.BlackHole(t))
	if err != nil {
		t.Fatal(err)
	}
	_, target := one(t, "")
	target.Address = host
	target.Port, _ = strconv.Atoi(port)
	target.Limits.TCP = 300 * time.Millisecond
	began := time.Now()
	_, err = Dial(testContext(t), target)
	e := wantError(t, err, KindTimeout, StageTCP)
	if e.Text != "timeout in tcp after 300ms" || time.Since(began) > 10*time.Second {
		t.Errorf("%q after %v", e.Text, time.Since(began))
	}
	target.Limits = Limits{Total: 300 * time.Millisecond}
	_, err = Dial(testContext(t), target)
	wantError(t, err, KindTimeout, StageTCP)
}

// TestTargetsThatCannotBe refuses targets before anything is sent.
func TestTargetsThatCannotBe(t *testing.T) {
	w, good := one(t, "")
	for want, change := range map[string]func(*Target){
		"dial: target has no address":          func(t *Target) { t.Address = "" },
		"dial: target has no user":             func(t *Target) { t.User = "" },
		"dial: target has no way to log in":    func(t *Target) { t.Auth = nil },
		"dial: target has no host key checker": func(t *Target) { t.HostKeys = nil },
		"dial: port 70000 out of range":        func(t *Target) { t.Port = 70000 },
	} {
		bad := good
		change(&bad)
		if _, err := Dial(testContext(t), bad); err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, _, err := newTestPool(t, PoolConfig{}).Get(testContext(t), bad); err == nil || err.Error() != want {
			t.Errorf("error of a pool %v, want %q", err, want)
		}
	}
	if n := w.Stats().Accepted; n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestDialHook makes the transport by hand.
func TestDialHook(t *testing.T) {
	_, target := one(t, "")
	real := target.addr()
	target.KnownAs, target.Address = target.addr(), "not-looked-up.example"
	target.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if want := net.JoinHostPort(target.Address, strconv.Itoa(target.Port)); addr != want {
			t.Errorf("asked for %q, want %q", addr, want)
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, real)
		return struct{ net.Conn }{c}, err // no socket to be seen
	}
	if _, err := mustDial(t, target).Exec(testContext(t), "true", nil, nil); err != nil {
		t.Error(err)
	}
	target.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &Error{Op: opDial, Kind: KindRefused, Stage: StageTCP, Text: "the jump host refuses"}
	}
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindRefused, StageTCP); e.Text != "the jump host refuses" {
		t.Errorf("text %q", e.Text)
	}
	target.DialContext = func(context.Context, string, string) (net.Conn, error) { panic("hook") }
	_, err = Dial(testContext(t), target)
	wantError(t, err, KindInternal, StageTCP)
}

type panicResolver struct{}

func (panicResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	panic("resolver")
}

func TestResolverPanics(t *testing.T) {
	_, target := named(t, "good.example", panicResolver{})
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindInternal, StageDNS); e.Text != "panic: resolver" {
		t.Errorf("text %q", e.Text)
	}
}
