package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// TestListen serves HTTP on the host's side of a connection.
func TestListen(t *testing.T) {
	for name, start := range realServers() {
		for _, network := range []string{"tcp", "unix"} {
			if name == "dropbear" && network == "unix" {
				continue
			}
			t.Run(name+"/"+network, func(t *testing.T) {
				c := mustDial(t, realTarget(t, start(t)))
				addr := "127.0.0.1:0"
				if network == "unix" {
					addr = filepath.Join(t.TempDir(), "s")
				}
				ln, err := c.Listen(testContext(t), network, addr)
				if err != nil {
					t.Fatal(err)
				}
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprint(w, "you asked for ", r.URL.Path)
				})}
				served := make(chan error, 1)
				go func() { served <- server.Serve(ln) }()
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
					DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
						return (&net.Dialer{}).DialContext(ctx, network, ln.Addr().String())
					}}}
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						r, err := client.Get(fmt.Sprintf("http://host/%d", i))
						if err != nil {
							t.Error(err)
							return
						}
						defer r.Body.Close()
						if body, err := io.ReadAll(r.Body); err != nil || string(body) != fmt.Sprintf("you asked for /%d", i) {
							t.Errorf("%q, %v", body, err)
						}
					})
				}
				wg.Wait()
				if err := ln.Close(); err != nil {
					t.Error(err)
				}
				if err := <-served; !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept after Close: %v", err)
				}
				server.Close()
				if conn, err := net.Dial(network, ln.Addr().String()); err == nil {
					defer conn.Close()
					if name == "openssh" {
						t.Error("the host still listens")
					}
					conn.SetDeadline(time.Now().Add(20 * time.Second))
					if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("served after the end: %d, %v", n, err)
					}
				}
				if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("closed again: %v", err)
				}
			})
		}
	}
}

// TestListenTwice tells the connections of two listeners apart.
func TestListenTwice(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	for range 2 { // Close frees the port for the next
		var all []net.Listener
		for range 3 {
			ln, err := c.Listen(testContext(t), "tcp", "localhost:0")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ln)
		}
		for _, ln := range all {
			port := ln.Addr().(*net.TCPAddr).Port
			out, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				t.Fatal(err)
			}
			in, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := in.RemoteAddr().String(), out.LocalAddr().String(); got != want {
				t.Errorf("connection from %s, want %s", got, want)
			}
			out.Close()
			in.Close()
		}
		for _, ln := range all {
			ln.Close()
		}
	}
}

// TestListenLost ends the connection under a listener, and one in its backlog.
func TestListenLost(t *testing.T) {
	s := sshtest.OpenSSH(t)
	target := realTarget(t, s)
	c := mustDial(t, target)
	ln, err := c.Listen(testContext(t), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	c.kill(&Error{Kind: KindConnLost, Text: "connection lost: no answer for 45s"})
	for {
		conn, err := ln.Accept()
		if err == nil { // it had come before
			conn.Close()
			continue
		}
		wantKind(t, err, KindConnLost)
		break
	}
	ln.Close()
}

// TestListenNoAnswer asks a host that does not answer.
func TestListenNoAnswer(t *testing.T) {
	_, target := one(t, "freeze")
	target.Limits.Channel = 300 * time.Millisecond
	c := mustDial(t, target)
	_, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if e := wantError(t, err, KindTimeout, StageChannel); e.Text != "timeout in channel after 300ms" {
		t.Errorf("error %q", e.Text)
	}
}
