package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
)

func TestExec(t *testing.T) {
	_, target := one(t, "")
	c := mustDial(t, target)
	var out, errw bytes.Buffer
	r, err := c.Exec(testContext(t), "echo hi; echo oh >&2; exit 3", &out, &errw)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != "hi\n" || errw.String() != "oh\n" || r.ExitCode != 3 || !r.HasExit ||
		r.StdoutBytes != 3 || r.StderrBytes != 3 || r.Lingering || r.Took <= 0 {
		t.Errorf("out %q, err %q, result %+v", &out, &errw, r)
	}
	if r, err = c.Exec(testContext(t), "echo again", nil, nil); err != nil || r.StdoutBytes != 6 || r.ExitCode != 0 {
		t.Errorf("second command: %+v, %v", r, err)
	}
	if !strings.HasPrefix(c.ServerVersion(), "SSH-2.0-") || c.HostKey() == nil || c.User() != target.User ||
		c.Algorithms().KeyExchange == "" || c.RemoteAddr() == nil || c.Took() <= 0 {
		t.Errorf("connection does not know itself: %q %v", c.ServerVersion(), c.Algorithms())
	}
	if _, err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}

// TestExecFaults meets every way in which a command does not end by itself.
func TestExecFaults(t *testing.T) {
	for _, c := range []struct {
		fault   lab.Fault
		command string
		kind    Kind
		stage   Stage
		text    string
		sent    bool
	}{
		{"refuse-channel", "true", KindSessionLimit, StageChannel, "session refused: ", false},
		{"hang-channel", "true", KindTimeout, StageChannel, "timeout in channel after 300ms", false},
		{"hang-exec", "true", KindTimeout, StageChannel, "timeout in channel after 300ms", true},
		{"refuse-exec", "true", KindPermission, StageChannel, "command refused by the host", false},
		{"no-status", "true", KindNoStatus, StageCommand, "channel closed without an exit status", true},
		{"cut=2", "echo hello", KindConnLost, StageCommand, "connection lost: ", true},
		{"garbage", "echo hello", KindConnLost, StageCommand, "connection lost", true},
		{"freeze-after=2", "echo hello", KindConnLost, StageCommand, "connection lost: no answer for 600ms", true},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			_, target := one(t, c.fault)
			target.KeepaliveInterval, target.KeepaliveCount = 200*time.Millisecond, 3
			target.Limits.Channel = 300 * time.Millisecond
			conn := mustDial(t, target)
			var out bytes.Buffer
			r, err := conn.Exec(testContext(t), c.command, &out, nil)
			e := wantError(t, err, c.kind, c.stage)
			if !strings.HasPrefix(e.Text, c.text) || e.Sent != c.sent {
				t.Errorf("error %+v, want text %q and sent %v", e, c.text, c.sent)
			}
			if r.HasExit || int64(out.Len()) != r.StdoutBytes {
				t.Errorf("result %+v with %d bytes written", r, out.Len())
			}
		})
	}
}

