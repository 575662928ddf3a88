package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/output"
	"fleet/internal/render"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
)

// hostile is output that a terminal must not get and a record must not change:
// every byte, escape sequences, a forged prefix, CRLF, bidi and C1 controls, a
// line longer than any buffer, and no line feed at the end.
var hostile = func() []byte {
	var b bytes.Buffer
	for c := range 256 {
		b.WriteByte(byte(c))
	}
	b.WriteString("\r\nok\r\n\x1b]0;title\x07\x1b[2J\x1b[1A\rweb02: forged\nweb02: forged\n\u202etxt.exe\u2066\u009b31m\xc2\x9b5m\xff\xfe\n")
	b.WriteString(strings.Repeat("long \u4e16", 30_000))
	b.WriteString("\r\x1b[K\xe4")
	return b.Bytes()
}()

// hostileFleet has web01 write hostile bytes to both streams, web02 end by a
// signal with a hostile message, and web03 greet with a hostile banner.
func hostileFleet(t testing.TB) *sshtest.Fleet {
	return sshtest.Lab(t, lab.Config{Names: []string{"web01", "web02", "web03"},
		Faults: map[string]lab.Fault{"web02": "signal", "web03": "noisy-banner"},
		Shell: func(_ context.Context, c *lab.Command) lab.Exit {
			if c.Host.Name == "web01" {
				c.Stdout.Write(hostile)
				c.Stderr.Write(hostile)
			}
			return lab.Exit{}
		}})
}

func newRenderer(t testing.TB, mode string, o render.Options) render.Sink {
	t.Helper()
	o.NoStatus, o.TempDir = true, t.TempDir()
	sink, err := render.New(mode, o)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestHostileOutputIsExactInEventsAndKept(t *testing.T) {
	leaves(t)
	f := hostileFleet(t)
	req := ask(f, "x", f.Hosts()...)
	req.Keep = true
	s := newTold()
	s.beforeEnd = func() {
		for name, c := range map[string]io.Reader{"stdout": s.results["web01"].Stdout.Reader(), "stderr": s.results["web01"].Stderr.Reader()} {
			if kept, err := io.ReadAll(c); err != nil || !bytes.Equal(kept, hostile) {
				t.Errorf("kept of %s: %d bytes, %v; want %d", name, len(kept), err, len(hostile))
			}
		}
	}
	c := carry(t, req, s, nil)
	if !bytes.Equal(c.stdout("web01"), hostile) || !bytes.Equal(c.stderr("web01"), hostile) {
		t.Errorf("events carried %d and %d bytes, want %d", len(c.stdout("web01")), len(c.stderr("web01")), len(hostile))
	}
	if res := c.results["web01"]; res.Outcome != okay || res.Truncated || res.StdoutBytes != int64(len(hostile)) || res.StderrBytes != int64(len(hostile)) {
		t.Errorf("result %+v", res)
	}
	if res := c.results["web02"]; res.Outcome != failed || res.Signal != "KILL" || !printable(res.Cause.Text) {
		t.Errorf("%s by signal %q: %v", res.Outcome, res.Signal, res.Cause)
	}
}

func TestHostileOutputIsHarmlessOnATerminal(t *testing.T) {
	for _, mode := range []string{"live", "group", "json", "jsonl", "quiet"} {
		t.Run(mode, func(t *testing.T) {
			leaves(t)
			f := hostileFleet(t)
			var out, errs bytes.Buffer
			req := ask(f, "x", f.Hosts()...)
			req.Keep = render.NeedsCaptures(mode)
			s := newTold()
			s.next = newRenderer(t, mode, render.Options{Out: &out, Err: &errs, OutTerminal: true, ErrTerminal: true, Verbose: 2})
			carry(t, req, s, nil)
			for name, text := range map[string]string{"stdout": out.String(), "stderr": errs.String()} {
				for i, r := range text {
					if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar) {
						t.Errorf("%s: %U at %d: %q", name, r, i, text[max(0, i-20):min(len(text), i+20)])
						break
					}
				}
			}
			if mode == "live" && strings.Contains(out.String(), "\nweb02: ") {
				t.Error("web01 forged a line of web02")
			}
		})
	}
}

