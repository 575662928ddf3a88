package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

func echo(c net.Conn) { io.Copy(c, c) }

func TestDialEcho(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		for _, network := range []string{"tcp", "unix"} {
			if name == "dropbear" && network == "unix" { // it knows no such forwarding
				continue
			}
			t.Run(name+"/"+network, func(t *testing.T) {
				c := mustDial(t, realTarget(t, start(t)))
				conn, err := c.Dial(testContext(t), network, serveEach(t, network, echo))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				const size = 8 << 20
				sent, got := sha256.New(), sha256.New()
				go func() {
					io.Copy(conn, io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{2}), size), sent))
					conn.(interface{ CloseWrite() error }).CloseWrite()
				}()
				n, err := io.Copy(got, conn)
				if err != nil || n != size || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
					t.Errorf("%d bytes of %d came back, %v", n, size, err)
				}
				if _, err := conn.Write([]byte("x")); err == nil {
					t.Error("written after CloseWrite")
				}
				if r, err := c.Exec(testContext(t), "true", nil, nil); err != nil || r.ExitCode != 0 {
					t.Errorf("command beside it: %+v, %v", r, err)
				}
			})
		}
	}
}

func TestDialErrors(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			c := mustDial(t, realTarget(t, start(t)))
			_, err := c.Dial(testContext(t), "tcp", free.Addr().String())
			if e := wantError(t, err, KindRefused, StageTCP); e.Text != "connection refused" || e.Op != "forward" {
				t.Errorf("error %q", e)
			}
			_, err = c.Dial(testContext(t), "tcp", "nowhere.invalid:1")
			wantKind(t, err, KindDNS)
			for _, bad := range [][2]string{{"tcp", "nowhere"}, {"tcp", "a:ssh"}, {"udp", "a:1"}} {
				_, err := c.Dial(testContext(t), bad[0], bad[1])
				wantKind(t, err, KindInternal)
			}
		})
	}
	closed := mustDial(t, realTarget(t, sshtest.OpenSSH(t, sshtest.Config("AllowTcpForwarding no"), sshtest.Config("AllowStreamLocalForwarding no"))))
	_, err = closed.Dial(testContext(t), "tcp", "127.0.0.1:1")
	if e := wantError(t, err, KindPermission, StageChannel); e.Text != "forwarding not allowed by the host" {
		t.Errorf("error %q", e.Text)
	}
	for _, addr := range []string{"127.0.0.1:0", "x"} {
		_, err = closed.Listen(testContext(t), map[bool]string{true: "tcp", false: "unix"}[addr != "x"], addr)
		if e := wantError(t, err, KindPermission, StageChannel); e.Text != "listening refused by the host" {
			t.Errorf("error %q", e.Text)
		}
	}
	closed.Close()
	_, err = closed.Dial(testContext(t), "tcp", "127.0.0.1:1")
	wantKind(t, err, KindConnLost)
	_, err = closed.Listen(testContext(t), "tcp", "127.0.0.1:0")
	wantKind(t, err, KindConnLost)
}

