package engine

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/output"
	"fleet/internal/render"
	"fleet/internal/sshtest"
	"fleet/scheduler"
)

const canary = "c4n4ry-0xDEADBEEF-do-not-tell"

// search fails the test if a canary is in text, as it is or encoded.
func search(t *testing.T, where string, text []byte) {
	t.Helper()
	hex := fmt.Sprintf("%x", canary)
	for _, form := range []string{canary, hex, strings.ToUpper(hex), "YzRuNHJ5LTB4REVBREJFRUYtZG8tbm90LXRlbG", string([]byte(canary)[:12])} {
		if bytes.Contains(text, []byte(form)) {
			t.Errorf("%s tells the secret: %.300q", where, text)
		}
	}
}

// guardedBuffer may be written to by many and read while it is.
type guardedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *guardedBuffer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

// openContents reads every file that this process has open in dir, also those
// whose name is gone.
func openContents(t *testing.T, dir string) (found int, text []byte) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err != nil || !strings.HasPrefix(to, dir) {
			continue
		}
		b, err := os.ReadFile(l)
		if err != nil {
			t.Error(err)
		}
		found++
		text = append(text, b...)
	}
	return found, text
}

// secretly carries req out with everything that could tell a secret watched:
// events, results, all output modes, the log at its most talkative, spilled
// output, and the arguments and environment of this process.
func secretly(t *testing.T, req Request) carried {
	t.Helper()
	spill := t.TempDir()
	t.Setenv("TMPDIR", spill)
	var log, out guardedBuffer
	req.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
	req.Keep, req.MaxOutput = true, 1<<30
	s := newTold()
	var renderers []render.Sink
	for _, mode := range []string{"live", "jsonl", "quiet"} {
		sink, err := render.New(mode, render.Options{Out: &out, Err: &out, Verbose: 3, TempDir: spill, MemoryBudget: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		renderers = append(renderers, sink)
	}
	s.next = fan(renderers)
	s.drop = true
	s.onOutput = func(o event.Output) { search(t, "an output event", o.Data) }
	s.onResult = func(r event.Result) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Error(err)
		}
		search(t, "a result", text)
		kept, err := io.ReadAll(r.Stdout.Reader())
		if err != nil {
			t.Error(err)
		}
		search(t, "kept output", kept)
	}
	spilled := 0
	s.beforeEnd = func() {
		n, text := openContents(t, spill)
		spilled += n
		search(t, "spilled output", text)
		for _, file := range []string{"/proc/self/cmdline", "/proc/self/environ"} {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			search(t, file, text)
		}
	}
	c := carry(t, req, s, func(r *Run) { r.store = output.NewStore(64<<10, "") })
	if spilled == 0 && strings.HasPrefix(req.Command, "bytes") {
		t.Error("no output was spilled: the test looks at nothing")
	}
	search(t, "the log", log.b.Bytes())
	search(t, "what is shown", out.b.Bytes())
	text, err := json.Marshal(c.run)
	if err != nil {
		t.Error(err)
	}
	search(t, "the run", text)
	return c
}

// fan tells several renderers, none of which keeps captures.
type fan []render.Sink

func (f fan) Start(r event.Run) {
	for _, s := range f {
		s.Start(r)
	}
}

func (f fan) Started(host string, at time.Time) {
	for _, s := range f {
		s.Started(host, at)
	}
}

func (f fan) Output(o event.Output) {
	for _, s := range f {
		s.Output(o)
	}
}

func (f fan) Result(r event.Result) {
	r.Stdout, r.Stderr = nil, nil
	for _, s := range f {
		s.Result(r)
	}
}

func (f fan) Finish(sum event.Summary) error {
	var errs []error
	for _, s := range f {
		errs = append(errs, s.Finish(sum))
	}
	return errors.Join(errs...)
}

// TestPasswordIsNeverTold logs in by password where it is right, wrong, not
// wanted, and where the host hangs or cuts the connection upon it.
func TestPasswordIsNeverTold(t *testing.T) {
	for name, password := range map[string]string{"right": canary, "wrong": "something else"} {
		t.Run(name, func(t *testing.T) {
			f := sshtest.Lab(t, lab.Config{
				Names: []string{"plain", "asks", "noisy", "bad", "cut"}, Password: password,
				Faults: map[string]lab.Fault{"asks": "password-only", "noisy": "password-only+noisy-banner", "bad": "deny-auth", "cut": "password-only+cut=5"},
			})
			asked := 0
			req := ask(f, "bytes 500K", f.Hosts()...)
			req.Password = func(context.Context) (string, error) { asked++; return canary, nil }
			c := secretly(t, req)
			if asked != 1 {
				t.Errorf("the password was asked for %d times", asked)
			}
			want := never
			if name == "right" {
				want = okay
			}
			if got := c.results["asks"].Outcome; got != want || c.results["plain"].Outcome != okay {
				t.Errorf("asks: %s, want %s: %v", got, want, c.causes())
			}
			if res := c.results["bad"]; (res.Outcome == okay) != (name == "right") {
				t.Errorf("bad: %s: %v", res.Outcome, res.Cause)
			}
			for _, h := range f.Hosts() {
				search(t, "a command", []byte(strings.Join(h.Stats().Commands, "\n")))
			}
		})
	}
}

// TestFailingPromptIsNeverTold has the prompt for the password fail.
func TestFailingPromptIsNeverTold(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 3, Prefix: "web", Faults: map[string]lab.Fault{"*": "password-only"}})
	req := ask(f, "true", f.Hosts()...)
	req.Password = func(context.Context) (string, error) { return canary, errors.New("no terminal to ask on") }
	c := secretly(t, req)
	for host, res := range c.results {
		if res.Outcome != never || res.Cause.Kind != scheduler.KindAuth || !strings.Contains(res.Cause.Text, "no terminal to ask on") {
			t.Errorf("%s: %s: %v", host, res.Outcome, res.Cause)
		}
	}
}

// lockKey writes the fleet's client key behind a passphrase.
func lockKey(t *testing.T, f *sshtest.Fleet, passphrase string) string {
	t.Helper()
	text, err := os.ReadFile(f.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*raw.(*ed25519.PrivateKey), "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPassphraseIsNeverTold opens a locked key by the right and by a wrong
// passphrase.
func TestPassphraseIsNeverTold(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 5, Prefix: "web"})
	t.Run("right", func(t *testing.T) {
		asked := 0
		req := ask(f, "bytes 500K", f.Hosts()...)
		req.Keys = []string{lockKey(t, f, canary)}
		req.Passphrase = func(context.Context, string) ([]byte, error) { asked++; return []byte(canary), nil }
		if c := secretly(t, req); c.summary.Counts[okay] != 5 || asked != 1 {
			t.Errorf("asked %d times: %v", asked, c.causes())
		}
	})
	t.Run("wrong", func(t *testing.T) {
		var log guardedBuffer
		req := ask(f, "true", f.Hosts()...)
		req.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
		req.Keys = []string{lockKey(t, f, rand.Text())}
		req.Passphrase = func(context.Context, string) ([]byte, error) { return []byte(canary), nil }
		r, err := New(context.Background(), req)
		if err == nil {
			r.Close()
			t.Fatal("the key opened")
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			search(t, "the error", fmt.Appendf(nil, "%v %+v %#v", e, e, e))
		}
		search(t, "the log", log.b.Bytes())
	})
}
