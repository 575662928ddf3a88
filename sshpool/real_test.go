package sshpool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// realServers are the servers that people run.
func realServers() map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server {
	return map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{
		"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear}
}

func TestRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			c := mustDial(t, realTarget(t, start(t)))
			var out, errw bytes.Buffer
			for range 5 {
				out.Reset()
				errw.Reset()
				r, err := c.Exec(testContext(t), "echo out; echo err >&2; exit 7", &out, &errw)
				if err != nil || r.ExitCode != 7 || out.String() != "out\n" || errw.String() != "err\n" {
					t.Fatalf("%q, %q, %+v, %v", &out, &errw, r, err)
				}
			}
			out.Reset()
			in := strings.Repeat("x", 3<<20)
			if r, err := c.Run(testContext(t), Command{Text: "cat", Stdin: strings.NewReader(in), Stdout: &out}); err != nil || out.String() != in {
				t.Errorf("%d bytes of %d, %+v, %v", out.Len(), len(in), r, err)
			}
			if r, err := c.Exec(testContext(t), "cat", nil, nil); err != nil || r.StdoutBytes != 0 {
				t.Errorf("cat without input: %+v, %v", r, err)
			}
			if r, err := c.Exec(testContext(t), "kill -9 $$", nil, nil); err != nil || r.HasExit && r.ExitCode != 137 && r.Signal != "KILL" {
				t.Errorf("killed command: %+v, %v", r, err)
			}
		})
	}
}

func TestRealSignal(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	r, err := c.Exec(testContext(t), "kill -9 $$", nil, nil)
	if err != nil || r.HasExit || r.Signal != "KILL" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Run(testContext(t), Command{Text: "true", Env: []string{"NOT_ACCEPTED=1"}}); err == nil {
		t.Error("a variable that the host refuses was ignored")
	} else {
		wantError(t, err, KindPermission, StageChannel)
	}
	if _, err := c.Run(testContext(t), Command{Text: "exit 0"}); err != nil {
		t.Error(err)
	}
}

// TestRealMaxSessions queues 50 commands on a connection that takes ten.
func TestRealMaxSessions(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t, sshtest.MaxSessions(10))
	p := newTestPool(t, PoolConfig{})
	fiftyEchoes(t, p, realTarget(t, s))
}

// cancelOnOutput runs cmd, cancels it at its first output and wants it canceled.
func cancelOnOutput(t *testing.T, c *Conn, cmd Command) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	_, err := c.Run(ctx, cmd)
	if e := wantError(t, err, KindCanceled, StageCommand); !e.Sent {
		t.Error("a command that ran counts as not sent")
	}
}

// TestCancelClosesTheChannel ends a command that reads from it. (sshd passes
// signals on for other users than root only.)
func TestCancelClosesTheChannel(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := mustDial(t, realTarget(t, s))
			never, w := io.Pipe()
			defer w.Close()
			cancelOnOutput(t, c, Command{Text: "echo on; exec cat", Stdin: never})
			s.WaitCommands(0, 20*time.Second)
			if _, err := c.Exec(testContext(t), "true", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCancelSendsTheSignal lets a command note that it was told to end.
func TestCancelSendsTheSignal(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true})
	note := filepath.Join(t.TempDir(), "note")
	cancelOnOutput(t, mustDial(t, w.target(t, "h1")), Command{
		Text: "trap 'echo TERM >" + note + "; exit 0' TERM; echo on; while :; do sleep 0.01; done"})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := testContext(t); ; {
		if text, err := os.ReadFile(note); err == nil && string(text) == "TERM\n" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the command was not told to end")
		}
	}
}

// TestFrozenPeer finds a stopped server, whether we wait or write.
func TestFrozenPeer(t *testing.T) {
	for name, start := range realServers() {
		for _, writing := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/writing=%v", name, writing), func(t *testing.T) {
				t.Parallel() // they wait, most of the time
				s := start(t)
				target := realTarget(t, s)
				target.KeepaliveInterval, target.KeepaliveCount = time.Second, 3 // a busy host that is not frozen answers within that
				c := mustDial(t, target)
				cmd := Command{Text: "echo on; cat >/dev/null; sleep 3600"}
				if writing {
					cmd.Stdin = &counter{}
				}
				var frozen time.Time
				cmd.Stdout = writerFunc(func(p []byte) (int, error) {
					frozen = time.Now()
					s.Freeze()
					return len(p), nil
				})
				_, err := c.Run(testContext(t), cmd)
				took := time.Since(frozen)
				e := wantError(t, err, KindConnLost, StageCommand)
				if !e.Sent || e.Text != "connection lost: no answer for 3s" {
					t.Errorf("error %+v", e)
				}
				if took > 3*time.Second+10*time.Second {
					t.Errorf("found after %v", took)
				}
				s.Continue()
			})
		}
	}
}

// TestIdleConnectionLives leaves a connection alone for many intervals.
func TestIdleConnectionLives(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		for _, count := range []int{1, 3} {
			t.Run(fmt.Sprint(name, " ", count), func(t *testing.T) {
				t.Parallel() // they wait, most of the time
				target := realTarget(t, start(t))
				target.KeepaliveInterval, target.KeepaliveCount = time.Second, count
				c := mustDial(t, target)
				if r, err := c.Exec(testContext(t), "sleep 6; echo done", nil, nil); err != nil || r.StdoutBytes != 5 {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
	}
}

func TestKeepaliveOff(t *testing.T) {
	_, target := one(t, lab.Fault("freeze"))
	target.KeepaliveInterval = -1
	target.Limits.Channel = 200 * time.Millisecond
	c := mustDial(t, target)
	_, err := c.Exec(testContext(t), "true", nil, nil)
	wantError(t, err, KindTimeout, StageChannel)
	if c.Err() != nil {
		t.Errorf("connection ended by %v", c.Err())
	}
}

// BenchmarkOneByOne measures the latency of a host: connect, login, command,
// close, against one real server. The bare loop is the library's own.
func BenchmarkOneByOne(b *testing.B) {
	s := sshtest.OpenSSH(b)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			c, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{User: s.User,
				Auth: []ssh.AuthMethod{ssh.PublicKeys(s.Signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
			if err != nil {
				b.Fatal(err)
			}
			session, err := c.NewSession()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := session.Output("true"); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
	b.Run("sshpool", func(b *testing.B) {
		target := realTarget(b, s)
		for b.Loop() {
			c, err := Dial(context.Background(), target)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Exec(context.Background(), "true", nil, nil); err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
	})
}

// TestChattyChild leaves a child behind that writes once more, or without end: what
// it writes soon after the command's end is output, and the wait for it has one.
func TestChattyChild(t *testing.T) {
	t.Parallel()
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	for text, most := range map[string]time.Duration{
		"(sleep 1; echo late; sleep 60) & echo first":                       3 * DrainTime,
		"(for i in $(seq 100); do sleep 0.2; echo late; done) & echo first": mostDrain + 2*DrainTime,
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			began := time.Now()
			r, err := c.Exec(testContext(t), text, &out, nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); !r.Lingering || !strings.HasPrefix(out.String(), "first\nlate\n") || took < DrainTime || took > most+5*time.Second {
				t.Errorf("after %v: %q, %+v", took, &out, r)
			}
		})
	}
}