func TestExitSignalIsMadeSafe(t *testing.T) {
	_, target := one(t, "signal")
	r, err := mustDial(t, target).Exec(testContext(t), "true", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.HasExit || r.Signal != "KILL" || strings.ContainsAny(r.SignalText, "\x1b\a\r\n") || r.SignalText == "" {
		t.Errorf("result %+v", r)
	}
}

// TestLingeringChild ends a command whose output a child holds open.
func TestLingeringChild(t *testing.T) {
	t.Parallel()
	_, target := one(t, "linger")
	c := mustDial(t, target)
	began := time.Now()
	r, err := c.Exec(testContext(t), "echo hi", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); !r.Lingering || !r.HasExit || took < DrainTime || took > DrainTime+5*time.Second {
		t.Errorf("after %v: %+v", took, r)
	}
}

func TestCancelExec(t *testing.T) {
	w, target := one(t, "")
	c := mustDial(t, target)
	ctx, cancel := context.WithCancel(testContext(t))
	started := make(chan struct{})
	var once sync.Once
	go func() {
		<-started
		cancel()
	}()
	began := time.Now()
	_, err := c.Exec(ctx, "echo on; sleep 1000", writerFunc(func(p []byte) (int, error) {
		once.Do(func() { close(started) })
		return len(p), nil
	}), nil)
	e := wantError(t, err, KindCanceled, StageCommand)
	if !errors.Is(e, context.Canceled) || !e.Sent || time.Since(began) > 10*time.Second {
		t.Errorf("error %+v after %v", e, time.Since(began))
	}
	if _, err := c.Exec(testContext(t), "true", nil, nil); err != nil {
		t.Errorf("the connection does not outlive a cancelled command: %v", err)
	}
	if n := w.Must(t, "h1").Stats().Accepted; n != 1 {
		t.Errorf("%d connections", n)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestWriterFails lets a writer fail and panic: the command goes on to its end.
func TestWriterFails(t *testing.T) {
	_, target := one(t, "")
	c := mustDial(t, target)
	for _, w := range []io.Writer{
		writerFunc(func([]byte) (int, error) { return 0, errors.New("disk full") }),
		writerFunc(func([]byte) (int, error) { panic("disk full") }),
	} {
		r, err := c.Exec(testContext(t), "echo hi; exit 4", w, nil)
		e := wantError(t, err, KindInternal, StageCommand)
		if !strings.HasSuffix(e.Text, "disk full") || r.ExitCode != 4 || r.StdoutBytes != 3 {
			t.Errorf("error %q, result %+v", e.Text, r)
		}
	}
}

func TestStdin(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true})
	c := mustDial(t, w.target(t, "h1"))
	want := strings.Repeat("0123456789abcdef", 1<<16)
	var out bytes.Buffer
	r, err := c.Run(testContext(t), Command{Text: "cat", Stdin: strings.NewReader(want), Stdout: &out})
	if err != nil || r.ExitCode != 0 || out.String() != want {
		t.Errorf("%d of %d bytes, %+v, %v", out.Len(), len(want), r, err)
	}
	out.Reset()
	if _, err := c.Exec(testContext(t), "cat", &out, nil); err != nil || out.Len() != 0 {
		t.Errorf("cat of nothing gave %q, %v", &out, err)
	}
}

// TestSessionLimit runs many commands at once on a host that allows few.
func TestSessionLimit(t *testing.T) {
	for _, limit := range []int{1, 10} {
		w, target := one(t, lab.Fault(fmt.Sprintf("max-sessions=%d", limit)))
		c := mustDial(t, target)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				var out bytes.Buffer
				_, err := c.Exec(testContext(t), fmt.Sprintf("echo %d", i), &out, nil)
				if err != nil || out.String() != fmt.Sprintf("%d\n", i) {
					t.Errorf("command %d: %q, %v", i, &out, err)
				}
			})
		}
		wg.Wait()
		if s := w.Must(t, "h1").Stats(); s.Accepted != 1 || s.CommandsRun != 50 {
			t.Errorf("%d connections, %d commands", s.Accepted, s.CommandsRun)
		}
	}
}

// TestUnreadStderr has the host fill stderr beyond the channel's window while
// nobody wants it.
func TestUnreadStderr(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true})
	const size = 5 << 20
	r, err := mustDial(t, w.target(t, "h1")).Exec(testContext(t),
		fmt.Sprintf("head -c %d /dev/zero >&2; echo done", size), nil, nil)
	if err != nil || r.StderrBytes != size || r.StdoutBytes != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestRekey keeps bytes exact while keys change and keepalive is impatient.
func TestRekey(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true, Faults: map[string]lab.Fault{"h1": "rekey-each=1048576"}})
	target := w.target(t, "h1")
	target.KeepaliveInterval = 500 * time.Millisecond
	target.KeepaliveCount = 10
	const size = 32 << 20
	var sum counter
	r, err := mustDial(t, target).Run(testContext(t), Command{
		Text: "cat", Stdin: io.LimitReader(&sum, size), Stdout: writerFunc(sum.check)})
	if err != nil || r.StdoutBytes != size || sum.bad {
		t.Errorf("%+v, %v, bad %v", r, err, sum.bad)
	}
}

// counter is a stream of bytes that depend on their place.
type counter struct {
	out, in int
	bad     bool
}

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c.out ^ c.out>>8 ^ c.out>>16)
		c.out++
	}
	return len(p), nil
}

func (c *counter) check(p []byte) (int, error) {
	for _, b := range p {
		c.bad = c.bad || b != byte(c.in^c.in>>8^c.in>>16)
		c.in++
	}
	return len(p), nil
}

// TestAnswerBeforeEnd wants the host's answer taken before a command's end,
// whichever of what came at the same time is looked at first.
func TestAnswerBeforeEnd(t *testing.T) {
	for range 200 {
		for _, granted := range []bool{true, false} {
			reqs := make(chan *ssh.Request, 1)
			reqs <- &ssh.Request{Type: "exit-status", Payload: []byte{0, 0, 0, 0}}
			close(reqs)
			r := &running{ctx: t.Context(), s: &opening{reqs: reqs}, done: make(chan *sink, 2),
				replied: make(chan reply, 1), ready: make(chan struct{})}
			r.replied <- reply{ok: granted, what: "command"}
			r.done <- &r.out
			r.done <- &r.err
			err := r.wait()
			r.limit.stop()
			select {
			case <-r.ready:
				if err != nil || !granted {
					t.Fatalf("granted %v: ready, %v", granted, err)
				}
			default:
				if err == nil {
					t.Fatalf("granted %v: the command ended without an answer", granted)
				}
			}
		}
	}
}
