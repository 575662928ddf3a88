package record

import (
	"testing"
	"time"

	"fleet/scheduler"
)

// dueIn gives when the writer is due for hosts that were begun, and for all else;
// 0 where it has taken that already.
func (r *Recorder) dueIn() (begun, rest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.due.IsZero() {
		begun = time.Until(r.due)
	}
	if !r.restDue.IsZero() {
		rest = time.Until(r.restDue)
	}
	return begun, rest
}

// TestPace holds how soon the writer is due to what was before: a result after a
// time without any is for at once, others for gatherResults after the last; hosts
// that were begun wait longer for each other where connections take long.
func TestPace(t *testing.T) {
	tp := taping(t, Config{Dir: t.TempDir()}, "a", "b", "c", "d")
	tp.begin("a")
	tp.mu.Lock()
	tp.rested = time.Now().Add(-time.Second)
	tp.mu.Unlock()
	tp.end("a", scheduler.OK, "")
	if _, rest := tp.dueIn(); rest > soon {
		t.Errorf("a result that comes alone is due in %v", rest)
	}
	for limit := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		if _, rest := tp.dueIn(); rest == 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("it was not written within a minute")
		}
	}
	tp.mu.Lock()
	tp.rested = time.Now().Add(time.Minute - gatherResults) // as if something was just written, by a clock without haste
	tp.mu.Unlock()
	tp.write("b", "x")
	tp.add(soon, func(b *batch) { b.notes = append(b.notes, note{time.Now(), "x"}) })
	if _, rest := tp.dueIn(); rest < 50*time.Second {
		t.Errorf("what comes behind another is due in %v", rest)
	}
	tp.Started("b", time.Now())
	if begun, _ := tp.dueIn(); begun > gatherBegun {
		t.Errorf("the first hosts are due in %v", begun)
	}
	tp.mu.Lock()
	tp.connect = time.Hour
	tp.due = time.Time{}
	tp.mu.Unlock()
	tp.Started("c", time.Now())
	if begun, _ := tp.dueIn(); begun > mostGatherBegun || begun < gatherBegun {
		t.Errorf("where connections take long, hosts are due in %v", begun)
	}
	if tp.begin("c"); tp.durable < 3 {
		t.Error("a command waits, and its host is not written")
	}
	tp.mu.Lock()
	tp.rested = time.Time{}
	tp.mu.Unlock()
}
