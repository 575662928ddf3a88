package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"fleet/internal/socks"
	"fleet/sshpool"
)

// Host is the far side; *sshpool.Conn is one.
type Host interface {
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
	Listen(ctx context.Context, network, addr string) (net.Listener, error)
}

// Limits of what is carried.
const (
	maxConns    = 512              // at once for one forward; the others wait to be accepted
	dialLimit   = 15 * time.Second // for a connection from here
	acceptPause = 100 * time.Millisecond
	sayAgain    = 10 * time.Second // the same trouble of one forward is told once in this time
)

// Set is the forwards of one connection. Its owner calls Close.
type Set struct {
	say      func(text string)
	forwards []*forward
}

type forward struct {
	Spec
	say       func(text string)
	listeners []net.Listener
	slots     chan struct{}

	mu   sync.Mutex
	last string // what was told last, and when
	when time.Time
}

// Listen takes the local addresses of specs; nothing is accepted yet. say is
// told, a line at a time and from many goroutines, what goes wrong with single
// connections, and which ports were chosen. An error names the spec.
func Listen(ctx context.Context, specs []Spec, say func(text string)) (*Set, error) {
	set := &Set{say: say}
	for _, s := range specs {
		f := &forward{Spec: s, say: say, slots: make(chan struct{}, maxConns)}
		set.forwards = append(set.forwards, f)
		if s.Kind == Remote {
			continue
		}
		if err := f.listenHere(ctx); err != nil {
			set.Close()
			return nil, fmt.Errorf("%s: listen on %s: %w", s, s.Listen.Addr(), rootCause(err))
		}
	}
	return set, nil
}

// listenHere listens at a local address; "localhost" is that of IPv4 and, where
// there is one, that of IPv6.
func (f *forward) listenHere(ctx context.Context) error {
	var lc net.ListenConfig
	at := f.Listen
	if at.Network == "unix" {
		defer privateSockets()()
	}
	if at.Network != "tcp" || at.Host != "localhost" {
		l, err := lc.Listen(ctx, at.Network, at.Addr())
		if err == nil {
			f.add(l)
		}
		return err
	}
	at.Host = "127.0.0.1"
	l, err := lc.Listen(ctx, "tcp4", at.Addr())
	if err != nil {
		return err
	}
	f.add(l)
	at.Host, at.Port = "::1", l.Addr().(*net.TCPAddr).Port
	l, err = lc.Listen(ctx, "tcp6", at.Addr())
	if err == nil {
		f.listeners = append(f.listeners, l)
	} else if errors.Is(err, syscall.EADDRINUSE) && f.Listen.Port != 0 {
		return err // else some connections to localhost would go elsewhere
	}
	return nil
}

// add takes a listener over, and tells a port that was not known before.
func (f *forward) add(l net.Listener) {
	f.listeners = append(f.listeners, l)
	if f.Listen.Network == "tcp" && f.Listen.Port == 0 {
		where := "here"
		if f.Kind == Remote {
			where = "on the host"
		}
		f.say(fmt.Sprintf("%s: listens on %s %s", f.Spec, l.Addr(), where))
	}
}

// Open has the host listen at the remote addresses. An error names the spec.
func (s *Set) Open(ctx context.Context, host Host) error {
	for _, f := range s.forwards {
		if f.Kind != Remote {
			continue
		}
		l, err := host.Listen(ctx, f.Listen.Network, f.Listen.Addr())
		if err != nil {
			return fmt.Errorf("%s: listen on %s of the host: %s", f.Spec, f.Listen.Addr(), reason(err))
		}
		f.add(l)
	}
	return nil
}

// Serve carries connections until ctx ends, and returns when the last is closed.
func (s *Set) Serve(ctx context.Context, host Host) {
	var all sync.WaitGroup
	for _, f := range s.forwards {
		for _, l := range f.listeners {
			all.Go(func() { f.accept(ctx, l, host, &all) })
		}
	}
	<-ctx.Done()
	s.Close()
	all.Wait()
}

