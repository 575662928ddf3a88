package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"fleet/internal/event"
	"fleet/internal/redact"
	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// TestNotesBeforeTheRun says something long before the run starts: it is the
// run's, and does not make the run known.
func TestNotesBeforeTheRun(t *testing.T) {
	dir := t.TempDir()
	rec := New(Config{Dir: dir, Kind: "run", Hosts: []string{"a"}})
	defer rec.Close() //nolint:errcheck // Finish says more
	rec.Note("early")
	sshtest.Until(t, "the writer has taken the note", func() bool {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		return len(rec.queue.notes) == 0
	})
	if rec.Known() {
		t.Error("a run that has not begun is known")
	}
	id := ulid.Make().String()
	rec.Start(event.Run{ID: id, Hosts: 1, Time: time.Now()})
	rec.Result(event.Result{Host: "a", Outcome: scheduler.OK, Time: time.Now()})
	if err := rec.Finish(event.Summary{}); err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	if notes, err := s.Notes(context.Background(), find(t, s, id)); err != nil || len(notes) != 1 || notes[0].Text != "early" {
		t.Errorf("notes %v, %v", notes, err)
	}
}

// TestNoLifeNoRows has a run that cannot say that it lives, as its folder is in
// the way of something, until it can.
func TestNoLifeNoRows(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "live"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tp := taping(t, Config{Dir: dir}, "a", "b", "c")
	tp.begin("a")
	tp.end("a", scheduler.OK, "")
	tp.begin("b")
	if tp.Known() {
		t.Error("a run that is not in the store is known")
	}
	s, err := open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, table := range []string{"runs", "begun", "results", "outputs"} {
		var n int
		if err := s.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows of no run in %s, %v", n, table, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "live")); err != nil {
		t.Fatal(err)
	}
	tp.end("b", scheduler.OK, "")
	sshtest.Until(t, "the run is in the store", tp.Known)
	if info, err := os.Stat(s.livePath(tp.id)); err != nil || info.Mode().Perm() != modeUnsure {
		t.Errorf("%v, %v: hosts were begun without the store's knowledge, and nothing says so", info, err)
	}
	tp.end("c", scheduler.OK, "")
	if err := tp.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.OK: 3}}); err == nil {
		t.Error("the record is called whole")
	}
	if got := outcomes(t, s, find(t, s, tp.id)); fmt.Sprint(got) != "[a ok b ok c ok]" {
		t.Errorf("%q", got)
	}
}

