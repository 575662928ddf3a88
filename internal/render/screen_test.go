package render

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/ansi"

	"fleet/internal/event"
	"fleet/scheduler"
)

// vt is a small model of a terminal with endless room below. It knows printing,
// CR, LF, CSI J, CSI K and SGR; anything else is a fault. On a change of width
// it either wraps lines anew, as most terminals do, or cuts them, as xterm does.
type vt struct {
	t       *testing.T
	reflows bool
	after   func() // called after each write

	mu    sync.Mutex
	width int
	lines [][]rune // as printed, wrapped or not
	row   int      // of the cursor, in lines
	col   int      // in the line, from its beginning
	times []time.Time
}

func newVT(t *testing.T, width int, reflows bool) *vt {
	return &vt{t: t, width: width, reflows: reflows, lines: [][]rune{nil}}
}

func (v *vt) columns() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.width
}

func (v *vt) Write(p []byte) (int, error) {
	v.mu.Lock()
	if bytes.HasSuffix(p, []byte("\x1b[J\r")) {
		v.times = append(v.times, time.Now())
	}
	for rest := string(p); rest != ""; {
		rest = v.step(rest)
	}
	v.mu.Unlock()
	if v.after != nil {
		v.after()
	}
	return len(p), nil
}

var sgr = regexp.MustCompile(`^\x1b\[[0-9;]*m`)

// step takes one character or sequence.
func (v *vt) step(s string) string {
	for seq, do := range map[string]func(){
		"\r":     func() { v.col -= v.col % v.width },
		"\n":     v.feed,
		"\x1b[J": func() { v.lines = v.lines[:v.row+1]; v.clip() },
		"\x1b[K": v.clip,
	} {
		if rest, ok := strings.CutPrefix(s, seq); ok {
			do()
			return rest
		}
	}
	if m := sgr.FindString(s); m != "" {
		return s[len(m):]
	}
	r := []rune(s)[0]
	if r < 0x20 || r == 0x7f {
		v.t.Errorf("the terminal was sent %q", s[:min(len(s), 10)])
	}
	line := v.lines[v.row]
	if v.col < len(line) {
		line[v.col] = r
	} else {
		v.lines[v.row] = append(line, r)
	}
	v.col++
	return s[len(string(r)):]
}

func (v *vt) clip() { v.lines[v.row] = v.lines[v.row][:min(v.col, len(v.lines[v.row]))] }

func (v *vt) feed() {
	v.row++
	v.col = 0
	if v.row == len(v.lines) {
		v.lines = append(v.lines, nil)
	}
}

func (v *vt) resize(width int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.width = width
	if !v.reflows {
		for i, l := range v.lines {
			v.lines[i] = l[:min(len(l), width)]
		}
		v.col = min(v.col, width-1)
	}
}

func (v *vt) text() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, l := range v.lines {
		all = append(all, string(l))
	}
	return all
}

// shortest is the shortest time between two drawings of the status line.
func (v *vt) shortest() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	shortest := time.Hour
	for i := 1; i < len(v.times); i++ {
		shortest = min(shortest, v.times[i].Sub(v.times[i-1]))
	}
	return shortest
}

var statusLine = regexp.MustCompile(`^\d+/\d+ · ok \d|^\d[\d/]*(…| ·)`)

// watch checks after each write that nothing of a status line stands anywhere
// but, whole and alone, in the last line.
func (v *vt) watch(line *regexp.Regexp) {
	v.after = func() {
		all := v.text()
		for i, l := range all {
			last := i == len(all)-1
			switch {
			case last && l == "":
			case last && statusLine.MatchString(l):
				if w := ansi.StringWidth(l); w >= v.columns() && v.reflows {
					v.t.Errorf("the status line takes %d columns of %d", w, v.columns())
				}
			case !last && line.MatchString(l):
			default:
				v.t.Errorf("line %d of %d is %q", i+1, len(all), l)
			}
		}
	}
}

// chatter plays a run of n hosts over some seconds, with output all the time
// and, if resize is not nil, a new width now and then.
func chatter(s event.Sink, n int, resize func(int)) event.Summary {
	r := rand.New(rand.NewPCG(5, 6))
	s.Start(event.Run{ID: runID, Hosts: n, Time: time.Now()})
	for i := range n {
		name := fmt.Sprintf("web%03d", i)
		s.Started(name, time.Now())
		for range 3 {
			s.Output(event.Output{Host: name, Stream: event.Stdout, Data: []byte("out\nmore"), Time: time.Now()})
			s.Output(event.Output{Host: name, Stream: event.Stderr, Data: []byte("oops\n"), Time: time.Now()})
			time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		}
		if resize != nil && i%4 == 0 {
			resize(12 + r.IntN(60))
		}
		s.Result(event.Result{Host: name, Outcome: scheduler.OK})
	}
	return event.Summary{Run: runID, Counts: map[scheduler.Outcome]int{scheduler.OK: n}, Wall: time.Second}
}

