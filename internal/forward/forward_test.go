package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/sshpool"
)

// near is a Host that is this machine.
type near struct{ net.Dialer }

func (n *near) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.DialContext(ctx, network, addr)
}

func (*near) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, addr)
}

// echo serves at a new address: it gives back what it gets, once all has come.
func echo(t *testing.T, network, addr string) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(c)
			c.Write(all)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// ask sends all, ends its half, and gives what comes back.
func ask(network, addr string, before, all []byte) ([]byte, error) {
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	go func() {
		c.Write(append(before, all...))
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	return io.ReadAll(c)
}

// serve starts the forwards of specs; said gets what is told.
func serve(t *testing.T, host Host, specs ...Spec) (set *Set, said chan string) {
	t.Helper()
	said = make(chan string, 16)
	ctx, cancel := context.WithCancel(context.Background())
	set, err := Listen(ctx, specs, func(text string) { said <- text })
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Open(ctx, host); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		set.Serve(ctx, host)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return set, said
}

func parse(t *testing.T, kind Kind, text string) Spec {
	t.Helper()
	s, err := Parse(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestForwards sends a megabyte through each kind of forward and wants it back
// after its half is closed: both halves end by themselves.
func TestForwards(t *testing.T) {
	dir := t.TempDir()
	at := echo(t, "tcp", "127.0.0.1:0")
	socket := echo(t, "unix", filepath.Join(dir, "echo"))
	host, port, _ := net.SplitHostPort(at)
	greeting := append([]byte("\x05\x01\x00\x05\x01\x00\x03\x09"+host), portBytes(t, port)...)
	const answer = "\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01" // and a port
	megabyte := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for _, c := range []struct {
		kind   Kind
		text   string
		before []byte
		after  int
	}{
		{Local, "0:" + at, nil, 0},
		{Local, "0:" + socket, nil, 0},
		{Local, filepath.Join(dir, "in") + ":" + at, nil, 0},
		{Local, "[::1]:0:" + at, nil, 0},
		{Remote, "0:" + at, nil, 0},
		{Remote, filepath.Join(dir, "rin") + ":" + socket, nil, 0},
		{Dynamic, "0", greeting, len(answer) + 2},
		{Remote, "0", greeting, len(answer) + 2},
	} {
		t.Run(string(rune(c.kind))+" "+c.text, func(t *testing.T) {
			set, _ := serve(t, &near{}, parse(t, c.kind, c.text))
			for _, l := range set.forwards[0].listeners {
				got, err := ask(l.Addr().Network(), l.Addr().String(), bytes.Clone(c.before), megabyte)
				if err != nil || len(got) != c.after+len(megabyte) || !bytes.Equal(got[c.after:], megabyte) {
					t.Errorf("%s: %d bytes came back, %v", l.Addr(), len(got), err)
				}
				if c.after > 0 && !strings.HasPrefix(string(got), answer) {
					t.Errorf("%s: answered %q", l.Addr(), got[:min(len(got), c.after)])
				}
			}
		})
	}
}

func portBytes(t *testing.T, text string) []byte {
	t.Helper()
	n, err := port(text)
	if err != nil {
		t.Fatal(err)
	}
	return []byte{byte(n >> 8), byte(n)}
}

// TestLocalhost listens on both loopbacks, at one port, and nowhere else.
func TestLocalhost(t *testing.T) {
	set, said := serve(t, &near{}, parse(t, Dynamic, "0"))
	var at []string
	for _, l := range set.forwards[0].listeners {
		at = append(at, l.Addr().String())
	}
	_, port, _ := net.SplitHostPort(at[0])
	if want := "127.0.0.1:" + port + " [::1]:" + port; strings.Join(at, " ") != want {
		t.Errorf("listens on %s, want %s", at, want)
	}
	if text := <-said; text != "-D 0: listens on 127.0.0.1:"+port+" here" {
		t.Errorf("said %q", text)
	}
}

// TestSocketMode makes sockets that only their owner may use.
func TestSocketMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, &near{}, parse(t, Local, path+":x:1"))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// failing is a host that connects nowhere and does not listen.
type failing struct{ err error }

func (f failing) Dial(context.Context, string, string) (net.Conn, error)       { return nil, f.err }
func (f failing) Listen(context.Context, string, string) (net.Listener, error) { return nil, f.err }

// TestTrouble names the forward whose connection could not be made, once, and
// closes the connection; a SOCKS client is told why.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		err   error
		says  string
		reply byte
	}{
		{&sshpool.Error{Kind: sshpool.KindRefused, Text: "connection refused"}, "connection refused", 5},
		{&sshpool.Error{Kind: sshpool.KindDNS, Text: "no such host"}, "no such host", 4},
		{&sshpool.Error{Kind: sshpool.KindPermission, Text: "forwarding not allowed by the host"}, "forwarding not allowed by the host", 2},
		{errors.New("odd"), "odd", 1},
	} {
		set, said := serve(t, failing{c.err}, parse(t, Local, "0:db1:5432"), parse(t, Dynamic, "0"))
		<-said
		<-said
		for range 2 {
			if got, err := ask("tcp", set.forwards[0].listeners[0].Addr().String(), nil, nil); err != nil || len(got) != 0 {
				t.Errorf("%q, %v", got, err)
			}
		}
		if text := <-said; text != "-L 0:db1:5432: connect to db1:5432: "+c.says {
			t.Errorf("said %q", text)
		}
		got, err := ask("tcp", set.forwards[1].listeners[0].Addr().String(), []byte("\x05\x01\x00\x05\x01\x00\x03\x01x\x00\x50"), nil)
		if err != nil || len(got) != 12 || got[3] != c.reply {
			t.Errorf("SOCKS answer %q, %v, want %d", got, err, c.reply)
		}
		if text := <-said; text != "-D 0: connect to x:80: "+c.says {
			t.Errorf("said %q", text)
		}
	}
}

// TestNoListener names the forward that cannot listen, here or there.
func TestNoListener(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	_, err = Listen(context.Background(), []Spec{parse(t, Local, "0:x:1"), parse(t, Dynamic, at)}, func(string) {})
	if err == nil || err.Error() != "-D "+at+": listen on "+at+": address already in use" {
		t.Errorf("%v", err)
	}
	set, err := Listen(context.Background(), []Spec{parse(t, Remote, "80:x:1")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = set.Open(context.Background(), failing{&sshpool.Error{Text: "refused by the host"}})
	if err == nil || err.Error() != "-R 80:x:1: listen on localhost:80 of the host: refused by the host" {
		t.Errorf("%v", err)
	}
}

// TestEnd closes what is carried when the context ends.
func TestEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	set, err := Listen(ctx, []Spec{parse(t, Local, "0:"+l.Addr().String())}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		set.Serve(ctx, &near{})
	}()
	c, err := net.Dial("tcp", set.forwards[0].listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	cancel()
	<-done
	for _, end := range []net.Conn{c, far} {
		if n, err := end.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d, %v after the end", n, err)
		}
	}
}
