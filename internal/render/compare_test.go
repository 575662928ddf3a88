package render

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/inventory"
	"fleet/scheduler"
)

// differing is a run in which few say something else than most.
func differing() []host {
	var hosts []host
	for i := range 6 {
		name := fmt.Sprintf("web%d", i+1)
		hosts = append(hosts, host{name: name, stdout: "host " + name + "\nrelease 12\nkernel 6.1\nup since 10:0" + name[3:] + "\n"})
	}
	hosts[3].stdout = "host web4\nrelease 11\nkernel 6.1\nup since 09:00\n── web9 (1 host) ──\n\x1b[2Jx\n"
	hosts[4].stderr = "warning: old\n"
	exit := scheduler.Cause{Kind: scheduler.KindExit, Text: "exit status 1"}
	return append(hosts,
		host{name: "db1", outcome: scheduler.Failed, exit: 1, cause: exit, stdout: "host db1\nrelease 12\nkernel 6.1\nup since 10:01\n"},
		host{name: "mute"},
		host{name: "away", outcome: scheduler.Unreachable, cause: bannerTimeout})
}

func TestMaskedGroups(t *testing.T) {
	o := Options{Mask: mask(t, []string{"times", "host"}), ExpectSame: true}
	out, err := show(t, "group", o, differing())
	golden(t, "masked-group.out", []byte(out))
	golden(t, "masked-group.err", []byte(err))
	o.Diff = true
	out, _ = show(t, "group", o, differing())
	golden(t, "masked-diff.out", []byte(out))
	o.OutTerminal, o.ErrTerminal, o.Color, o.NoStatus = true, true, true, true
	out, _ = show(t, "group", o, differing())
	golden(t, "masked-diff-color.out", []byte(out))
	if strings.Contains(out, "\x1b[2J") {
		t.Error("an escape sequence of a host got through")
	}
}

// ExpectSame says the same in every mode, and nothing where outputs are equal.
func TestExpectSame(t *testing.T) {
	for _, mode := range Modes {
		for _, m := range []*Mask{nil, mask(t, []string{"times", "host"})} {
			out, err := show(t, mode, Options{ExpectSame: true, Mask: m}, differing())
			kinds := "8 kinds of output"
			if m != nil {
				kinds = "5 kinds of output"
			}
			if !strings.Contains(err, "fleet: not the same (--expect-same): "+kinds+"\n") {
				t.Errorf("%s: %s", mode, err)
			}
			if strings.HasPrefix(mode, "json") && !strings.Contains(out, `"same":false`) {
				t.Errorf("%s: %s", mode, out)
			}
		}
		away := []host{{name: "a", outcome: scheduler.Unreachable, cause: bannerTimeout}}
		if out, _ := show(t, mode, Options{ExpectSame: true}, away); strings.HasPrefix(mode, "json") && !strings.Contains(out, `"same":null`) {
			t.Errorf("%s: nothing to compare: %s", mode, out)
		}
		same := []host{{name: "a", stdout: "x\n"}, {name: "b", stdout: "x\n"}}
		out, err := show(t, mode, Options{ExpectSame: true}, same)
		if strings.Contains(err, "same") || strings.HasPrefix(mode, "json") && !strings.Contains(out, `"same":true`) {
			t.Errorf("%s: %s%s", mode, out, err)
		}
	}
}

