package sshpool

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// TestKnownAsHasNoPort asks the checker as ssh does for a HostKeyAlias.
func TestKnownAsHasNoPort(t *testing.T) {
	for known, want := range map[string]string{
		"": "web1:2222", "alias": "alias:22", "alias:2022": "alias:2022", "::1": "[::1]:22", "[::1]:99": "[::1]:99",
	} {
		target := Target{Address: "web1", Port: 2222, KnownAs: known}
		if got := target.knownAs(); got != want {
			t.Errorf("%q: %q, want %q", known, got, want)
		}
	}
}

func TestFamily(t *testing.T) {
	r := &sshtest.Resolver{Addrs: map[string][]netip.Addr{
		"both.example": {netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")},
		"six.example":  {netip.MustParseAddr("::1")},
	}}
	for _, c := range []struct{ address, family, want string }{
		{"both.example", "inet", "127.0.0.1:22"},
		{"both.example", "inet6", "[::1]:22"},
		{"six.example", "inet6", "[::1]:22"},
		{"six.example", "inet", ""},
		{"127.0.0.1", "inet6", ""},
		{"127.0.0.1", "inet", "127.0.0.1:22"},
	} {
		addrs, err := resolve(testContext(t), &Target{Address: c.address, Family: c.family, Resolver: r, Limits: Limits{DNS: time.Minute}})
		if c.want == "" {
			wantError(t, err, KindDNS, StageDNS)
		} else if err != nil || len(addrs) != 1 || addrs[0].String() != c.want {
			t.Errorf("%+v: %v, %v", c, addrs, err)
		}
	}
	_, target := one(t, "")
	target.Family = "inet5"
	_, err := Dial(testContext(t), target)
	wantError(t, err, KindInternal, "")
}

func TestBindAddress(t *testing.T) {
	_, target := one(t, "")
	target.BindAddress = "127.0.0.77"
	c, err := Dial(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if host, _, _ := net.SplitHostPort(c.ssh.LocalAddr().String()); host != target.BindAddress {
		t.Errorf("connected from %s", host)
	}
}

// TestAttemptsAtARefusedPort takes a port whose daemon comes up a moment late.
func TestAttemptsAtARefusedPort(t *testing.T) {
	_, target := one(t, "")
	free, err := net.Listen("tcp", net.JoinHostPort(target.Address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	target.Port = free.Addr().(*net.TCPAddr).Port
	free.Close()
	target.Attempts, target.Limits.Total = 2, time.Minute
	p := NewPool(PoolConfig{})
	defer p.Close()
	_, _, err = p.Get(testContext(t), target)
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindRefused || e.Attempts != 2 {
		t.Errorf("%v", err)
	}
}

// TestPollerOffersEnv has a host take or refuse a variable; the command runs.
func TestPollerOffersEnv(t *testing.T) {
	s := sshtest.OpenSSH(t, sshtest.Config("AcceptEnv TOOK"))
	target := realTarget(t, s)
	target.OfferEnv = []string{"TOOK=1", "REFUSED=2"}
	pool := NewPool(PoolConfig{})
	defer pool.Close()
	p := NewPoller(pool, func(string) (Target, error) { return target, nil }, nil)
	defer p.Close()
	var out bytes.Buffer
	res, err := p.exec(context.Background(), "a", scheduler.Exec{Command: "echo $TOOK-$REFUSED", Stdout: &out})
	if err != nil || out.String() != "1-\n" {
		t.Errorf("%+v, %v: %q", res, err, &out)
	}
}