// TestDialNoAnswer opens a channel on a host that never answers.
func TestDialNoAnswer(t *testing.T) {
	_, target := one(t, "hang-channel")
	target.Limits.Channel = 300 * time.Millisecond
	c := mustDial(t, target)
	_, err := c.Dial(context.Background(), "tcp", "127.0.0.1:1")
	if e := wantError(t, err, KindTimeout, StageTCP); e.Text != "timeout in tcp after 300ms" {
		t.Errorf("error %q", e.Text)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, err = c.Dial(ctx, "tcp", "127.0.0.1:1")
	wantKind(t, err, KindCanceled)
}

// pair is a stream to a listener of the test, and its other end.
func pair(t *testing.T) (c *Conn, near, far net.Conn) {
	t.Helper()
	c = mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	got, done := make(chan net.Conn), make(chan struct{})
	addr := serveEach(t, "tcp", func(conn net.Conn) {
		got <- conn
		<-done
	})
	t.Cleanup(func() { close(done) })
	near, err := c.Dial(testContext(t), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return c, near, <-got
}

func TestStreamReadDeadline(t *testing.T) {
	_, near, far := pair(t)
	buf := make([]byte, 4)
	for _, until := range []time.Time{time.Unix(1, 0), time.Now().Add(50 * time.Millisecond)} {
		near.SetReadDeadline(until)
		_, err := near.Read(buf)
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("error %v", err)
		}
	}
	near.SetReadDeadline(time.Time{})
	read := make(chan error, 1)
	go func() {
		_, err := near.Read(buf)
		read <- err
	}()
	near.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // of the read under way
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	far.Write([]byte("late"))
	near.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(near, buf); err != nil || string(buf) != "late" {
		t.Errorf("%q, %v", buf, err)
	}
	far.Close()
	if n, err := near.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

// TestStreamWriteDeadline writes to somebody who reads nothing.
func TestStreamWriteDeadline(t *testing.T) {
	t.Parallel()
	c, near, _ := pair(t)
	near.SetWriteDeadline(time.Now().Add(2 * time.Second)) // some of it is taken in that time, also on a busy machine
	n, err := near.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	near.SetWriteDeadline(time.Time{})
	if _, err := near.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("written after an unfinished write: %v", err)
	}
	if r, err := c.Exec(testContext(t), "true", nil, nil); err != nil || r.ExitCode != 0 {
		t.Errorf("command beside it: %+v, %v", r, err)
	}
}

// TestStreamClose ends reads and writes under way.
func TestStreamClose(t *testing.T) {
	for _, end := range []string{"close", "lost"} {
		t.Run(end, func(t *testing.T) {
			c, near, _ := pair(t)
			errs := make(chan error, 2)
			go func() {
				_, err := near.Read(make([]byte, 1))
				errs <- err
			}()
			began := make(chan struct{})
			go func() {
				near.Write([]byte("x"))
				close(began)
				_, err := near.Write(make([]byte, 64<<20))
				errs <- err
			}()
			<-began
			if end == "close" {
				near.Close()
			} else {
				c.Close()
			}
			for range 2 {
				if err := <-errs; !errors.Is(err, net.ErrClosed) {
					t.Errorf("error %v", err)
				}
			}
			if err := near.Close(); (err != nil) != (end == "close") {
				t.Errorf("closed again: %v", err)
			}
			if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read of a closed stream: %v", err)
			}
		})
	}
}

// TestStreamFrozenHost stops the host: nothing waits for ever.
func TestStreamFrozenHost(t *testing.T) {
	s := sshtest.OpenSSH(t)
	target := realTarget(t, s)
	target.KeepaliveInterval, target.KeepaliveCount = 300*time.Millisecond, 3
	c := mustDial(t, target)
	conn, err := c.Dial(testContext(t), "tcp", serveEach(t, "tcp", echo))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.Freeze()
	conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	conn.SetDeadline(time.Time{})
	_, err = conn.Read(make([]byte, 1))
	wantKind(t, err, KindConnLost)
	if c.Err() == nil {
		t.Error("the stream ended before its connection")
	}
	s.Continue()
}

// TestAskedAfterTheEnd wants an answer at once from connections that are over,
// whatever they were doing when they ended.
func TestAskedAfterTheEnd(t *testing.T) {
	_, target := one(t, "")
	for range 30 {
		c := mustDial(t, target)
		ctx := testContext(t)
		asked := make(chan error, 2)
		go func() {
			_, err := c.Dial(ctx, "tcp", "127.0.0.1:1")
			asked <- err
		}()
		go func() {
			_, err := c.Exec(ctx, "true", nil, nil)
			asked <- err
		}()
		c.Close()
		for range cap(asked) {
			if <-asked; ctx.Err() != nil {
				t.Fatal("no answer")
			}
		}
		_, err := c.Dial(ctx, "tcp", "127.0.0.1:1")
		wantKind(t, err, KindConnLost)
		_, err = c.Exec(ctx, "true", nil, nil)
		wantKind(t, err, KindConnLost)
	}
}
