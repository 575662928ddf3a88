package render

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

func TestTransferText(t *testing.T) {
	for want, tr := range map[string]event.Transfer{
		"nothing to do":                                                 {},
		"3 files sent (12.0 KiB), 10 unchanged":                         {Sent: 3, Bytes: 12 << 10, Skipped: 10},
		"1 file fetched (5 B)":                                          {Pull: true, Sent: 1, Bytes: 5},
		"2 files would be sent (0 B), 1 deleted":                        {DryRun: true, Sent: 2, Deleted: 1},
		"1 would be deleted, 4 unchanged":                               {DryRun: true, Deleted: 1, Skipped: 4},
		"2 folders made":                                                {Folders: 2},
		"1 updated, not exchanged in one step":                          {Updated: 1, NotAtomic: true},
		"1 file sent (2.0 GiB), 1.5 GiB were there from an earlier run": {Sent: 1, Bytes: 2 << 30, Resumed: 3 << 29},
	} {
		if got := transferText(&tr); got != want {
			t.Errorf("%+v: %q, want %q", tr, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 3 << 29: "1.5 GiB", 1<<63 - 1: "8.0 EiB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}

// moves plays a push to three hosts, of which the first ends, on a clock that
// goes on by five seconds with each progress.
func moves(t *testing.T, mode string, o Options) (out, errs string, status []string) {
	t.Helper()
	var stdout, stderr buffer
	now := noon
	o.Out, o.Err, o.Clock = &stdout, &stderr, func() time.Time { return now }
	s, err := New(mode, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start(event.Run{ID: runID, Command: "push a /b", Hosts: 3, Time: noon})
	for i := range 3 {
		s.Started(fmt.Sprintf("web%d", i+1), noon)
	}
	for step := range int64(5) {
		for i := range int64(3) {
			s.Progress(event.Progress{Host: fmt.Sprintf("web%d", i+1), Bytes: step << 20 / (i + 1), Total: 4 << 20, Files: int(step), Count: 4, Time: now})
		}
		if b, ok := s.(interface{ progressStatus() string }); ok {
			status = append(status, b.progressStatus())
		}
		now = now.Add(5 * time.Second)
	}
	s.Result(event.Result{Host: "web1", Outcome: scheduler.OK, Time: now, Transfer: &event.Transfer{Sent: 4, Bytes: 4 << 20, Way: "tar"}})
	for _, h := range []string{"web2", "web3"} {
		s.Result(event.Result{Host: h, Outcome: scheduler.Canceled, Cause: &scheduler.Cause{Kind: scheduler.KindCanceled, Stage: scheduler.StageRun, Text: "canceled: interrupted"},
			Time: now, Transfer: &event.Transfer{}})
	}
	sum := event.Summary{Run: runID, Counts: map[scheduler.Outcome]int{scheduler.OK: 1, scheduler.Canceled: 2}, Wall: 20 * time.Second, Interrupted: true}
	if err := s.Finish(sum); err != nil {
		t.Error(err)
	}
	return stdout.String(), stderr.String(), status
}

// In a pipe a line tells how far all is, each ten seconds; the summary tells
// what became of the files, and no command that might still run.
func TestProgressLines(t *testing.T) {
	_, errs, _ := moves(t, "live", Options{})
	want := []string{
		"fleet: 0/3 hosts · 2.8 MiB of 12.0 MiB · 290.1 KiB/s · eta 0:33 · slowest web3 8%, web2 12%",
		"fleet: 0/3 hosts · 6.5 MiB of 12.0 MiB",
		"web1: 4 files sent (4.0 MiB)\n",
		"web2,web3: canceled: interrupted\n",
		"each file is the old one or the new one",
	}
	for _, w := range want {
		if !strings.Contains(errs, w) {
			t.Errorf("no %q in:\n%s", w, errs)
		}
	}
	if n := strings.Count(errs, "fleet: 0/3 hosts"); n != 2 || strings.Contains(errs, "TERM") {
		t.Errorf("%d lines of progress:\n%s", n, errs)
	}
}

// progressStatus is the status line, for tests.
func (b *base) progressStatus() string { return b.tally.status() }

func TestProgressStatus(t *testing.T) {
	_, _, status := moves(t, "live", Options{ErrTerminal: true, NoStatus: false})
	want := "0/3 · [===       ] 3.7 MiB of 12.0 MiB"
	if len(status) != 5 || !strings.HasPrefix(status[2], want) || !strings.HasSuffix(status[2], "slowest web3 17%, web2 25%") {
		t.Errorf("%q, want %q", status, want)
	}
}

// Hosts that are not reached get nothing: what is still to come does not count them.
func TestProgressLeavesOutHostsThatAreAway(t *testing.T) {
	var out, errs buffer
	s, err := New("live", Options{Out: &out, Err: &errs, Clock: still, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(event.Run{ID: runID, Hosts: 4})
	for _, h := range []string{"web3", "web4"} {
		s.Result(event.Result{Host: h, Outcome: scheduler.Unreachable, Cause: &scheduler.Cause{Kind: scheduler.KindRefused, Text: "refused"}, Time: noon})
	}
	s.Progress(event.Progress{Host: "web1", Bytes: 1 << 20, Total: 2 << 20, Time: noon})
	status := s.(interface{ progressStatus() string }).progressStatus()
	if want := "1.0 MiB of 4.0 MiB"; !strings.Contains(status, want) {
		t.Errorf("%q, want %q in it", status, want)
	}
	if err := s.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
}

func TestProgressFollowsSchema(t *testing.T) {
	s := loadSchema(t, "jsonl.json")
	out, _, _ := moves(t, "jsonl", Options{})
	n := 0
	for line := range strings.Lines(out) {
		if err := s.Check([]byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if strings.Contains(line, `"type":"progress"`) {
			n++
		}
	}
	if n != 15 || !strings.Contains(out, `"transfer":{"sent":4,`) {
		t.Errorf("%d events of progress:\n%s", n, out)
	}
	doc, _, _ := moves(t, "json", Options{})
	if err := loadSchema(t, "json.json").Check(bytes.TrimSpace([]byte(doc))); err != nil {
		t.Error(err)
	}
}
