package render

import (
	"fmt"
	"strings"
	"testing"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
)

// TestSpreadSummary tells who got a file from whom, and folds why others did not.
func TestSpreadSummary(t *testing.T) {
	var stdout, stderr buffer
	s, err := New("group", Options{Out: &stdout, Err: &stderr, Fold: inventory.Fold})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(event.Run{ID: runID, Command: "push big /srv", Hosts: 9, Time: noon})
	for i, tr := range []event.Transfer{
		{Seed: true}, {From: "web01"}, {From: "web01"}, {From: "web03"},
		{Direct: "web02 has no ssh client"}, {Direct: "web02 has no ssh client"}, {Direct: "said \x1b[2J"},
		{Direct: "not counted, as it failed"}, {},
	} {
		tr.Sent, tr.Bytes = 1, 9<<20
		r := event.Result{Host: fmt.Sprintf("web%02d", i+1), Outcome: scheduler.OK, Transfer: &tr, Time: noon}
		if i == 7 {
			r.Outcome, r.Cause = scheduler.Failed, &scheduler.Cause{Kind: scheduler.KindRemoteNoSpace, Text: "full"}
		}
		s.Result(r)
	}
	if err := s.Finish(event.Summary{Run: runID}); err != nil {
		t.Fatal(err)
	}
	const want = `spread: 1 seed (web01), 3 by web[01,03], 3 direct
web[05-06] direct: web02 has no ssh client
web07 direct: said \x1b[2J
`
	if got := stderr.String(); !strings.Contains(got, want) {
		t.Errorf("the summary is\n%s\nwant in it\n%s", got, want)
	}
}
