package render

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
)

// still is a clock that stands, so that nothing is shown before its time.
func still() time.Time { return noon }

func TestLiveFoldGolden(t *testing.T) {
	for _, where := range []struct {
		name string
		o    Options
	}{
		{"pipe", Options{}},
		{"terminal", Options{OutTerminal: true, ErrTerminal: true}},
		{"color", Options{OutTerminal: true, ErrTerminal: true, Color: true, ErrColor: true}},
	} {
		where.o.LiveFold, where.o.Clock, where.o.NoStatus = true, still, true
		out, err := show(t, "live", where.o, mixed())
		golden(t, "livefold-"+where.name+".out", []byte(out))
		golden(t, "livefold-"+where.name+".err", []byte(err))
	}
}

// foldedRun is a sink whose clock the test moves, and what it wrote.
type foldedRun struct {
	*liveFold
	out, errs buffer
	mu        sync.Mutex
	now       time.Time
}

func newFoldedRun(t *testing.T, o Options) *foldedRun {
	t.Helper()
	r := &foldedRun{now: noon}
	o.Out, o.Err, o.TempDir, o.LiveFold = &r.out, &r.errs, t.TempDir(), true
	o.Clock = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.now
	}
	s, err := New("live", o)
	if err != nil {
		t.Fatal(err)
	}
	r.liveFold = s.(*liveFold)
	return r
}

func (r *foldedRun) pass(d time.Duration) {
	r.mu.Lock()
	r.now = r.now.Add(d)
	now := r.now
	r.mu.Unlock()
	r.show(now, false)
}

// TestLiveFoldKeepsOrder has hosts say the same, mostly, at various times and
// in pieces: what is shown of each host are its lines, all and in their order.
func TestLiveFoldKeepsOrder(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newFoldedRun(t, Options{})
		r.Start(event.Run{ID: runID, Hosts: 20})
		want := map[string][]string{}
		rest := map[string]string{}
		var hosts []string
		for i := range 20 {
			host := fmt.Sprintf("h%02d", i)
			hosts = append(hosts, host)
			for k := range 30 {
				line := fmt.Sprintf("step %d", k)
				if rnd.IntN(10) == 0 {
					line = fmt.Sprintf("step %d went wrong on %s", k, host)
				}
				want[host] = append(want[host], line)
			}
			rest[host] = strings.Join(want[host], "\n") // without a last line feed
			r.Started(host, noon)
		}
		for len(rest) > 0 {
			host := hosts[rnd.IntN(len(hosts))]
			text, left := rest[host]
			if !left {
				continue
			}
			k := min(len(text), 1+rnd.IntN(60))
			r.Output(event.Output{Host: host, Stream: event.Stdout, Data: []byte(text[:k])})
			if rest[host] = text[k:]; k == len(text) {
				delete(rest, host)
				r.Result(event.Result{Host: host, Outcome: scheduler.OK})
			}
			if rnd.IntN(8) == 0 {
				r.pass(time.Duration(rnd.IntN(400)) * time.Millisecond)
			}
		}
		if err := r.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 20}}); err != nil {
			t.Error(err)
		}
		got := map[string][]string{}
		n := 0
		for line := range strings.Lines(r.out.String()) {
			names, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			n++
			for host := range strings.SplitSeq(names, ",") {
				got[host] = append(got[host], text)
			}
		}
		for host, lines := range want {
			if !slices.Equal(got[host], lines) {
				t.Fatalf("seed %d: %s said\n%q, shown is\n%q", seed, host, lines, got[host])
			}
		}
		if n > 20*30*3/4 {
			t.Errorf("seed %d: %d lines are shown for 600", seed, n)
		}
		if r.bytes != 0 || len(r.heads) != 0 || len(r.last) != 0 || len(r.lines) != 0 {
			t.Errorf("seed %d: left over: %d bytes, %d heads, %d last, %d lines", seed, r.bytes, len(r.heads), len(r.last), len(r.lines))
		}
	}
}

