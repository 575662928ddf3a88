package socks

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fleet/internal/sshtest"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

// serve plays sent to a handshake, one write a part, and gives what the client
// got until the server had nothing more to say.
func serve(ctx context.Context, dial Dial, sent ...string) (got, addr string, err error) {
	client, server := net.Pipe()
	defer client.Close()
	var answers strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&answers, client)
	}()
	go func() {
		for _, s := range sent {
			client.Write([]byte(s))
		}
		if len(sent) > 0 && sent[len(sent)-1] == "" {
			client.Close()
		}
	}()
	to, addr, err := Handshake(ctx, server, dial)
	if to != nil {
		to.Close()
	}
	server.Close()
	<-read
	return answers.String(), addr, err
}

const (
	hello    = "\x05\x01\x00"
	helloOK  = "\x05\x00"
	noBind   = "\x00\x01\x00\x00\x00\x00\x00\x00"
	toName   = "\x05\x01\x00\x03\x0bexample.org\x00\x50"
	toNobody = "\x05\x01\x00\x03\x00\x00\x50"
)

// TestHandshake plays requests. The end of the sent parts is "" where the
// client then hangs up.
func TestHandshake(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name string
		sent []string
		fail error // of the dial
		got  string
		addr string
		err  string // must stand in the error; empty: none
	}{
		{"ipv4", []string{hello, "\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\x90"}, nil, helloOK + "\x05\x00" + noBind, "127.0.0.1:8080", ""},
		{"ipv6", []string{hello, "\x05\x01\x00\x04\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01\x00\x16"}, nil, helloOK + "\x05\x00" + noBind, "[2001:db8::1]:22", ""},
		{"name", []string{hello, toName}, nil, helloOK + "\x05\x00" + noBind, "example.org:80", ""},
		{"all at once", []string{hello + toName}, nil, helloOK + "\x05\x00" + noBind, "example.org:80", ""},
		{"byte by byte", strings.Split(hello+toName, ""), nil, helloOK + "\x05\x00" + noBind, "example.org:80", ""},
		{"port 65535", []string{hello, "\x05\x01\x00\x03\x01x\xff\xff"}, nil, helloOK + "\x05\x00" + noBind, "x:65535", ""},
		{"longest name", []string{hello, "\x05\x01\x00\x03\xff" + strings.Repeat("n", 255) + "\x00\x01"}, nil, helloOK + "\x05\x00" + noBind, strings.Repeat("n", 255) + ":1", ""},
		{"some methods", []string{"\x05\x03\x02\x01\x00", toName}, nil, helloOK + "\x05\x00" + noBind, "example.org:80", ""},
		{"255 methods", []string{"\x05\xff" + strings.Repeat("\x02", 254) + "\x00", toName}, nil, helloOK + "\x05\x00" + noBind, "example.org:80", ""},
		{"only password", []string{"\x05\x01\x02"}, nil, "\x05\xff", "", "authenticate"},
		{"no methods", []string{"\x05\x00"}, nil, "\x05\xff", "", "authenticate"},
		{"socks4", []string{"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"}, nil, "", "", "SOCKS5"},
		{"http", []string{"GET / HTTP/1.1\r\n\r\n"}, nil, "", "", "SOCKS5"},
		{"bind", []string{hello, "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"}, nil, helloOK + "\x05\x07" + noBind, "", "command 2 is not served"},
		{"udp", []string{hello, "\x05\x03\x00\x03\x01x\x00\x50"}, nil, helloOK + "\x05\x07" + noBind, "", "command 3 is not served"},
		{"address type", []string{hello, "\x05\x01\x00\x02"}, nil, helloOK + "\x05\x08" + noBind, "", "address type 2"},
		{"empty name", []string{hello, toNobody}, nil, helloOK + "\x05\x01" + noBind, "", "unusable name"},
		{"name with escape", []string{hello, "\x05\x01\x00\x03\x03a\x1bb\x00\x50"}, nil, helloOK + "\x05\x01" + noBind, "", `"a\x1bb"`},
		{"version changes", []string{hello, "\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50"}, nil, helloOK, "", "SOCKS5"},
		{"hangs up in greeting", []string{"\x05\x02\x00", ""}, nil, "", "", "read greeting: unexpected EOF"},
		{"hangs up in request", []string{hello, "\x05\x01\x00\x03\x0bexam", ""}, nil, helloOK, "", "read request: unexpected EOF"},
		{"says nothing", []string{""}, nil, "", "", "read greeting: unexpected EOF"},
		{"refused", []string{hello, toName}, &ReplyError{ConnectionRefused, refused}, helloOK + "\x05\x05" + noBind, "example.org:80", "refused"},
		{"fails", []string{hello, toName}, refused, helloOK + "\x05\x01" + noBind, "example.org:80", "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial := func(_ context.Context, network, addr string) (net.Conn, error) {
				if c.err != "" && c.fail == nil {
					t.Errorf("dialled %s", addr)
				}
				if network != "tcp" || addr != c.addr {
					t.Errorf("dialled %s %q, want tcp %q", network, addr, c.addr)
				}
				if c.fail != nil {
					return nil, c.fail
				}
				here, there := net.Pipe()
				there.Close()
				return here, nil
			}
			got, addr, err := serve(context.Background(), dial, c.sent...)
			if got != c.got || addr != c.addr {
				t.Errorf("got %q and %q, want %q and %q", got, addr, c.got, c.addr)
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// fromAddr is a connection whose own address is known.
type fromAddr struct {
	net.Conn
	at net.Addr
}

func (f fromAddr) LocalAddr() net.Addr { return f.at }

// TestBoundAddress tells the client from where the connection was made.
func TestBoundAddress(t *testing.T) {
	for want, at := range map[string]net.Addr{
		"\x00\x01\x0a\x00\x00\x01\x00\x16":                       &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 22},
		"\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x00\x16": &net.TCPAddr{IP: net.IPv6loopback, Port: 22},
		noBind: &net.UnixAddr{Name: "/x"},
	} {
		got, _, err := serve(context.Background(), func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			there.Close()
			return fromAddr{here, at}, nil
		}, hello, toName)
		if want = helloOK + "\x05\x00" + want; got != want || err != nil {
			t.Errorf("%v: %q, %v; want %q", at, got, err, want)
		}
	}
}

