package sshtest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BlackHole gives an address whose connects are never answered, as behind a
// firewall that drops: a listener on loopback with a full queue, which nobody
// empties, so that the kernel drops every SYN.
func BlackHole(t testing.TB) (addr string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	for range 20 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return addr
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue of a listener does not fill")
	return ""
}

// Resolver is a fake name service. The zero value knows no name.
type Resolver struct {
	Addrs map[string][]netip.Addr // what names mean; others do not exist
	Delay time.Duration           // before each answer
	Never bool                    // no answer until the lookup is cancelled
	Deaf  chan struct{}           // not nil: no answer until it is closed, cancelled or not

	mu    sync.Mutex
	calls int
	now   int
	max   int
}

// LookupNetIP answers like net.Resolver.LookupNetIP.
func (r *Resolver) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	r.calls++
	r.now++
	r.max = max(r.max, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	if err := r.wait(ctx); err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	addrs, ok := r.Addrs[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (r *Resolver) wait(ctx context.Context) error {
	if r.Deaf != nil {
		<-r.Deaf
		return ctx.Err()
	}
	if r.Never {
		<-ctx.Done()
		return ctx.Err()
	}
	if r.Delay <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(r.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lookups counts the lookups since the start, those in flight, and the most
// that ever were at once.
func (r *Resolver) Lookups() (all, now, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls, r.now, r.max
}