func TestStatusLineLeavesNothing(t *testing.T) {
	for _, reflows := range []bool{true, false} {
		for _, resizes := range []bool{false, true} {
			t.Run(fmt.Sprintf("reflows=%v/resizes=%v", reflows, resizes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := newVT(t, 80, reflows)
					v.watch(regexp.MustCompile(`^web\d\d\d: (out|more|moreo?u?t?|oops)$`))
					s, err := New("live", Options{
						Out: v, Err: v, OutTerminal: true, ErrTerminal: true, Color: true, ErrColor: true, Width: v.columns,
					})
					if err != nil {
						t.Fatal(err)
					}
					var resize func(int)
					if resizes {
						resize = v.resize
					}
					sum := chatter(s, 60, resize)
					synctest.Wait()
					v.after = nil
					if err := s.Finish(sum); err != nil {
						t.Error(err)
					}
					all := v.text()
					// Of each host: out, moreout, moreout, more, and oops three
					// times; then the summary and the line of the cursor.
					want := 60*7 + 2
					if !reflows {
						want = len(all)
					}
					if len(all) != want || !strings.HasPrefix(ansi.Strip(all[len(all)-2]), "60 hosts in") {
						t.Errorf("%d lines, want %d; the end is %q", len(all), want, all[len(all)-2:])
					}
					if d := v.shortest(); d < frame || len(v.times) < 20 {
						t.Errorf("%d drawings, the nearest two %v apart", len(v.times), d)
					}
				})
			})
		}
	}
}

// With stdout in a pipe the terminal has the status line to itself.
func TestStatusLineBesidePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVT(t, 80, true)
		v.watch(regexp.MustCompile(`^web\d\d\d: oops$`))
		var out buffer
		s, _ := New("live", Options{Out: &out, Err: v, ErrTerminal: true, Width: v.columns})
		sum := chatter(s, 20, nil)
		synctest.Wait()
		v.after = nil
		s.Finish(sum)
		if strings.ContainsAny(out.String(), "\x1b\r") || strings.Count(out.String(), "\n") != 20*4 {
			t.Errorf("the pipe got %d lines: %.200q", strings.Count(out.String(), "\n"), out.String())
		}
		if len(v.times) < 10 {
			t.Errorf("the status line was drawn %d times", len(v.times))
		}
	})
}

// A terminal that cannot show a status line gets none, but stays safe.
func TestNoStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs buffer
		s, _ := New("live", Options{Out: &buffer{}, Err: &errs, ErrTerminal: true, NoStatus: true})
		s.Start(event.Run{ID: runID, Hosts: 1})
		s.Started("a", time.Now())
		s.Output(event.Output{Host: "a", Stream: event.Stderr, Data: []byte("\x1b[2J\n")})
		time.Sleep(time.Second)
		s.Result(event.Result{Host: "a", Outcome: scheduler.OK})
		s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 1}, Wall: time.Second})
		if want := "a: \\x1b[2J\n1 host in 1.0s: ok 1\n"; errs.String() != want {
			t.Errorf("got %q, want %q", errs.String(), want)
		}
	})
}

// status plays a run up to a point and returns the status line there.
func status(t *testing.T, mode string, play func(event.Sink)) (line string) {
	synctest.Test(t, func(t *testing.T) {
		v := newVT(t, 100, true)
		s, err := New(mode, Options{Out: &buffer{}, Err: v, ErrTerminal: true, Width: v.columns})
		if err != nil {
			t.Fatal(err)
		}
		play(s)
		time.Sleep(2 * frame)
		synctest.Wait()
		all := v.text()
		line = all[len(all)-1]
		s.Finish(event.Summary{})
	})
	return line
}

func TestStatusText(t *testing.T) {
	run := func(hosts, started int, ends map[scheduler.Outcome]int, took time.Duration) func(event.Sink) {
		return func(s event.Sink) {
			s.Start(event.Run{ID: runID, Hosts: hosts})
			for i := range started {
				s.Started(fmt.Sprintf("web%02d", i), time.Now())
			}
			time.Sleep(took - 2*frame)
			i := 0
			for _, o := range scheduler.Outcomes {
				for range ends[o] {
					s.Result(event.Result{Host: fmt.Sprintf("web%02d", i), Outcome: o})
					i++
				}
			}
		}
	}
	for _, mode := range Modes {
		for _, c := range []struct {
			play func(event.Sink)
			want string
		}{
			{run(2000, 100, map[scheduler.Outcome]int{"ok": 80, "failed": 3, "unreachable": 1}, 2*time.Second),
				"84/2000 · ok 80 · failed 3 · unreachable 1 · running 16 · 42 host/s · eta 0:46"},
			{run(10, 10, map[scheduler.Outcome]int{"ok": 7, "lost": 1}, time.Second),
				"8/10 · ok 7 · lost 1 · running 2 · waiting for web08,web09"},
			{run(3, 3, nil, time.Second), "0/3 · ok 0 · running 3 · waiting for web00,web01,web02"},
			{run(300, 9, map[scheduler.Outcome]int{"ok": 4}, 4*time.Second), "4/300 · ok 4 · running 5 · 1.0 host/s · eta 4:56"},
			{run(50000, 9, map[scheduler.Outcome]int{"ok": 4}, 4*time.Second), "4/50000 · ok 4 · running 5 · 1.0 host/s · eta 13:53:16"},
		} {
			if got := status(t, mode, c.play); got != c.want {
				t.Errorf("%s: %q\nwant %q", mode, got, c.want)
			}
		}
	}
}