func TestHostileOutputIsExactInJSON(t *testing.T) {
	type object struct {
		Type, Host, Stream   string
		Data, Stdout, Stderr *string
		DataB64              []byte `json:"data_b64"`
		StdoutB64            []byte `json:"stdout_b64"`
		StderrB64            []byte `json:"stderr_b64"`
		Results              []object
	}
	text := func(s *string, b64 []byte) []byte {
		if s != nil {
			return []byte(*s)
		}
		return b64
	}
	for _, mode := range []string{"json", "jsonl"} {
		t.Run(mode, func(t *testing.T) {
			leaves(t)
			f := hostileFleet(t)
			var out, errs bytes.Buffer
			req := ask(f, "x", f.Hosts()...)
			req.Keep = render.NeedsCaptures(mode)
			s := newTold()
			s.next = newRenderer(t, mode, render.Options{Out: &out, Err: &errs})
			carry(t, req, s, nil)
			var stdout, stderr []byte
			for d := json.NewDecoder(&out); ; {
				var o object
				if err := d.Decode(&o); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				for _, r := range o.Results {
					if r.Host == "web01" {
						stdout, stderr = text(r.Stdout, r.StdoutB64), text(r.Stderr, r.StderrB64)
					}
				}
				switch o.Stream {
				case "stdout":
					stdout = append(stdout, text(o.Data, o.DataB64)...)
				case "stderr":
					stderr = append(stderr, text(o.Data, o.DataB64)...)
				}
			}
			if !bytes.Equal(stdout, hostile) || !bytes.Equal(stderr, hostile) {
				t.Errorf("%d and %d bytes came out, want the exact %d", len(stdout), len(stderr), len(hostile))
			}
		})
	}
}

// gated is a reader of our output that reads nothing until it is opened.
type gated struct {
	open  chan struct{}
	mu    sync.Mutex
	lines map[string]int // by host
	rest  []byte
}

func (g *gated) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest = append(g.rest, p...)
	for {
		line, rest, ok := bytes.Cut(g.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		host, _, _ := strings.Cut(string(line), ": ")
		g.lines[host]++
		g.rest = rest
	}
}

// TestReaderOfOurOutputHoldsNobodyUp shows a run to somebody who reads nothing
// before it is over: no command waits for that, and nothing is lost.
func TestReaderOfOurOutputHoldsNobodyUp(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 100, Prefix: "web"})
	g := &gated{open: make(chan struct{}), lines: map[string]int{}}
	const lines = 5000
	req := ask(f, fmt.Sprintf("lines %d", lines), f.Hosts()...)
	req.Timeout = time.Minute
	s := newTold()
	s.drop = true
	s.next = newRenderer(t, "live", render.Options{Out: g, Err: io.Discard})
	s.beforeEnd = func() { close(g.open) } // the run is over, and only now somebody reads
	c := carry(t, req, s, light)
	if n := c.summary.Counts[okay]; n != 100 {
		t.Errorf("%d of 100 ok: %v", n, c.causes())
	}
	for _, h := range f.Hosts() {
		if n := g.lines[h.Name]; n != lines {
			t.Errorf("%s: %d of %d lines shown", h.Name, n, lines)
		}
	}
	leftAlone(t, f, 0)
}

// TestChildThatHoldsTheOutput ends a command when its status came and the time
// for what is still in the pipe is over.
func TestChildThatHoldsTheOutput(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 3, Prefix: "web", Faults: map[string]lab.Fault{"*": "linger"}})
	c := carry(t, ask(f, "echo done; exit 3", f.Hosts()...), newTold(), nil)
	for _, res := range c.results {
		if res.Outcome != failed || res.ExitCode == nil || *res.ExitCode != 3 || !res.Lingering || res.Truncated {
			t.Errorf("%s: %s, lingering %v: %v", res.Host, res.Outcome, res.Lingering, res.Cause)
		}
		if string(c.stdout(res.Host)) != "done\n" {
			t.Errorf("%s wrote %q", res.Host, c.stdout(res.Host))
		}
	}
	if c.wall < sshpool.DrainTime || c.wall > sshpool.DrainTime+slack {
		t.Errorf("took %v", c.wall)
	}
	leftAlone(t, f, 0)
}

