package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
)

// TestRetries plays a host whose first try wrote half a line, beside one that
// says the same at once: modes that show results show them alike.
func TestRetries(t *testing.T) {
	for _, mode := range Modes {
		var out, errs buffer
		dir := t.TempDir()
		next, err := New(mode, Options{Out: &out, Err: &errs, TempDir: t.TempDir(), ExpectSame: true, Timestamps: mode == "group", Verbose: 1, Mask: mask(t, []string{"pids"})})
		if err != nil {
			t.Fatal(err)
		}
		s, err := ToDir(dir, next)
		if err != nil {
			t.Fatal(err)
		}
		store := output.NewStore(1<<20, t.TempDir())
		s.Start(event.Run{ID: runID, Hosts: 2, Time: noon})
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
		write := func(host, text string) {
			writes(s, event.Output{Host: host, Stream: event.Stdout, Data: []byte(text), Time: at})
		}
		s.Started("a", noon)
		write("a", strings.Repeat("x", dirBuffer)+"\xe2\x82") // a character that is never completed
		s.Retry(event.Retry{Host: "a", Try: 1, Of: 3, Wait: 1500 * time.Millisecond, Time: noon,
			Cause: scheduler.Cause{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: "connection lost"}})
		at = at.Add(time.Minute)
		s.Resent("a")
		write("a", "done\n")
		s.Started("b", noon)
		write("b", "done\n")
		for i, name := range []string{"a", "b"} {
			r := host{name: name, stdout: "done\n"}.result(store, noon)
			r.Tries = 2 - i
			s.Result(r)
		}
		if err := s.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 2}}); err != nil {
			t.Error(err)
		}
		store.Close()
		if s.Differ() {
			t.Errorf("%s: an earlier try counts: %s", mode, &errs)
		}
		if data, err := os.ReadFile(filepath.Join(dir, "a.out")); string(data) != "done\n" {
			t.Errorf("%s: the file holds %d bytes, %v", mode, len(data), err)
		}
		if !strings.Contains(errs.String(), "a: try 1 of 3: connection lost; the next in 1.5s\n") || !strings.Contains(errs.String(), "2 tries)\n") {
			t.Errorf("%s: %s", mode, &errs)
		}
		switch mode {
		case "live":
			if !strings.HasSuffix(out.String(), "x\na: \xe2\x82\na: done\nb: done\n") && !strings.HasSuffix(out.String(), "x\xe2\x82\na: done\nb: done\n") {
				t.Errorf("live: %q", out.String())
			}
		case "group":
			if want := "── a,b (2 hosts), times of a ──\n12:01:00.000 done\n"; out.String() != want {
				t.Errorf("group: %q, want %q", out.String(), want)
			}
		case "jsonl":
			schema := loadSchema(t, "jsonl.json")
			for line := range strings.Lines(out.String()) {
				if err := schema.Check([]byte(line)); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			before, _, _ := strings.Cut(out.String(), `"type":"retry"`)
			if !strings.Contains(before, `"data_b64":"4oI="`) {
				t.Errorf("what was held back of the first try does not come before its end: %s", before)
			}
		}
	}
}
