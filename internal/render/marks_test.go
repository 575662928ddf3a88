package render

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/inventory"
	"fleet/scheduler"
)

// halted is a run whose second gate refuses.
func halted() (map[int][]event.Mark, []host, event.Summary) {
	no := &scheduler.Cause{Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: "exit status 1"}
	marks := map[int][]event.Mark{
		0: {{Kind: event.BatchBegan, Batch: 1, Batches: 3, Hosts: []string{"web01"}}},
		1: {
			{Kind: event.GateBegan, Gate: event.GatePause, Batch: 1, Batches: 3, Text: "10m0s"},
			{Kind: event.GateEnded, Gate: event.GatePause, Batch: 1, Batches: 3, Text: "10m0s", Took: 10 * time.Minute},
			{Kind: event.GateBegan, Gate: event.GateCommand, Batch: 1, Batches: 3, Text: "./check \x1b[2J"},
			{Kind: event.GateEnded, Gate: event.GateCommand, Batch: 1, Batches: 3, Text: "./check", Output: []byte("healthy\n"), Took: time.Second},
			{Kind: event.BatchBegan, Batch: 2, Batches: 3, Hosts: []string{"web02", "web03"}},
		},
		2: {{Kind: event.StragglersLeft, Batch: 2, Batches: 3, Hosts: []string{"web03"}, Took: 90 * time.Second}},
		3: {
			{Kind: event.GateBegan, Gate: event.GateCommand, Batch: 2, Batches: 3, Text: "./check"},
			{Kind: event.GateEnded, Gate: event.GateCommand, Batch: 2, Batches: 3, Text: "./check", Took: time.Second, Cause: no,
				Cut: true, Output: []byte(strings.Repeat("queue is long\n", 25) + "\x1b]0;title\a\xff\r\nlast")},
		},
	}
	rest := scheduler.Cause{Kind: scheduler.KindCanceled, Stage: scheduler.StageRun, Text: "not started: gate after batch 2: exit status 1"}
	hosts := []host{
		{name: "web01", stdout: "done\n"}, {name: "web02", stdout: "done\n"},
		{name: "web03", outcome: scheduler.Failed, exit: 1, cause: *no},
		{name: "web04", outcome: scheduler.Skipped, cause: rest}, {name: "web05", outcome: scheduler.Skipped, cause: rest},
	}
	return marks, hosts, event.Summary{Halted: true, Refused: event.GateCommand, Recorded: true}
}

func showMarks(t *testing.T, mode string, o Options) (out, err string) {
	t.Helper()
	var outBuf, errBuf buffer
	o.Out, o.Err, o.Fold, o.TempDir = &outBuf, &errBuf, inventory.Fold, t.TempDir()
	o.NoStatus = true // when it is drawn is not for a golden file
	o.Clock = func() time.Time { return noon }
	s, e := New(mode, o)
	if e != nil {
		t.Fatal(e)
	}
	store := output.NewStore(1<<20, t.TempDir())
	defer store.Close()
	marks, hosts, sum := halted()
	if e := playMarks(s, store, marks, hosts, sum); e != nil {
		t.Errorf("Finish: %v", e)
	}
	return outBuf.String(), errBuf.String()
}

func TestMarks(t *testing.T) {
	narrow := Options{OutTerminal: true, ErrTerminal: true, Width: func() int { return 40 }}
	for _, mode := range Modes {
		out, err := showMarks(t, mode, Options{})
		golden(t, "marks-"+mode+".out", []byte(out))
		golden(t, "marks-"+mode+".err", []byte(err))
		_, err = showMarks(t, mode, narrow)
		golden(t, "marks-"+mode+"-narrow.err", []byte(err))
		for line := range strings.Lines(err) {
			if columns(strings.TrimRight(line, "\n")) > 40 && strings.HasPrefix(line, "fleet: ") {
				t.Errorf("%s: more than 40 columns: %s", mode, line)
			}
		}
		if strings.ContainsAny(err, "\x1b\a") || !utf8.ValidString(err) {
			t.Errorf("%s: control characters on a terminal: %q", mode, err)
		}
	}
}

func TestMarksFollowSchema(t *testing.T) {
	out, _ := showMarks(t, "jsonl", Options{})
	s := loadSchema(t, "jsonl.json")
	types := map[string]int{}
	for _, line := range bytes.Split([]byte(strings.TrimSuffix(out, "\n")), []byte("\n")) {
		if err := s.Check(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		_, rest, _ := strings.Cut(string(line), `"type":"`)
		typ, _, _ := strings.Cut(rest, `"`)
		types[typ]++
	}
	if types["batch"] != 2 || types["gate"] != 3 || types["stragglers"] != 1 {
		t.Errorf("types of lines: %v", types)
	}
	doc, _ := showMarks(t, "json", Options{})
	if err := loadSchema(t, "json.json").Check([]byte(doc)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(doc, `"stopped":"gate"`) {
		t.Errorf("the document does not say what stopped the run: %s", doc)
	}
}

// What was run on a halt is told as that where only its end is known, too.
func TestHaltIsNoGate(t *testing.T) {
	var out, err buffer
	s, e := New("quiet", Options{Out: &out, Err: &err, TempDir: t.TempDir()})
	if e != nil {
		t.Fatal(e)
	}
	s.Start(event.Run{Hosts: 1})
	s.Mark(event.Mark{Kind: event.GateEnded, Gate: event.GateHalt, Cut: true, Output: []byte("rolled back\n"), Took: time.Second,
		Cause: &scheduler.Cause{Kind: scheduler.KindExit, Text: "exit status 7"}})
	if e := s.Finish(event.Summary{}); e != nil {
		t.Fatal(e)
	}
	want := "on halt: … (only the end is shown)\non halt: rolled back\nfleet: on halt: exit status 7 after 1.0s\n"
	if got := err.String(); !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q first", got, want)
	}
}

// A status line says what the run waits for between two batches.
func TestStatusTellsTheGate(t *testing.T) {
	var ta tally
	ta.init(Options{Clock: func() time.Time { return noon }})
	ta.begin(event.Run{Hosts: 4})
	for _, c := range []struct {
		mark event.Mark
		want string
	}{
		{event.Mark{Kind: event.GateBegan, Gate: event.GateCommand, Batch: 2}, "0/4 · ok 0 · gate after batch 2"},
		{event.Mark{Kind: event.GateEnded, Gate: event.GateCommand, Batch: 2}, "0/4 · ok 0"},
		{event.Mark{Kind: event.GateBegan, Gate: event.GatePause, Text: "1h30m0s", Time: noon}, "0/4 · ok 0 · pause until " + noon.Add(90*time.Minute).Local().Format(time.TimeOnly)},
	} {
		ta.mark(c.mark)
		if got := ta.status(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.mark, got, c.want)
		}
	}
}

func TestShortTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m", 1500 * time.Millisecond: "1.5s",
	} {
		if got := ShortTime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