// Close stops listening. Connections that are carried end with Serve's context.
func (s *Set) Close() error {
	for _, f := range s.forwards {
		for _, l := range f.listeners {
			l.Close()
		}
	}
	return nil
}

// accept takes connections until the listener is closed.
func (f *forward) accept(ctx context.Context, l net.Listener, host Host, all *sync.WaitGroup) {
	for {
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := l.Accept()
		switch {
		case err == nil:
			all.Go(func() {
				defer func() { <-f.slots }()
				f.carry(ctx, c, host)
			})
			continue
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		}
		<-f.slots
		var lost *sshpool.Error
		if errors.As(err, &lost) { // the connection is over, which others tell
			return
		}
		f.trouble("accept", err)
		select { // no more files, mostly: they come back
		case <-time.After(acceptPause):
		case <-ctx.Done():
			return
		}
	}
}

// carry connects c to where it should go and passes bytes both ways.
func (f *forward) carry(ctx context.Context, c net.Conn, host Host) {
	defer c.Close()
	dial := host.Dial
	if f.Kind == Remote {
		dial = dialHere
	}
	var to net.Conn
	var err error
	addr := f.To.Addr()
	if f.To.Network == "" {
		to, addr, err = socks.Handshake(ctx, c, func(ctx context.Context, network, addr string) (net.Conn, error) {
			to, err := dial(ctx, network, addr)
			return to, withReply(err)
		})
	} else {
		to, err = dial(ctx, f.To.Network, addr)
	}
	if err != nil {
		if ctx.Err() == nil {
			op := "connect to " + addr
			if addr == "" {
				op = "SOCKS5 request"
			}
			f.trouble(op, err)
		}
		return
	}
	defer to.Close()
	relay(ctx, c, to)
}

func dialHere(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, network, addr)
}

// trouble tells what went wrong, not again and again.
func (f *forward) trouble(op string, err error) {
	text := fmt.Sprintf("%s: %s: %s", f.Spec, op, reason(err))
	f.mu.Lock()
	again := text == f.last && time.Since(f.when) < sayAgain
	if !again {
		f.last, f.when = text, time.Now()
	}
	f.mu.Unlock()
	if !again {
		f.say(text)
	}
}

// relay passes bytes both ways until both sides have ended or one has failed.
func relay(ctx context.Context, a, b net.Conn) {
	closeBoth := func() {
		a.Close()
		b.Close()
	}
	defer context.AfterFunc(ctx, closeBoth)()
	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); err == nil && ok && half.CloseWrite() == nil {
			return
		}
		closeBoth()
	}
	both.Go(func() { pass(a, b) })
	both.Go(func() { pass(b, a) })
	both.Wait()
}

// reason is what is told of an error: its cause without addresses.
func reason(err error) string {
	var e *sshpool.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return rootCause(err).Error()
}

// rootCause is the error of the system below err, where there is one.
func rootCause(err error) error {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &dns):
		return errors.New(dns.Err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("timeout")
	}
	return err
}

// withReply tells a SOCKS client why a connection was not made.
func withReply(err error) error {
	if err == nil {
		return nil
	}
	reply := socks.GeneralFailure
	var e *sshpool.Error
	switch {
	case errors.As(err, &e):
		switch e.Kind {
		case sshpool.KindRefused:
			reply = socks.ConnectionRefused
		case sshpool.KindNoRoute, sshpool.KindDNS, sshpool.KindTimeout:
			reply = socks.HostUnreachable
		case sshpool.KindPermission:
			reply = socks.NotAllowed
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		reply = socks.ConnectionRefused
	case errors.Is(err, syscall.ENETUNREACH):
		reply = socks.NetworkUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, new(*net.DNSError)):
		reply = socks.HostUnreachable
	}
	return &socks.ReplyError{Reply: reply, Err: err}
}