// A line waits for others, but not longer than it may, and not for hosts that
// are silent.
func TestLiveFoldWaits(t *testing.T) {
	r := newFoldedRun(t, Options{})
	r.Start(event.Run{ID: runID, Hosts: 3})
	say := func(host, text string) {
		r.Output(event.Output{Host: host, Stream: event.Stdout, Data: []byte(text)})
	}
	say("a", "up\n")
	r.pass(foldWindow / 2)
	say("b", "up\nmore\n")
	r.pass(foldWindow/2 - 1)
	if len(r.lines) != 3 {
		t.Errorf("%d lines wait, want all 3", len(r.lines))
	}
	r.pass(1)
	if len(r.lines) != 1 {
		t.Errorf("%d lines wait, want the one that is younger", len(r.lines))
	}
	r.pass(foldWindow)
	say("c", "up\n")
	if err := r.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	if want := "a,b: up\nb: more\nc: up\n"; r.out.String() != want {
		t.Errorf("%q, want %q", r.out.String(), want)
	}
}

// What waits is bounded, whatever hosts send at once.
func TestLiveFoldIsBounded(t *testing.T) {
	r := newFoldedRun(t, Options{MemoryBudget: 1 << 20})
	r.Start(event.Run{ID: runID, Hosts: 100})
	most := 0
	for i := range 3000 {
		r.Output(event.Output{Host: fmt.Sprintf("h%d", i%100), Stream: event.Stdout, Data: []byte(strings.Repeat("x", 5000) + fmt.Sprint(i) + "\n")})
		most = max(most, r.bytes)
	}
	if most > foldMemory {
		t.Errorf("%d bytes waited", most)
	}
	if err := r.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	if n := strings.Count(r.out.String(), "\n"); n != 3000 {
		t.Errorf("%d lines of 3000", n)
	}
}

// So it is where lines are short: what it takes to keep one counts, too.
func TestLiveFoldIsBoundedInLines(t *testing.T) {
	r := newFoldedRun(t, Options{})
	r.Start(event.Run{ID: runID, Hosts: 10})
	const hosts, pieces, each = 10, 100, 200
	most := 0
	for i := range pieces * hosts {
		r.Output(event.Output{Host: fmt.Sprintf("h%d", i%hosts), Stream: event.Stdout, Data: []byte(strings.Repeat("\n", each))})
		most = max(most, len(r.lines))
	}
	if size := int(reflect.TypeFor[foldLine]().Size()); most*size > foldMemory {
		t.Errorf("%d lines of %d bytes waited", most, size)
	}
	if err := r.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	shown := 0
	for line := range strings.Lines(r.out.String()) {
		names, _, _ := strings.Cut(line, ": ")
		shown += strings.Count(names, ",") + 1
	}
	if shown != hosts*pieces*each {
		t.Errorf("%d lines of %d", shown, hosts*pieces*each)
	}
}

// Many hosts write at once, beside the clock.
func TestLiveFoldAtOnce(t *testing.T) {
	var out, errs buffer
	s, err := New("live", Options{Out: &out, Err: &errs, LiveFold: true, Timestamps: true, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	store := output.NewStore(1<<20, t.TempDir())
	defer store.Close()
	s.Start(event.Run{ID: runID, Hosts: 50})
	var hosts sync.WaitGroup
	for i := range 50 {
		hosts.Go(func() {
			for k := range 200 {
				s.Output(event.Output{Host: fmt.Sprintf("h%d", i), Stream: []event.Stream{event.Stdout, event.Stderr}[k%2], Data: []byte(fmt.Sprintf("line %d\n", k))})
			}
		})
	}
	hosts.Wait()
	for i := range 50 {
		s.Result(host{name: fmt.Sprintf("h%d", i), stdout: "x"}.result(store, noon))
	}
	if err := s.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	if store.Memory() != 0 {
		t.Error("captures were not given back")
	}
	total := 0
	for line := range strings.Lines(out.String()) {
		names, _, _ := strings.Cut(line, ": ")
		total += strings.Count(names, ",") + 1
	}
	if total != 50*100 {
		t.Errorf("%d lines of hosts on standard output, want 5000", total)
	}
}

func BenchmarkLiveFold(b *testing.B) {
	s, err := New("live", Options{Out: discardAll{}, Err: discardAll{}, LiveFold: true, TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	s.Start(event.Run{ID: runID, Hosts: 1000})
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("web%04d", i)
	}
	line := []byte("the same line of some sixty characters from each of the hosts\n")
	for i := 0; b.Loop(); i++ {
		s.Output(event.Output{Host: names[i%1000], Stream: event.Stdout, Data: line})
	}
	if err := s.Finish(event.Summary{}); err != nil {
		b.Fatal(err)
	}
}

type discardAll struct{}

func (discardAll) Write(p []byte) (int, error) { return len(p), nil }
