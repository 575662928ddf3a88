package sshpool

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
	"fleet/internal/remote"
	"fleet/internal/sshtest"
)

// partly is an input whose first bytes come, and then nothing until the test ends.
func partly(t *testing.T) io.Reader { return io.MultiReader(strings.NewReader("part"), silence(t)) }

// store is a command that puts its input in place once it has all of it.
func store(name string) string {
	return "echo up; cat >" + name + ".part && mv " + name + ".part " + name + "; sleep 1000"
}

// wantNothing wants a command ended for sure that has not done its work.
func wantNothing(t *testing.T, s *sshtest.Server, r ExecResult, mark string) {
	t.Helper()
	if !r.Supervised.Killed || r.Supervised.Unkilled {
		t.Errorf("%+v", r)
	}
	s.WaitCommands(0, 30*time.Second)
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command went on with a part of what it was to get")
	}
}

// TestGivenUpBeforeItBegan gives commands up as soon as the host has agreed to run
// them: when their variables are yet to come, or their input.
func TestGivenUpBeforeItBegan(t *testing.T) {
	t.Parallel()
	vars, err := remote.Environment([]string{"FLEET_A=x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			mark := filepath.Join(t.TempDir(), "mark")
			for range 2 {
				for _, cmd := range []Command{
					{Text: `test "$FLEET_A" = x || echo bad >` + mark + "; sleep 1000", Payload: vars},
					{Text: store(mark), Stdin: partly(t)},
					{Text: `test "$FLEET_A" = x || echo bad >` + mark + "; " + store(mark), Payload: vars, Stdin: partly(t)},
				} {
					cmd.Supervise = &Supervision{KillAfter: time.Second}
					ctx, cancel := context.WithCancel(testContext(t))
					session, err := mustDial(t, realTarget(t, s)).Start(ctx, cmd)
					if err != nil {
						t.Fatal(err)
					}
					cancel()
					r, err := session.Wait()
					wantError(t, err, KindCanceled, StageCommand)
					wantNothing(t, s, r, mark)
				}
			}
		})
	}
}

// TestGivenUpWhenAsked has a host ask for the password of a command that was given
// up before: without one it does not begin.
func TestGivenUpWhenAsked(t *testing.T) {
	t.Parallel()
	_, target := one(t, "hang-exec")
	ctx, cancel := context.WithCancel(testContext(t))
	told := false
	cmd := Command{Text: "cat", Stdin: partly(t), Become: &Become{Password: func() string { told = true; return "x" }}}
	r, err := mustDial(t, target).begin(ctx, cmd)
	if err != nil {
		t.Fatal(err)
	}
	r.start(cmd)
	cancel()
	if over, err := r.giveUp(r.canceled()); over {
		t.Fatal(err)
	}
	r.sup.follow.Asked <- struct{}{}
	wantError(t, r.end(), KindCanceled, StageCommand)
	if told {
		t.Error("the host was given the password")
	}
}

// TestGivenUpWithInput gives commands up that have got a part of their input, as the
// login user and as another: they must not take that for all. Where the host
// allows one session, it can be asked to end the command only after that one.
func TestGivenUpWithInput(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := becomeServer(t, start, becomeRules()["free"])
			mark := filepath.Join(t.TempDir(), "mark")
			cmd := supervise(store(mark))
			cmd.Become, cmd.Stdin = &Become{}, partly(t)
			wantNothing(t, s, giveUp(t, mustDial(t, realTarget(t, s)), cmd), mark)
		})
	}
	t.Run("one session", func(t *testing.T) {
		t.Parallel()
		s := sshtest.OpenSSH(t, sshtest.MaxSessions(1))
		cmd := supervise("echo up; cat")
		cmd.Stdin = partly(t)
		if r := giveUp(t, mustDial(t, realTarget(t, s)), cmd); !r.Supervised.Killed {
			t.Errorf("%+v", r)
		}
		s.WaitCommands(0, 30*time.Second)
	})
}

