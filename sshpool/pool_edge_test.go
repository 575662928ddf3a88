package sshpool

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool/hostkeys"
)

// logHook is a log that calls itself for each record.
type logHook func(slog.Record)

func (h logHook) Enabled(context.Context, slog.Level) bool { return true }
func (h logHook) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h logHook) WithGroup(string) slog.Handler            { return h }
func (h logHook) Handle(_ context.Context, r slog.Record) error {
	h(r)
	return nil
}

// TestTotalAfterALateWait has the wait between two attempts take longer than it
// should, as on a machine under load, until nothing of Total is left.
func TestTotalAfterALateWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, PoolConfig{})
		const total = time.Second
		tries := 0
		_, _, err := p.Get(t.Context(), Target{Address: "h", User: "me", Auth: &Auth{}, HostKeys: &hostkeys.Policy{},
			Limits: Limits{Total: total},
			Log: slog.New(logHook(func(r slog.Record) {
				if r.Message == "trying again" {
					time.Sleep(total) // of the test's clock
				}
			})),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				tries++
				if end, ok := ctx.Deadline(); !ok || time.Until(end) > total {
					t.Error("an attempt without an end")
				}
				return nil, syscall.ECONNRESET
			}})
		if e := wantError(t, err, KindRefused, StageBanner); tries != 1 || e.Attempts != 1 {
			t.Errorf("%d attempts, %d told", tries, e.Attempts)
		}
	})
}

// checkFunc is a checker of a type that cannot be compared.
type checkFunc func() error

func (checkFunc) Algorithms(string) []string                    { return nil }
func (f checkFunc) Check(string, net.Addr, ssh.PublicKey) error { return f() }

// TestPoolRefusesUncomparable gives a pool what it cannot tell connections apart by.
func TestPoolRefusesUncomparable(t *testing.T) {
	p := newTestPool(t, PoolConfig{})
	odd := Target{Address: "127.0.0.1", Port: 1, User: "me", Auth: &Auth{}, HostKeys: checkFunc(func() error { return nil })}
	behind := odd
	behind.HostKeys, behind.Jump = &hostkeys.Policy{}, []Target{odd}
	for _, target := range []Target{odd, behind} {
		_, _, err := p.Get(testContext(t), target)
		wantError(t, err, KindInternal, "")
		if p.Has(target) {
			t.Error("the pool has a connection to it")
		}
	}
}

// TestPoolCloseEndsReplaced closes a pool that has given out a second connection
// to a host whose first is still in use.
func TestPoolCloseEndsReplaced(t *testing.T) {
	_, target := one(t, "")
	p := newTestPool(t, PoolConfig{})
	first, release, err := p.Get(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	first.retire()
	second, release, err := p.Get(testContext(t), target)
	if err != nil || second == first {
		t.Fatalf("the same connection, or %v", err)
	}
	defer release()
	p.Close()
	for _, c := range []*Conn{first, second} {
		if !errors.Is(c.Err(), ErrClosed) {
			t.Errorf("a connection in use is open after Close: %v", c.Err())
		}
	}
}

// TestPacerLooksAgain has a daemon say that it takes no more while another
// handshake with it waits for a place among all.
func TestPacerLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1, 8)
		leave, err := p.enter(t.Context(), "one")
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error, 1)
		go func() {
			_, err := p.enter(t.Context(), "one")
			second <- err
		}()
		synctest.Wait()
		leave(&Error{Kind: KindThrottled})
		wantError(t, <-second, KindThrottled, StageTCP)
		other, err := p.enter(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		other(nil)
	})
}
