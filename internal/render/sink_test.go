package render

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
)

// slow is a reader that takes some bytes a second.
type slow struct {
	buffer
	perSecond int
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(s.perSecond))
	return s.buffer.Write(p)
}

// A reader of 1 KiB a second does not hold the run up by a nanosecond; at the
// end it has got everything.
func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	for _, mode := range Modes {
		for _, terminal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/terminal=%v", mode, terminal), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					out, errs := &slow{perSecond: 1024}, &slow{perSecond: 1024}
					s, err := New(mode, Options{
						Out: out, Err: errs, OutTerminal: terminal, ErrTerminal: terminal,
						MemoryBudget: 1000, TempDir: t.TempDir(),
					})
					if err != nil {
						t.Fatal(err)
					}
					store := output.NewStore(1<<20, t.TempDir())
					defer store.Close()
					begin := time.Now()
					s.Start(event.Run{ID: runID, Hosts: 100})
					text := strings.Repeat("some words\n", 50)
					for i := range 100 {
						h := host{name: fmt.Sprintf("h%03d", i), stdout: fmt.Sprint(i, text), stderr: text}
						s.Started(h.name, time.Now())
						s.Output(event.Output{Host: h.name, Stream: event.Stdout, Data: []byte(h.stdout)})
						s.Output(event.Output{Host: h.name, Stream: event.Stderr, Data: []byte(h.stderr)})
						s.Result(h.result(store, time.Now()))
					}
					if d := time.Since(begin); d != 0 {
						t.Errorf("the run was held up for %v", d)
					}
					s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 100}})
					lines := bytes.Count(out.Bytes(), []byte("some words")) + bytes.Count(errs.Bytes(), []byte("some words"))
					if mode != "quiet" && lines != 100*100 {
						t.Errorf("%d lines came, want 10,000", lines)
					}
					if mode != "quiet" && time.Since(begin) < time.Minute {
						t.Errorf("a slow reader was served in %v", time.Since(begin))
					}
				})
			})
		}
	}
}

// breaks is a pipe whose reader goes away after some bytes.
type breaks struct {
	mu   sync.Mutex
	left int
	late int // writes after the first that failed
	done bool
}

func (b *breaks) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		b.late++
	}
	if b.left -= len(p); b.left < 0 {
		b.done = true
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

func TestBrokenPipe(t *testing.T) {
	for _, mode := range Modes {
		if mode == "quiet" {
			continue // writes no data
		}
		for _, terminal := range []bool{false, true} {
			out, errs := &breaks{left: 300}, &buffer{}
			s, err := New(mode, Options{Out: out, Err: errs, ErrTerminal: terminal, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			store := output.NewStore(1<<20, t.TempDir())
			if err := play(s, store, "cmd", hostileRun()); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("%s: Finish = %v, want a broken pipe", mode, err)
			}
			if out.late > 0 {
				t.Errorf("%s: %d writes after the pipe broke", mode, out.late)
			}
			if !strings.Contains(errs.String(), "hosts in 812ms") {
				t.Errorf("%s: no summary on stderr: %q", mode, errs.String())
			}
			if store.Memory() != 0 {
				t.Errorf("%s: %d bytes of captures were not given back", mode, store.Memory())
			}
			store.Close()
		}
	}
}

func TestBrokenStderr(t *testing.T) {
	for _, mode := range Modes {
		s, _ := New(mode, Options{Out: &buffer{}, Err: &breaks{}})
		store := output.NewStore(1<<20, t.TempDir())
		if err := play(s, store, "cmd", mixed()); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%s: Finish = %v, want a broken pipe", mode, err)
		}
		store.Close()
	}
}

// flood runs many hosts that write at the same time, both streams, cut anywhere,
// and returns what each wrote to stdout.
func flood(s event.Sink, hosts, at int) map[string]string {
	wrote := make(map[string]string)
	s.Start(event.Run{ID: runID, Hosts: hosts})
	type done struct{ name, text string }
	ended := make(chan done)
	sem := make(chan struct{}, at)
	go func() {
		for i := range hosts {
			sem <- struct{}{}
			go func() {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				name := fmt.Sprintf("h%04d", i)
				text := strings.Repeat(fmt.Sprintf("%d é 日本 😀 of %s\n", i, name), 20) + "end"
				var both sync.WaitGroup
				for _, stream := range []event.Stream{event.Stdout, event.Stderr} {
					cuts := rand.New(rand.NewPCG(r.Uint64(), 2))
					both.Go(func() {
						for p := []byte(text); len(p) > 0; {
							k := min(1+cuts.IntN(40), len(p))
							s.Output(event.Output{Host: name, Stream: stream, Data: bytes.Clone(p[:k]), Time: noon})
							p = p[k:]
						}
					})
				}
				both.Wait()
				<-sem
				ended <- done{name, text}
			}()
		}
	}()
	for range hosts {
		d := <-ended
		wrote[d.name] = d.text
		s.Result(event.Result{Host: d.name, Outcome: scheduler.OK, Time: noon})
	}
	s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: hosts}})
	return wrote
}