// A prompt has the terminal for itself: no status line, no output, until it is
// answered; then all that was held back comes.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVT(t, 80, true)
		s, _ := New("live", Options{Out: v, Err: v, OutTerminal: true, ErrTerminal: true, Width: v.columns})
		s.Start(event.Run{ID: runID, Hosts: 1})
		s.Started("a", time.Now())
		time.Sleep(3 * frame)
		resume := s.Pause()
		v.Write([]byte("Passphrase: "))
		s.Output(event.Output{Host: "a", Stream: event.Stdout, Data: []byte("out\n")})
		s.Note("seen \x1b[2J")
		time.Sleep(10 * frame)
		if got := strings.Join(v.text(), "|"); got != "Passphrase: " {
			t.Errorf("during the prompt the screen shows %q", got)
		}
		v.Write([]byte("\n"))
		resume()
		time.Sleep(3 * frame)
		if got := strings.Join(v.text(), "|"); got != `Passphrase: |a: out|seen \x1b[2J|0/1 · ok 0 · running 1 · waiting for a` {
			t.Errorf("after the prompt the screen shows %q", got)
		}
		s.Result(event.Result{Host: "a", Outcome: scheduler.OK})
		s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 1}})
	})
}

// A run shorter than a frame shows no status line at all.
func TestQuickRunDoesNotFlicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVT(t, 80, true)
		s, _ := New("live", Options{Out: v, Err: v, OutTerminal: true, ErrTerminal: true})
		s.Start(event.Run{ID: runID, Hosts: 1})
		s.Started("a", time.Now())
		s.Output(event.Output{Host: "a", Stream: event.Stdout, Data: []byte("out\n")})
		time.Sleep(frame / 2)
		s.Result(event.Result{Host: "a", Outcome: scheduler.OK})
		s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 1}})
		if len(v.times) != 0 {
			t.Errorf("the status line was drawn %d times", len(v.times))
		}
	})
}

// TestPauseWithoutStatusLine has a question on the screen while hosts write, and
// no status line: on a dumb terminal, and where standard error is a file. Nothing
// is written into the question, and all of it after the answer.
func TestPauseWithoutStatusLine(t *testing.T) {
	for _, mode := range []string{"live", "json"} {
		for _, o := range []Options{
			{OutTerminal: true, ErrTerminal: true, NoStatus: true},
			{OutTerminal: true, NoStatus: true}, {OutTerminal: true},
		} {
			synctest.Test(t, func(t *testing.T) {
				var out, errs buffer
				o.Out, o.Err, o.TempDir = &out, &errs, t.TempDir()
				s, err := New(mode, o)
				if err != nil {
					t.Fatal(err)
				}
				s.Start(event.Run{ID: runID, Hosts: 2})
				synctest.Wait()
				resume := s.Pause()
				for _, name := range []string{"a", "b"} {
					s.Output(event.Output{Host: name, Stream: event.Stdout, Data: []byte("line\n")})
					s.Result(event.Result{Host: name, Outcome: scheduler.OK})
				}
				s.Note("a note")
				synctest.Wait()
				if text := out.String() + errs.String(); text != "" && (o.ErrTerminal || text != "a note\n") {
					t.Errorf("%s, %+v: written into the question: %q", mode, o, text)
				}
				resume()
				if err := s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 2}}); err != nil {
					t.Error(err)
				}
				if text := out.String(); !strings.Contains(text, "a") || !strings.Contains(text, "b") {
					t.Errorf("%s, %+v: not written: %q", mode, o, text)
				}
			})
		}
	}
}

// TestOneScreenKeepsOrder has lines and notes stand on one terminal as they came,
// also where it has no status line.
func TestOneScreenKeepsOrder(t *testing.T) {
	for _, dumb := range []bool{false, true} {
		var both buffer
		s, err := New("live", Options{Out: &both, Err: &both, OutTerminal: true, ErrTerminal: true, NoStatus: dumb, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 1000 {
			line := fmt.Sprintf("line %d", i)
			s.Output(event.Output{Host: "a", Stream: []event.Stream{event.Stdout, event.Stderr}[i%2], Data: []byte(line + "\n")})
			want = append(want, "a: "+line)
		}
		if err := s.Finish(event.Summary{}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(both.String(), "\n"); !slices.Equal(got[:1000], want) {
			t.Errorf("dumb %v: the lines are in another order", dumb)
		}
	}
}
