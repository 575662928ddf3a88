package render

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
)

// changedKeys plays hosts whose keys are changed to a quiet sink and gives what
// it writes to standard error. Two hosts share a detail.
func changedKeys(t *testing.T, hosts int, terminal bool) string {
	t.Helper()
	var out, err buffer
	sink, e := New("quiet", Options{Out: &out, Err: &err, ErrTerminal: terminal, NoStatus: true, Fold: inventory.Fold})
	if e != nil {
		t.Fatal(e)
	}
	sink.Start(event.Run{Hosts: hosts})
	cause := &scheduler.Cause{Kind: scheduler.KindHostKeyChanged, Stage: scheduler.StageKex, Text: "host key changed"}
	for n := hosts; n >= 1; n-- { // results come in any order
		sink.Result(event.Result{Host: fmt.Sprintf("web%02d", n), Outcome: scheduler.Unreachable, Cause: cause,
			Detail: fmt.Sprintf("known SHA256:%043d (ssh-ed25519, /home/me/.ssh/known_hosts:%d), got SHA256:\x1b[2J%040d (ssh-ed25519)", max(n, 2), max(n, 2), n/3)})
	}
	if e := sink.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.Unreachable: hosts}}); e != nil {
		t.Fatal(e)
	}
	if out.Bytes() != nil {
		t.Errorf("standard output has %q", out.Bytes())
	}
	return string(err.Bytes())
}

// In a pipe each detail is one line below its folded cause, all of them.
func TestDetailsPipe(t *testing.T) {
	got := changedKeys(t, 30, false)
	if strings.Count(got, "host key changed\n") != 1 || !strings.Contains(got, "web[01-30]: host key changed\n  web[01-02]: known ") {
		t.Errorf("cause and details are not one list:\n%s", got)
	}
	lines := regexp.MustCompile(`(?m)^  web\S+: known SHA256:\d+ \(ssh-ed25519, /home/me/.ssh/known_hosts:\d+\), got SHA256:`).FindAllString(got, -1)
	if len(lines) != 29 {
		t.Errorf("%d details, want 29:\n%s", len(lines), got)
	}
	if strings.Contains(got, "\x1b") {
		t.Error("a detail moves the cursor")
	}
}

// A terminal gets some of them, within its width but for words that are wider.
func TestDetailsTerminal(t *testing.T) {
	got := changedKeys(t, 30, true)
	if n := strings.Count(got, ": known SHA256:"); n != detailsMax {
		t.Errorf("%d details, want %d:\n%s", n, detailsMax, got)
	}
	if !strings.Contains(got, "\n  and 9 more\n") {
		t.Errorf("the rest is not counted:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if w := ansi.StringWidth(strings.TrimRight(line, "\n")); w > 80 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
}