func TestLiveLinesDoNotMix(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out, errs buffer
		s, _ := New("live", Options{Out: &out, Err: &errs, OutTerminal: terminal, ErrTerminal: terminal, NoStatus: true, MemoryBudget: 10_000, TempDir: t.TempDir()})
		wrote := flood(s, 200, 50)
		for _, text := range []string{out.String(), errs.String()} {
			got := map[string]string{}
			for line := range strings.Lines(text) {
				if host, rest, ok := strings.Cut(line, ": "); ok {
					got[host] += rest
				}
			}
			for host, want := range wrote {
				if got[host] != want+"\n" {
					t.Fatalf("%s: %q, want %q", host, got[host], want)
				}
			}
		}
	}
}

// Text stays text however it was cut on the way, and the pieces are exact.
func TestJSONLJoinsCharacters(t *testing.T) {
	var out buffer
	s, _ := New("jsonl", Options{Out: &out, Err: &buffer{}, TempDir: t.TempDir()})
	wrote := flood(s, 100, 20)
	got := map[string]string{}
	for line := range strings.Lines(out.String()) {
		var l struct {
			Type, Host, Stream string
			Data               *string
			B64                *string `json:"data_b64"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.B64 != nil {
			t.Fatalf("text became base64: %s", line)
		}
		if l.Type == "output" {
			got[l.Host+l.Stream] += *l.Data
		}
	}
	for host, want := range wrote {
		if got[host+"stdout"] != want || got[host+"stderr"] != want {
			t.Fatalf("%s: %q, want %q", host, got[host+"stdout"], want)
		}
	}
}

// Bytes that are no text come through JSON exactly, whatever they are.
func TestJSONIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	big := bytes.Repeat([]byte("é 日本 😀 \u202e\x1b\"\\\n"), 20_000)
	inputs := [][]byte{nil, []byte("\x00\r\n\xff"), big, append(bytes.Clone(big), 0xe2, 0x80), []byte("cut\xf0\x9f")}
	for range 500 {
		inputs = append(inputs, hostile(r, nil))
	}
	store := output.NewStore(100_000, t.TempDir()) // the big ones spill
	defer store.Close()
	var out, lines buffer
	doc, _ := New("json", Options{Out: &out, Err: &buffer{}})
	jl, _ := New("jsonl", Options{Out: &lines, Err: &buffer{}, TempDir: t.TempDir()})
	for _, s := range []event.Sink{doc, jl} {
		s.Start(event.Run{ID: runID, Hosts: len(inputs)})
		for i, in := range inputs {
			h := host{name: fmt.Sprint(i), stdout: string(in), stderr: string(in)}
			for p := in; len(p) > 0; {
				k := min(1+r.IntN(5000), len(p))
				s.Output(event.Output{Host: h.name, Stream: event.Stdout, Data: p[:k]})
				p = p[k:]
			}
			s.Result(h.result(store, noon))
		}
		if err := s.Finish(event.Summary{}); err != nil {
			t.Error(err)
		}
	}
	var d struct{ Results []map[string]any }
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	got := make([]string, len(inputs))
	sc := bufio.NewScanner(strings.NewReader(lines.String()))
	sc.Buffer(nil, 10<<20)
	for sc.Scan() {
		var l map[string]any
		json.Unmarshal(sc.Bytes(), &l)
		if l["type"] == "output" {
			var i int
			fmt.Sscan(l["host"].(string), &i)
			got[i] += decoded(t, l, "data")
		}
	}
	for i, in := range inputs {
		if s := decoded(t, d.Results[i], "stdout"); s != string(in) {
			t.Fatalf("json: %.80q became %.80q", in, s)
		}
		if s := decoded(t, d.Results[i], "stderr"); s != string(in) {
			t.Fatalf("json: %.80q became %.80q", in, s)
		}
		if got[i] != string(in) {
			t.Fatalf("jsonl: %.80q became %.80q", in, got[i])
		}
	}
}

// decoded is member name, or the bytes of name_b64.
func decoded(t *testing.T, m map[string]any, name string) string {
	t.Helper()
	if s, ok := m[name].(string); ok {
		return s
	}
	p, err := base64.StdEncoding.DecodeString(m[name+"_b64"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// Output cut at a limit in the middle of a character is still text.
func TestTruncatedTextStaysText(t *testing.T) {
	text := strings.Repeat("日本", 100_000)
	for _, limit := range []int64{100, 300_001} {
		store := output.NewStore(100_000, t.TempDir())
		c := store.Capture(limit)
		c.Write([]byte(text))
		var out buffer
		s, _ := New("json", Options{Out: &out, Err: &buffer{}})
		s.Start(event.Run{})
		s.Result(event.Result{Host: "a", Outcome: scheduler.OK, Truncated: true, Stdout: c})
		s.Finish(event.Summary{})
		var d struct{ Results []struct{ Stdout *string } }
		if err := json.Unmarshal(out.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if got := d.Results[0].Stdout; got == nil || *got != text[:limit/3*3] {
			t.Errorf("limit %d: %.100s", limit, out.String())
		}
		store.Close()
	}
}