// TestHostsBegunPastAHang has a store that does not answer for longer than
// commands wait: from then on the store does not know all that were begun, and a
// crash must not call any of them skipped.
func TestHostsBegunPastAHang(t *testing.T) {
	lockWait, gateWait = 30*time.Second, 50*time.Millisecond
	defer func() { lockWait, gateWait = 5*time.Second, 10*time.Second }()
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b")
	tp.begin("a")
	s := reopened(t, dir)
	tx, err := s.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	tp.begin("b")
	sshtest.Until(t, "the file of the run says so", func() bool {
		info, err := os.Stat(s.livePath(tp.id))
		return err == nil && info.Mode().Perm() == modeUnsure
	})
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

// TestLateTail has the end of what an earlier try wrote reach the writer behind
// the word that it counts no more.
func TestLateTail(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	var late piece
	for ok := false; !ok; { // the writer may be faster
		tp.write("a", "of the first try")
		late, ok, _ = tp.places["a"].tapes[0].tail(time.Now())
	}
	tp.Resent("a")
	tp.addPiece(late)
	text := noise(3 * pieceSize)
	tp.end("a", scheduler.OK, text)
	tp.finish()
	s := reopened(t, dir)
	if got := stdouts(t, s, find(t, s, tp.id)); got["a"] != text {
		t.Errorf("%d bytes are there, want %d", len(got["a"]), len(text))
	}
}

// TestRetryWhileLocked has a host tried again while the store is held: nothing of
// the first try is left, and the store takes what comes afterwards.
func TestRetryWhileLocked(t *testing.T) {
	lockWait = 50 * time.Millisecond
	defer func() { lockWait = 5 * time.Second }()
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b")
	tp.begin("a", "b")
	tp.write("a", noise(2*pieceSize+1))
	s := reopened(t, dir)
	awaitPartial(t, s, 3)
	tx, err := s.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	tp.Resent("a")
	if err := <-tp.warns; !strings.Contains(err.Error(), "locked") {
		t.Errorf("told %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	text, other := noise(3*pieceSize), noise(3*pieceSize)
	tp.end("a", scheduler.OK, text)
	tp.end("b", scheduler.OK, other)
	tp.Finish(event.Summary{}) //nolint:errcheck // it is not whole
	got := stdouts(t, s, find(t, s, tp.id))
	if got["a"] != text || got["b"] != other {
		t.Errorf("%d and %d bytes are there, want %d of each", len(got["a"]), len(got["b"]), len(text))
	}
}

// TestEndWhileLocked has the store held as the end of a run comes to it, which was
// all that was still to be written: it is tried again once nothing more comes.
func TestEndWhileLocked(t *testing.T) {
	lockWait = 50 * time.Millisecond
	defer func() { lockWait = 5 * time.Second }()
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.end("a", scheduler.OK, "done")
	s := reopened(t, dir)
	sshtest.Until(t, "the result is in the store", func() bool { return len(outcomes(t, s, find(t, s, tp.id))) == 1 })
	tx, err := s.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	end := event.Summary{Run: tp.id, Wall: time.Second, Counts: map[scheduler.Outcome]int{scheduler.OK: 1}}
	tp.add(0, func(b *batch) { b.end = &end }) // as Finish begins, and the writer is quick
	if err := <-tp.warns; !strings.Contains(err.Error(), "locked") {
		t.Errorf("told %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tp.Close() //nolint:errcheck // it tells the lock
	if run := find(t, reopened(t, dir), tp.id); run.Running() || run.Ending == Crashed || run.Counts[scheduler.OK] != 1 {
		t.Errorf("the end is not there: %+v", run)
	}
}

// TestDamagedCounts brings a run up to date that is under way, and whose counts in
// its row are damaged: they are not asked for.
func TestDamagedCounts(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b")
	tp.begin("a", "b")
	tp.end("a", scheduler.OK, "")
	s := reopened(t, dir)
	sshtest.Until(t, "the result is in the store", func() bool { return len(outcomes(t, s, find(t, s, tp.id))) == 1 })
	if _, err := s.db.Exec("UPDATE runs SET counts = 'x'"); err != nil {
		t.Fatal(err)
	}
	if run := find(t, s, tp.id); s.Refresh(context.Background(), run) != nil || run.Counts[scheduler.OK] != 1 {
		t.Errorf("%+v", run)
	}
}

// TestSecretOfDigits has a secret that numbers of a result hold: the result can be
// read, and text that holds it is without.
func TestSecretOfDigits(t *testing.T) {
	dir := t.TempDir()
	secrets := &redact.Set{}
	secrets.Add([]byte("2024"))
	tp := taping(t, Config{Dir: dir, Secrets: secrets, Environ: map[string]string{"FLEET_INVENTORY": "https://ops:2024@inventory"}}, "a")
	tp.begin("a")
	tp.Result(event.Result{Host: "a", Outcome: scheduler.Canceled, Cause: &scheduler.Cause{Kind: scheduler.KindCanceled},
		Kill: event.KillUnconfirmed, PID: 20245, Noise: "code 2024", NoiseBytes: 9, Time: time.Now()})
	tp.finish()
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	if v := run.Environ["FLEET_INVENTORY"]; v != "https://ops:"+redact.Mark+"@inventory" || !run.Redacted {
		t.Errorf("%q, redacted %v", v, run.Redacted)
	}
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		if r.PID != 20245 || r.Noise != "code "+redact.Mark {
			t.Errorf("%+v", r)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLastFailedHasEnded looks for the newest run that was not ok while another
// is under way, of which nobody knows that yet.
func TestLastFailedHasEnded(t *testing.T) {
	dir := t.TempDir()
	failed := taping(t, Config{Dir: dir}, "a")
	failed.begin("a")
	failed.end("a", scheduler.Failed, "")
	if err := failed.Finish(event.Summary{Counts: map[scheduler.Outcome]int{scheduler.Failed: 1}}); err != nil {
		t.Fatal(err)
	}
	running := taping(t, Config{Dir: dir}, "a")
	running.begin("a")
	if run := find(t, reopened(t, dir), "last-failed"); run.ID != failed.id {
		t.Errorf("last-failed is a run under way: %+v", run)
	}
}

// TestLookWhileHeld looks at a store that another process holds, with a run in it
// whose process has died: what is there can be read, and it is told what is not.
func TestLookWhileHeld(t *testing.T) {
	lockWait = 50 * time.Millisecond
	defer func() { lockWait = 5 * time.Second }()
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b")
	tp.begin("a")
	tp.end("a", scheduler.OK, "done")
	if err := tp.Close(); err != nil { // no Finish: it died
		t.Fatal(err)
	}
	holder, err := open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	tx, err := holder.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	if got := outcomes(t, s, run); fmt.Sprint(got) != "[a ok done]" {
		t.Errorf("%q", got)
	}
	if err := s.Unsettled(); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("told %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(context.Background(), run); err != nil || run.Ending != Crashed || s.Unsettled() != nil {
		t.Errorf("%+v, %v, %v", run, err, s.Unsettled())
	}
	if run.Counts[scheduler.Skipped] != 1 { // the look that could not settle has not taken away what was known
		t.Errorf("%v: b was never begun", run.Counts)
	}
}

// TestRetentionIsNoFault lets go of old runs while the store is damaged where they
// are: that is told, and is no fault of the run that has ended.
func TestRetentionIsNoFault(t *testing.T) {
	dir := t.TempDir()
	old := taping(t, Config{Dir: dir}, "a")
	old.begin("a")
	old.end("a", scheduler.OK, noise(3*pieceSize))
	old.finish()
	s := reopened(t, dir)
	if _, err := s.db.Exec("UPDATE outputs SET data = x'ff' WHERE coding = ?", list); err != nil {
		t.Fatal(err)
	}
	tp := taping(t, Config{Dir: dir, Keep: Retention{Age: time.Nanosecond}}, "a")
	tp.begin("a")
	tp.end("a", scheduler.OK, "")
	tp.finish()
	if err := <-tp.warns; !errors.Is(err, ErrRetention) {
		t.Errorf("told %v", err)
	}
	if _, err := s.db.Exec("DELETE FROM outputs; DELETE FROM results"); err != nil { // not to be counted
		t.Fatal(err)
	}
}

// TestPruneInSteps lets go of a run of many hosts: not in one step, as other runs
// wait for the store meanwhile, and what was left half done is gone on with.
func TestPruneInSteps(t *testing.T) {
	dir := t.TempDir()
	hosts := make([]string, 1200)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("h%04d", i)
	}
	old := taping(t, Config{Dir: dir}, hosts...)
	old.begin(hosts...)
	for _, host := range hosts {
		old.end(host, scheduler.OK, "of "+host)
	}
	old.finish()
	last := taping(t, Config{Dir: dir}, "a")
	last.begin("a")
	last.end("a", scheduler.OK, "of h0000")
	last.finish()

	ctx := context.Background()
	s := reopened(t, dir)
	run := find(t, s, old.id)
	if more, err := s.deleteSome(ctx, run.seq); err != nil || !more {
		t.Fatalf("%v, %v: all in one step", more, err)
	}
	counted(t, s)
	if run := find(t, s, old.id); run.Missing != goingText || len(outcomes(t, s, run)) != 700 {
		t.Errorf("%q is missing, and %d hosts are left", run.Missing, len(outcomes(t, s, run)))
	}
	if gone, err := s.Prune(ctx, Retention{}); err != nil || len(gone) != 1 {
		t.Errorf("gone %v, %v", gone, err)
	}
	var outputs int
	if err := s.db.QueryRow("SELECT count(*) FROM outputs").Scan(&outputs); err != nil || outputs != 1 {
		t.Errorf("%d outputs are left, %v", outputs, err)
	}
}

// TestEndComesLast has the end of a run come while more results wait than go into
// one transaction: it is not in the store before the last of them.
func TestEndComesLast(t *testing.T) {
	r := &Recorder{wake: make(chan struct{}, 1), restDue: time.Now()}
	r.queue.results, r.queue.end = make([]hostResult, maxResults+1), &event.Summary{}
	if b, more := r.take(); len(b.results) != maxResults || b.end != nil || !more {
		t.Errorf("%d results with the end %v", len(b.results), b.end)
	}
	if b, _ := r.take(); len(b.results) != 1 || b.end == nil {
		t.Errorf("%d results with the end %v", len(b.results), b.end)
	}
}

// TestDamagedRow has a row of a run damaged, and an output of another: the other
// rows are there, and what is damaged is said.
func TestDamagedRow(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		tp := taping(t, Config{Dir: dir, Argv: []string{"run"}}, "a")
		tp.begin("a")
		tp.end("a", scheduler.OK, strings.Repeat("long ", 1000))
		tp.finish()
	}
	s := reopened(t, dir)
	if _, err := s.db.Exec("UPDATE runs SET argv = x'ff00' WHERE seq = 1; UPDATE outputs SET data = substr(data, 1, 5)"); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(context.Background(), Filter{})
	if err != nil || len(runs) != 2 || runs[0].Missing != "" || runs[1].Missing != damagedText || runs[1].Hosts != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	err = s.Results(context.Background(), runs[0], 0, func(r *Result) error {
		return s.Output(context.Background(), r.Stdout, io.Discard)
	})
	var way *hinted
	if !errors.As(err, &way) || way.Hint() != damagedHint {
		t.Errorf("of a damaged output it is told: %v", err)
	}
}

// TestGoneMeanwhile lets go of a run that somebody is looking at.
func TestGoneMeanwhile(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.end("a", scheduler.OK, "text")
	tp.finish()
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		if err := s.Delete(context.Background(), run); err != nil {
			t.Error(err)
		}
		return s.Output(context.Background(), r.Stdout, io.Discard)
	})
	if err == nil || !strings.Contains(err.Error(), "let go of meanwhile") {
		t.Error(err)
	}
	if err := s.Refresh(context.Background(), run); !errors.Is(err, ErrNoRun) {
		t.Error(err)
	}
}

// TestTwoLookAtOnce looks at a run whose process has died while another does: that
// one is not taken for the run.
func TestTwoLookAtOnce(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	if err := tp.Close(); err != nil { // no Finish: it died
		t.Fatal(err)
	}
	other, err := open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	died, sure, release, err := other.died(tp.id)
	if err != nil || !died || !sure {
		t.Fatalf("died %v, sure %v, %v", died, sure, err)
	}
	if run := find(t, reopened(t, dir), tp.id); run.Ending != Crashed || run.Counts[scheduler.Lost] != 1 {
		t.Errorf("%+v", run)
	}
	release(true)
}

// TestLookOnFullDisk reads a store as on a disk without room for the file by which
// SQLite shares it: what is there is shown, but not where the log has more.
func TestLookOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.end("a", scheduler.OK, "done")
	tp.finish()
	s := frozen(context.Background(), dir)
	if s == nil {
		t.Fatal("it cannot be read")
	}
	defer s.Close()
	if got := outcomes(t, s, find(t, s, tp.id)); fmt.Sprint(got) != "[a ok done]" {
		t.Errorf("%q", got)
	}
	var way *hinted
	if err := s.Delete(context.Background(), find(t, s, tp.id)); !errors.As(err, &way) {
		t.Errorf("no hint: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "fleet.db-*")); err != nil || len(left) > 0 {
		t.Errorf("%q were made, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fleet.db-wal"), []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if frozen(context.Background(), dir) != nil {
		t.Error("what the log has is left out")
	}
}