// Outputs whose difference is beyond what is shown are not the same.
func TestExpectSameBeyondWhatIsShown(t *testing.T) {
	for _, mode := range Modes {
		for _, m := range []*Mask{nil, mask(t, []string{"pids"})} {
			var out, errs buffer
			s, err := New(mode, Options{Out: &out, Err: &errs, ExpectSame: true, Mask: m, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			s.Start(event.Run{ID: runID, Hosts: 3})
			for i, text := range []string{"shown", "shown", "shown, and more"} {
				o := event.Output{Host: fmt.Sprint("web", i), Stream: event.Stdout, Data: []byte(text)}
				s.Whole(o)
				o.Data = o.Data[:5]
				s.Output(o)
				s.Result(event.Result{Host: o.Host, Outcome: scheduler.OK, StdoutBytes: int64(len(text)), Truncated: true})
				s.Whole(o) // of a run that is left at once: it counts for nothing
			}
			if err := s.Finish(event.Summary{}); err != nil {
				t.Error(err)
			}
			if !s.Differ() || !strings.Contains(errs.String(), "2 kinds of output\n  web0,web1: 2 hosts\n  web2: 1 host\n") {
				t.Errorf("%s: %s", mode, errs.String())
			}
		}
	}
}

// The differences are those that the diff of this system finds, in that
// applying them to one output gives the other.
func TestDiffApplies(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Fatal("the Debian package patch is needed: scripts/testdeps has it")
	}
	for _, c := range [][2]string{
		{"a\nb\nc\n", "a\nx\nc\n"}, {"a\n", "a"}, {"", "x\ny\n"},
		{strings.Repeat("same\n", 100) + "end\n", "begin\n" + strings.Repeat("same\n", 100)},
	} {
		hosts := []host{{name: "a1", stdout: c[0]}, {name: "a2", stdout: c[0]}, {name: "b", stdout: c[1]}}
		if c[0] == "" { // what says nothing is no reference
			hosts = []host{{name: "b", stdout: c[1]}, {name: "b2", stdout: c[1]}, {name: "a", stdout: c[0], stderr: "e\n"}}
			c[0], c[1] = c[1], c[0]
		}
		out, _ := show(t, "group", Options{Diff: true}, hosts)
		_, d, found := strings.Cut(out, "\n--- ")
		if !found {
			t.Errorf("%q: no difference in %q", c, out)
			continue
		}
		d, _, _ = strings.Cut(d, "\n--- ") // of stdout alone
		dir := t.TempDir()
		cmd := exec.Command(patch, "-s", "-o", "-", dir+"/old")
		if err := writeFile(dir+"/old", c[0]); err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = strings.NewReader("--- " + d + "\n")
		got, err := cmd.Output()
		if err != nil || string(got) != c[1] {
			t.Errorf("%q: patched to %q, %v\n%s", c, got, err, d)
		}
	}
}

// Outputs that are too large are shown instead, and a long difference is cut on
// a terminal only.
func TestDiffIsBounded(t *testing.T) {
	large := strings.Repeat("line\n", diffMax/5+1)
	out, _ := show(t, "group", Options{Diff: true}, []host{{name: "a", stdout: large}, {name: "b", stdout: large + "x\n"}})
	if !strings.Contains(out, "── too large to compare with a (1 MiB) ──\n") || strings.Count(out, "line\n") != 2*(diffMax/5+1) {
		t.Errorf("%d lines", strings.Count(out, "line\n"))
	}
	var one, two strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&one, "one %d\n", i)
		fmt.Fprintf(&two, "two %d\n", i)
	}
	hosts := []host{{name: "a", stdout: one.String()}, {name: "b", stdout: two.String()}}
	if out, _ = show(t, "group", Options{Diff: true}, hosts); strings.Count(out, "\n+two") != 1000 {
		t.Errorf("a pipe got %d lines", strings.Count(out, "\n+two"))
	}
	out, _ = show(t, "group", Options{Diff: true, OutTerminal: true}, hosts)
	if !strings.Contains(out, "── and 1503 more lines of difference ──\n") {
		t.Errorf("a terminal got %d lines: %s", strings.Count(out, "\n"), out[len(out)-200:])
	}
}

