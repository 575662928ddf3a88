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

// TestHalted records what is done after a halt, as it begins and as it has ended,
// of a run with batches and of one without.
func TestHalted(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	secrets := &redact.Set{}
	secrets.Add([]byte(canary))
	for _, batches := range []int{0, 2} {
		dir := t.TempDir()
		tp := taping(t, Config{Dir: dir, Secrets: secrets}, "a", "b")
		for n := range batches {
			tp.Mark(event.Mark{Kind: event.BatchBegan, Batch: n + 1, Batches: batches, Hosts: []string{"a", "b"}[n : n+1], Time: time.Now()})
			tp.Mark(event.Mark{Kind: event.GateEnded, Batch: n + 1, Batches: batches, Gate: event.GatePause, Text: "1s", Time: time.Now()})
		}
		tp.begin("a")
		tp.end("a", scheduler.Failed, "")
		tp.finish()
		s := reopened(t, dir)
		last := func() event.Mark {
			marks, err := s.Marks(context.Background(), find(t, s, tp.id))
			if err != nil || len(marks) != batches*3+2 || marks[len(marks)-2].Kind != event.GateBegan {
				t.Fatalf("%+v, %v", marks, err)
			}
			return marks[len(marks)-1]
		}
		m := event.Mark{Kind: event.GateBegan, Gate: event.GateHalt, Text: "tell " + canary, Time: time.Now()}
		if err := tp.Halted(context.Background(), tp.id, m); err != nil {
			t.Fatal(err)
		}
		if got := last(); got.Gate != event.GateHalt || got.Cause == nil || got.Cause.Kind != scheduler.KindInternal {
			t.Errorf("while it is under way: %+v", got)
		}
		m.Kind, m.Output, m.Took = event.GateEnded, []byte("told with "+canary+"\n"), time.Second
		if err := tp.Halted(context.Background(), tp.id, m); err != nil {
			t.Fatal(err)
		}
		if got := last(); got.Text != "tell "+redact.Mark || string(got.Output) != "told with "+redact.Mark+"\n" || got.Cause != nil || got.Took != time.Second {
			t.Errorf("at the end: %+v", got)
		}
	}
}