// TestOutputBeyondItsLimit cuts what is shown and kept at the same byte, says
// so, and counts all.
func TestOutputBeyondItsLimit(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 10, Prefix: "web", Faults: map[string]lab.Fault{"web0[1-5]": "rekey-each=256K"}})
	const limit, all = 100_001, 4 << 20
	req := ask(f, "bytes 4M; stderr 100", f.Hosts()...)
	req.MaxOutput, req.Keep = limit, true
	s := newTold()
	s.onResult = func(r event.Result) {
		kept, err := io.ReadAll(r.Stdout.Reader())
		if err != nil || !bytes.Equal(kept, s.stdout(r.Host)) || int64(len(kept)) != limit {
			t.Errorf("%s: kept %d bytes, shown %d: %v", r.Host, len(kept), len(s.stdout(r.Host)), err)
		}
	}
	c := carry(t, req, s, light)
	var first []byte
	for _, host := range slices.Sorted(maps.Keys(c.results)) {
		res := c.results[host]
		if res.Outcome != okay || !res.Truncated || res.Unstored || res.StdoutBytes != all || res.StderrBytes != 100 {
			t.Errorf("%s: %s, truncated %v, %d and %d bytes: %v", host, res.Outcome, res.Truncated, res.StdoutBytes, res.StderrBytes, res.Cause)
		}
		if first == nil {
			first = c.stdout(host)
		}
		if !bytes.Equal(first, c.stdout(host)) {
			t.Errorf("%s wrote something else than the first", host)
		}
	}
}

// TestOutputThatCannotBeKept has no place left for what hosts write: that is an
// error of the run and no cut at the limit, and hosts end as they do.
func TestOutputThatCannotBeKept(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 2, Prefix: "web"})
	req := ask(f, "bytes 3000", f.Hosts()...)
	req.MaxOutput, req.Keep = 1<<20, true
	r, err := New(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.store = output.NewStore(0, filepath.Join(t.TempDir(), "missing"))
	s := newTold()
	summary, err := r.Run(s)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "spill output: ") {
		t.Errorf("the run says %v", err)
	}
	if n := summary.Counts[okay]; n != 2 {
		t.Errorf("%d of 2 ok", n)
	}
	for host, res := range s.results {
		if !res.Unstored || !res.Truncated || res.StdoutBytes != 3000 {
			t.Errorf("%s: unstored %v, truncated %v, %d bytes", host, res.Unstored, res.Truncated, res.StdoutBytes)
		}
	}
}

// TestCommandBeyondItsTimeout ends commands that sleep and commands that write
// without end, on the hosts as well.
func TestCommandBeyondItsTimeout(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 6, Prefix: "web", Faults: map[string]lab.Fault{"web0[1-3]": "flood"}})
	req := ask(f, "sleep infinity", f.Hosts()...)
	req.Timeout, req.MaxOutput = time.Second, 64<<10
	c := carry(t, req, newTold(), light)
	for host, res := range c.results {
		if res.Outcome != failed || res.Cause.Kind != scheduler.KindTimeout || res.Cause.Stage != scheduler.StageCommand || res.Cause.Text != "timeout in command after 1s" {
			t.Errorf("%s: %s: %v", host, res.Outcome, res.Cause)
		}
		if flood := host <= "web03"; res.Truncated != flood || flood && len(c.stdout(host)) != 64<<10 || res.ExitCode != nil {
			t.Errorf("%s: truncated %v, %d bytes shown", host, res.Truncated, len(c.stdout(host)))
		}
	}
	if c.wall < time.Second || c.wall > 2*time.Second+slack {
		t.Errorf("took %v", c.wall)
	}
	leftAlone(t, f, 0)
}
