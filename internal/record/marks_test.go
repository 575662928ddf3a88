package record

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fleet/internal/event"
	"fleet/internal/redact"
	"fleet/scheduler"
)

// TestBatchesAndGates records a rollout that a gate halts, and dies: batches and
// gates are there, without the secret, and each host that has its batch.
func TestBatchesAndGates(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	secrets := &redact.Set{}
	secrets.Add([]byte(canary))
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir, Secrets: secrets}, "a", "b", "c", "d")
	at := time.UnixMicro(1_700_000_000_000_000)
	first := event.Mark{Kind: event.BatchBegan, Batch: 1, Batches: 3, Hosts: []string{"a"}, Time: at}
	tp.Mark(first)
	tp.begin("a")
	tp.end("a", scheduler.OK, "")
	gate := event.Mark{Kind: event.GateEnded, Batch: 1, Batches: 3, Gate: event.GateCommand, Text: "curl -u x:" + canary, Host: "c",
		Output: []byte("n4ry-s3cret\nis " + canary), Cut: true, Took: time.Second, Time: at.Add(2 * time.Second)}
	tp.Mark(gate)
	second := event.Mark{Kind: event.BatchBegan, Batch: 2, Batches: 3, Hosts: []string{"b", "c"}, Time: at.Add(3 * time.Second)}
	tp.Mark(second)
	tp.begin("b")
	asked := event.Mark{Kind: event.GateEnded, Batch: 2, Batches: 3, Gate: event.GateAsk, Cause: &scheduler.Cause{Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: "the answer was no"}, Time: at}
	tp.Mark(asked)
	if err := tp.Close(); err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	run := find(t, s, "last")
	got, err := s.Marks(context.Background(), run)
	if err != nil {
		t.Fatal(err)
	}
	gate.Text, gate.Output = "curl -u x:"+redact.Mark, []byte("is "+redact.Mark)
	began := gate
	began.Kind, began.Output, began.Cut, began.Took, began.Time = event.GateBegan, nil, false, 0, at.Add(time.Second)
	asking := asked
	asking.Kind, asking.Cause = event.GateBegan, nil
	if diff := cmp.Diff([]event.Mark{first, began, gate, second, asking, asked}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	batches := map[string]int{}
	err = s.Results(context.Background(), run, 0, func(r *Result) error { batches[r.Host] = r.Batch; return nil })
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 2, "c": 2, "d": 0}, batches); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if err := s.Delete(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.db.QueryRow("SELECT (SELECT count(*) FROM batches) + (SELECT count(*) FROM gates)").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d rows are left of a run that is gone, %v", left, err)
	}
}
