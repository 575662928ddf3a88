package sshpool

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"fleet/internal/remote"
)

// sessions is a server that lets everybody in and gives the n-th session of a
// connection, from 1, to serve.
func sessions(t *testing.T, serve func(n int, ch ssh.Channel, reqs <-chan *ssh.Request)) Target {
	t.Helper()
	cfg, host := &ssh.ServerConfig{NoClientAuth: true}, mustSigner(t, newKey(t))
	cfg.AddHostKey(host)
	addr := serveEach(t, "tcp", func(nc net.Conn) {
		c, chans, reqs, err := ssh.NewServerConn(nc, cfg)
		if err != nil {
			t.Error(err)
			return
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { ssh.DiscardRequests(reqs) })
		n := 0
		for asked := range chans {
			ch, reqs, err := asked.Accept()
			if err != nil {
				break
			}
			n++
			wg.Go(func() { serve(n, ch, reqs) })
		}
		c.Wait()
	})
	return Target{Address: "127.0.0.1", Port: int(netip.MustParseAddrPort(addr).Port()), User: "me", Auth: &Auth{}, HostKeys: &exactly{host.PublicKey()}}
}

// runs answers the request for a command as if it had ended well.
func runs(ch ssh.Channel, reqs <-chan *ssh.Request) {
	for r := range reqs {
		r.Reply(r.Type == "exec", nil)
		if r.Type == "exec" {
			ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			ch.Close()
		}
	}
}

// TestUnusedSessionAnswers has the host ask for signs of life on the session that
// was opened ahead, as sshd does for ClientAliveInterval while any channel is
// open (sshd_config(5)): more often than requests are kept for a reader.
func TestUnusedSessionAnswers(t *testing.T) {
	answered := make(chan struct{})
	target := sessions(t, func(n int, ch ssh.Channel, reqs <-chan *ssh.Request) {
		for range 40 {
			if _, err := ch.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				break
			}
		}
		close(answered)
		runs(ch, reqs)
	})
	c := mustDial(t, target)
	ctx := testContext(t)
	select {
	case <-answered:
	case <-ctx.Done():
		t.Fatal("the host got no answer and would take this client for dead")
	}
	if res, err := c.Exec(ctx, "true", nil, nil); err != nil || !res.HasExit {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestUnusedSessionClosed has the host close the session that was opened ahead,
// as it may after a while (ChannelTimeout in sshd_config(5)). No command was
// sent on it, so that the next one needs but another session.
func TestUnusedSessionClosed(t *testing.T) {
	closed := make(chan struct{})
	target := sessions(t, func(n int, ch ssh.Channel, reqs <-chan *ssh.Request) {
		if n == 1 {
			ch.Close()
			close(closed)
			return
		}
		runs(ch, reqs)
	})
	c := mustDial(t, target)
	<-closed
	ctx := testContext(t)
	if _, err := c.Ping(ctx); err != nil { // the close has come before the answer
		t.Fatal(err)
	}
	if res, err := c.Exec(ctx, "true", nil, nil); err != nil || !res.HasExit {
		t.Errorf("%+v, %v", res, err)
	}
	c.slots.mu.Lock()
	defer c.slots.mu.Unlock()
	if c.slots.open > 1 {
		t.Errorf("%d sessions counted as open", c.slots.open)
	}
}

// TestGivenUpBeforeTheAnswer gives a command up when the host has it and has not
// answered: it is ended all the same, and that is known.
func TestGivenUpBeforeTheAnswer(t *testing.T) {
	asked, givenUp := make(chan struct{}), make(chan struct{})
	target := sessions(t, func(_ int, ch ssh.Channel, reqs <-chan *ssh.Request) {
		defer ch.Close()
		req := <-reqs
		var cmd struct{ Line string }
		if err := ssh.Unmarshal(req.Payload, &cmd); err != nil {
			t.Error(err)
			return
		}
		sent, ok := remote.ParseLine(cmd.Line)
		if !ok {
			t.Errorf("sent: %s", cmd.Line)
			return
		}
		close(asked)
		<-givenUp
		req.Reply(true, nil)
		begins := sent.Begins(remote.Began{PID: 12, Guard: 13})
		io.WriteString(ch, begins)
		io.WriteString(ch.Stderr(), begins)
		if word, err := bufio.NewReader(ch).ReadString('\n'); err != nil || word != "end\n" {
			t.Errorf("the guard is told %q, %v", word, err)
		}
		io.WriteString(ch.Stderr(), sent.Ends(remote.Report{}))
		ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name      string
			Core      bool
			Text, Tag string
		}{Name: "TERM"}))
	})
	c := mustDial(t, target)
	ctx, cancel := context.WithCancel(testContext(t))
	go func() {
		<-asked
		cancel()
		close(givenUp)
	}()
	res, err := c.Run(ctx, Command{Text: "sleep 600", Supervise: &Supervision{}})
	wantError(t, err, KindCanceled, StageCommand)
	if !res.Supervised.Killed || res.Supervised.Unkilled {
		t.Errorf("%+v", res.Supervised)
	}
}