// TestInputFails has an input that cannot be read to its end.
func TestInputFails(t *testing.T) {
	t.Parallel()
	bad := errors.New("disk on fire")
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			mark := filepath.Join(t.TempDir(), "mark")
			for want, input := range map[string]io.Reader{
				"read input: disk on fire": iotest.ErrReader(bad),
				"read input: panic: lost":  readerFunc(func([]byte) (int, error) { panic("lost") }),
			} {
				for _, how := range []*Supervision{nil, {KillAfter: time.Second}} {
					cmd := Command{Text: store(mark), Stdin: io.MultiReader(strings.NewReader("part"), input), Supervise: how}
					if how == nil {
						cmd.Text = "cat"
					}
					r, err := mustDial(t, realTarget(t, s)).Run(testContext(t), cmd)
					if e := wantError(t, err, KindInternal, StageCommand); e.Text != want || !e.Sent || strings.Contains(want, "disk") != errors.Is(err, bad) {
						t.Errorf("%+v, want %q", e, want)
					}
					if how != nil {
						wantNothing(t, s, r, mark)
					}
				}
			}
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestGivenUpWhenItHadEnded gives a command up that has told its exit status, and
// left something that holds its output open: it ended by itself.
func TestGivenUpWhenItHadEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	reqs := make(chan *ssh.Request)
	r := &running{ctx: ctx, over: ctx.Done(), s: &opening{reqs: reqs}, done: make(chan *sink, 2), began: time.Now(),
		replied: make(chan reply, 1), ready: make(chan struct{})}
	r.replied <- reply{ok: true}
	ended := make(chan error, 1)
	go func() { ended <- r.wait() }()
	<-r.ready
	reqs <- &ssh.Request{Type: "exit-status", Payload: []byte{0, 0, 0, 3}}
	cancel()
	if err := <-ended; err != nil || r.res.ExitCode != 3 || !r.res.HasExit || !r.res.Lingering || r.givenUp {
		t.Errorf("%+v, %v", r.res, err)
	}
	r.limit.stop()
}

// TestStreamStopsEarly fetches a large file by a shell to where nothing can be
// written: the rest does not come first.
func TestStreamStopsEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true})
	c := mustDial(t, w.target(t, "h1"))
	files, err := c.filesByStream(testContext(t), errors.New("no sftp"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 256 << 20
	from := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(from, size); err != nil {
		t.Fatal(err)
	}
	to, err := os.Open(from) // not to write
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	g := &getting{f: files, remote: from, name: "f", to: to, info: &fileInfo{size: size}, sum: sha256.New()}
	err = g.streamFill(testContext(t))
	wantError(t, err, KindLocal, StageTransfer)
	c.wire.stock.mu.Lock()
	defer c.wire.stock.mu.Unlock()
	if came := c.wire.stock.came; came > size/4 {
		t.Errorf("%d bytes came", came)
	}
}

// TestAskedInVain has sudo say, when its question for a code was left without an
// answer, that a password is required: it was the code that it wanted.
func TestAskedInVain(t *testing.T) {
	r := &running{sup: newSupervised(Command{Become: &Become{Password: secret("x")}})}
	mark := "fleet-" + r.sup.nonce
	r.sup.follow.Stderr.Pass([]byte(mark + " become\nVerification code: "))
	if r.askedInVain() || !r.askedInVain() {
		t.Error("the question is not seen to have stayed")
	}
	r.sup.follow.Stderr.Pass([]byte("\nsudo: a password is required\n"))
	wantError(t, r.notBecome(), KindBecomeDenied, StageBecome)
	if e := r.notBecome().(*Error); e.Text != `sudo asks for more than a password: "Verification code:"` {
		t.Errorf("%q", e.Text)
	}
}

// TestToldAtOnce has the end told while a long payload is on its way: the library
// takes one write a channel at a time.
func TestToldAtOnce(t *testing.T) {
	t.Parallel()
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	mark := filepath.Join(t.TempDir(), "mark")
	payload := strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 4000) + "FLEET_A=x\nexport FLEET_A\n"
	for range 5 {
		ctx, cancel := context.WithCancel(testContext(t))
		r, err := c.begin(ctx, Command{Text: `test "$FLEET_A" = x || echo bad >` + mark + "; sleep 1000", Payload: payload, Supervise: &Supervision{KillAfter: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		r.start(Command{Text: "x", Payload: payload})
		go func() {
			<-r.sup.follow.Ready()
			cancel()
		}()
		wantError(t, r.end(), KindCanceled, StageCommand)
		if !r.res.Supervised.Killed {
			t.Errorf("%+v", r.res)
		}
		cancel()
		if _, err := os.Stat(mark); err == nil {
			t.Fatal("the command went on with a part of its payload")
		}
	}
}