// TestSilentClient bounds how long a client may hold a connection up.
func TestSilentClient(t *testing.T) {
	for _, sent := range []string{"", "\x05", hello, hello + toName[:9]} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go io.Copy(io.Discard, client)
			go client.Write([]byte(sent))
			began := time.Now()
			_, _, err := Handshake(t.Context(), server, nil)
			if took := time.Since(began); err == nil || took != Limit {
				t.Errorf("after %q: %v after %v, want an error after %v", sent, err, took, Limit)
			}
		})
	}
}

// TestCanceled ends a handshake with its context, whatever it waits for.
func TestCanceled(t *testing.T) {
	for _, sent := range []string{"", hello + toName} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go io.Copy(io.Discard, client)
			go client.Write([]byte(sent))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, _, err := Handshake(ctx, server, func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			if took := time.Since(began); err == nil || took != time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

// FuzzHandshake throws bytes at the server: it ends, dials at most once, only
// what can be an address, and answers in the form of the protocol.
func FuzzHandshake(f *testing.F) {
	for _, seed := range []string{hello + toName, hello + toNobody, "\x05\x02\x02\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x16", "\x04\x01", hello + "\x05\x01\x00\x04" + strings.Repeat("\xff", 18), hello + "\x05\x09\x00\x03\x01-\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		dialled := 0
		got, addr, err := serve(context.Background(), func(_ context.Context, _, addr string) (net.Conn, error) {
			dialled++
			host, port, err := net.SplitHostPort(addr)
			if err != nil || host == "" || port == "" || strings.ContainsAny(addr, "\x00\n\r\x1b ") {
				t.Errorf("dialled %q: %v", addr, err)
			}
			return nil, &ReplyError{HostUnreachable, io.EOF}
		}, string(sent), "")
		if err == nil || dialled > 1 || (addr != "") != (dialled == 1) {
			t.Fatalf("%v, dialled %d times, %q", err, dialled, addr)
		}
		if ok := got == "" || got == "\x05\xff" || got == helloOK ||
			len(got) == len(helloOK+"\x05\x04"+noBind) && strings.HasPrefix(got, helloOK+"\x05") && strings.HasSuffix(got, noBind); !ok {
			t.Fatalf("answered %q", got)
		}
		if dialled == 1 && !strings.HasPrefix(got, helloOK+"\x05\x04") && got != helloOK {
			t.Fatalf("a refused connection was answered by %q", got)
		}
	})
}