// showTimes plays output that comes line by line, a second apart.
func showTimes(t *testing.T, mode string, o Options, pieces ...string) string {
	t.Helper()
	var out, errs buffer
	o.Out, o.Err, o.Fold, o.TempDir, o.Timestamps = &out, &errs, inventory.Fold, t.TempDir(), true
	s, err := New(mode, o)
	if err != nil {
		t.Fatal(err)
	}
	store := output.NewStore(1<<20, t.TempDir())
	defer store.Close()
	s.Start(event.Run{ID: runID, Hosts: 2, Time: noon})
	for _, name := range []string{"web1", "web2"} {
		s.Started(name, noon)
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
		for _, p := range pieces {
			s.Output(event.Output{Host: name, Stream: event.Stdout, Data: []byte(p), Time: at})
			at = at.Add(time.Second)
		}
		r := host{name: name, stdout: strings.Join(pieces, "")}.result(store, at)
		s.Result(r)
	}
	if err := s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 2}}); err != nil {
		t.Error(err)
	}
	return out.String()
}

func TestTimestamps(t *testing.T) {
	pieces := []string{"one\ntwo\nth", "ree\n", "four"}
	want := "── web[1-2] (2 hosts), times of web1 ──\n12:00:00.000 one\n12:00:00.000 two\n12:00:01.000 three\n12:00:02.000 four\n"
	for _, o := range []Options{{}, {OutTerminal: true}} {
		if got := showTimes(t, "group", o, pieces...); got != want {
			t.Errorf("group, %+v:\n%s", o, got)
		}
	}
	var lines bytes.Buffer
	for _, name := range []string{"web1", "web2"} {
		for _, line := range []string{"00.000 one", "00.000 two", "01.000 three", "02.000 four"} {
			fmt.Fprintf(&lines, "%s: 12:00:%s\n", name, line)
		}
	}
	if got := showTimes(t, "live", Options{}, pieces...); got != lines.String() {
		t.Errorf("live:\n%s", got)
	}
}

// Times of a stream in very many pieces are few, and right within their span.
func TestStampsAreBounded(t *testing.T) {
	var s stamps
	const pieces = 100_000
	for i := range pieces {
		s.add(10, noon.Add(time.Duration(i)*time.Second), stampsMax)
	}
	if len(s.marks) > stampsMax {
		t.Errorf("%d times are kept", len(s.marks))
	}
	for i := 0; i < pieces; i += 997 {
		got := s.at(int64(10 * (i + 1))).Sub(noon)
		want := time.Duration(i) * time.Second
		if got > want || got < want-4*pieces/stampsMax*time.Second {
			t.Errorf("piece %d: %v, want %v", i, got, want)
		}
	}
}

func writeFile(name, text string) error { return os.WriteFile(name, []byte(text), 0o600) }

// The times of all hosts together are bounded, those of hosts that are done too;
// what is kept is still right, only coarser.
func TestStampsOfManyHostsAreBounded(t *testing.T) {
	var h hostStamps
	var kept []*streamStamps
	const hosts, pieces = 600, 3000
	for i := range hosts {
		name := fmt.Sprint("h", i)
		for k := range pieces {
			h.add(event.Output{Host: name, Stream: event.Stdout, Data: []byte("x\n"), Time: noon.Add(time.Duration(k) * 2 * time.Millisecond)})
		}
		if i%2 == 0 {
			st := h.take(name)
			h.keep(st)
			kept = append(kept, st)
		}
	}
	total, room := int64(0), 0
	for _, st := range h.m {
		kept = append(kept, st)
	}
	for _, st := range kept {
		total += st.count()
		room += cap(st[0].marks)
		for k := 1; k <= pieces; k++ {
			came, got := noon.Add(time.Duration(k-1)*2*time.Millisecond), st[0].at(2*int64(k))
			if got.After(came) || came.Sub(got) > 6*time.Second*4/stampsFew {
				t.Fatalf("piece %d came at %v, told is %v", k, came, got)
			}
		}
	}
	if most := stampsAll + hosts*stampsFew; total != h.marks.Load() || total > int64(most) || room > 2*most {
		t.Errorf("%d times are kept, in room for %d; counted are %d", total, room, h.marks.Load())
	}
}
