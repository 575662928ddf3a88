package record

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/internal/redact"
	"fleet/internal/sshtest"
	"fleet/scheduler"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

// taped is a run that is recorded without hosts.
type taped struct {
	*Recorder
	t     *testing.T
	id    string
	began time.Time
	store *output.Store
	warns chan error
}

// tape starts the record of a run over the hosts.
func tape(t *testing.T, cfg Config, hosts ...string) *taped {
	t.Helper()
	tp := &taped{t: t, id: ulid.Make().String(), began: time.Now(), store: output.NewStore(1<<20, t.TempDir()), warns: make(chan error, 100)}
	t.Cleanup(func() { tp.store.Close() })
	cfg.Hosts = hosts
	cfg.Warn = func(err error) { tp.warns <- err }
	if cfg.Kind == "" {
		cfg.Kind = "run"
	}
	tp.Recorder = New(cfg)
	t.Cleanup(func() { tp.Close() }) //nolint:errcheck // where it counts it is looked at
	tp.Start(event.Run{ID: tp.id, Command: "cat " + strings.Join(hosts, " "), Hosts: len(hosts), Time: tp.began})
	return tp
}

// begin starts a host and waits until it may be sent its command.
func (tp *taped) begin(hosts ...string) {
	tp.t.Helper()
	for _, host := range hosts {
		tp.Started(host, time.Now())
	}
	for _, host := range hosts {
		if err := tp.Begun(context.Background(), host); err != nil {
			tp.t.Fatal(err)
		}
	}
}

// end gives a host its result.
func (tp *taped) end(host string, outcome scheduler.Outcome, stdout string) {
	res := event.Result{Host: host, Outcome: outcome, StdoutBytes: int64(len(stdout)), Attempts: 1, Connect: 3 * time.Millisecond, Run: 5 * time.Millisecond, Time: time.Now()}
	if outcome == scheduler.OK {
		res.ExitCode = new(int)
	} else {
		res.Cause = &scheduler.Cause{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: "why: " + stdout}
	}
	if stdout != "" {
		res.Stdout = tp.store.Capture(-1)
		res.Stdout.Write([]byte(stdout))
	}
	tp.Result(res)
}

func (tp *taped) finish() {
	tp.t.Helper()
	if err := tp.Finish(event.Summary{Run: tp.id, Wall: time.Second, Counts: map[scheduler.Outcome]int{scheduler.OK: 1}}); err != nil {
		tp.t.Error(err)
	}
}

// reopened looks the store up.
func reopened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// outcomes are those of a run, host by host, with their outputs.
func outcomes(t *testing.T, s *Store, run *Run) (list []string) {
	t.Helper()
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		line := r.Host + " " + string(r.Outcome)
		if r.Stdout != 0 {
			var b bytes.Buffer
			if err := s.Output(context.Background(), r.Stdout, &b); err != nil {
				return err
			}
			line += " " + b.String()
		}
		if r.Dropped {
			line += " (dropped)"
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func find(t *testing.T, s *Store, word string) *Run {
	t.Helper()
	run, err := s.Find(context.Background(), word)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestRunComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	cfg := Config{Dir: dir, Pattern: "web,db", Argv: []string{"run", "web,db", "--", "cat"}, WorkDir: "/srv", User: "ops", Machine: "ctl",
		Version: "fleet 1", Environ: map[string]string{"FLEET_INVENTORY": "/x"}}
	tp := tape(t, cfg, "web1", "web2", "db1", "db2")
	tp.begin("web1", "db1", "web2")
	tp.end("db1", scheduler.OK, "hello\n")
	tp.end("web1", scheduler.Failed, "hello\n")
	tp.end("web2", scheduler.OK, strings.Repeat("long ", 1000))
	tp.Result(event.Result{Host: "db2", Outcome: scheduler.Failed, Cause: &scheduler.Cause{Kind: scheduler.KindExit, Text: "x"}, Tries: 3, Time: time.Now()})
	tp.Note("a note")
	tp.finish()

	s := reopened(t, dir)
	run := find(t, s, "last")
	want := []string{"web1 failed hello\n", "web2 ok " + strings.Repeat("long ", 1000), "db1 ok hello\n", "db2 failed"}
	if diff := cmp.Diff(want, outcomes(t, s, run)); diff != "" {
		t.Error(diff)
	}
	if run.ID != tp.id || run.Pattern != "web,db" || run.User != "ops" || run.Controller != "ctl" || run.Dir != "/srv" || run.Running() || run.Ending != Done ||
		run.Wall != time.Second || run.Environ["FLEET_INVENTORY"] != "/x" || len(run.Argv) != 4 || run.Hosts != 4 || run.Began.Sub(tp.began).Abs() > time.Microsecond {
		t.Errorf("%+v", run)
	}
	if notes, err := s.Notes(context.Background(), run); err != nil || len(notes) != 1 || notes[0].Text != "a note" {
		t.Errorf("notes %v, %v", notes, err)
	}
	tries := map[string]int{}
	if err := s.Results(context.Background(), run, 0, func(r *Result) error { tries[r.Host] = r.Tries; return nil }); err != nil || tries["db2"] != 3 {
		t.Errorf("tries %v, %v", tries, err)
	}
	var outputs, refs int
	if err := s.db.QueryRow("SELECT count(*), sum(refs) FROM outputs").Scan(&outputs, &refs); err != nil || outputs != 2 || refs != 3 {
		t.Errorf("%d outputs with %d uses, %v: equal ones are to be there once", outputs, refs, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "live")); err != nil || len(left) > 0 {
		t.Errorf("left of the run: %v, %v", left, err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "fleet.db"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// TestCrash has the process of a run go while hosts are in each state.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	tp := tape(t, Config{Dir: dir}, "a", "b", "c", "d", "e")
	tp.begin("a", "c", "b")
	tp.end("c", scheduler.OK, "done")
	if err := tp.Close(); err != nil { // no Finish: the lock goes, the ending is missing
		t.Fatal(err)
	}
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	want := []string{"a lost", "b lost", "c ok done", "d skipped", "e skipped"}
	if diff := cmp.Diff(want, outcomes(t, s, run)); diff != "" {
		t.Error(diff)
	}
	if run.Ending != Crashed || run.Counts[scheduler.Lost] != 2 || run.Counts[scheduler.Skipped] != 2 || run.Counts[scheduler.OK] != 1 {
		t.Errorf("%+v", run)
	}
}

// TestLivingRunIsLeftAlone looks at a run that is under way.
func TestLivingRunIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	tp := tape(t, Config{Dir: dir}, "a", "b")
	tp.begin("a")
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	if !run.Running() || len(outcomes(t, s, run)) != 0 {
		t.Errorf("%+v", run)
	}
	tp.end("a", scheduler.OK, "")
	tp.end("b", scheduler.OK, "")
	tp.finish()
	if err := s.Refresh(context.Background(), run); err != nil || run.Running() || run.Ending != Done {
		t.Errorf("%+v, %v", run, err)
	}
}

// TestBegunWaitsForTheDisk holds the store while a host is begun: its command
// must wait until the store has it.
func TestBegunWaitsForTheDisk(t *testing.T) {
	dir := t.TempDir()
	tp := tape(t, Config{Dir: dir}, "a", "b")
	tp.begin("a")
	s := reopened(t, dir)
	tx, err := s.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	tp.Started("b", time.Now())
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tp.Begun(canceled, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("while the store is held: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := tp.Begun(context.Background(), "b"); err != nil {
		t.Error(err)
	}
	var n int
	if err := s.db.QueryRow("SELECT max(last) FROM begun").Scan(&n); err != nil || n != 1 {
		t.Errorf("the store has positions up to %d, %v", n, err)
	}
}

// TestSecretsDoNotGetIn searches every file of the store for a canary.
func TestSecretsDoNotGetIn(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	dir := t.TempDir()
	secrets := &redact.Set{}
	secrets.Add([]byte(canary))
	tp := tape(t, Config{Dir: dir, Argv: []string{"run", "x", "--", canary}, Secrets: secrets}, "a", "b")
	tp.begin("a", "b")
	tp.end("a", scheduler.OK, "before "+canary+" after")
	tp.end("b", scheduler.Failed, strings.Repeat("x", 300<<10-5)+canary+strings.Repeat("y", 400<<10)) // across pieces
	tp.Note("asked for " + canary)
	if err := tp.Close(); err != nil {
		t.Fatal(err)
	}
	s := reopened(t, dir)
	run := find(t, s, "last")
	if !run.Redacted || run.Argv[3] != redact.Mark {
		t.Errorf("%+v", run)
	}
	got := outcomes(t, s, run)
	if want := "a ok before " + redact.Mark + " after"; got[0] != want {
		t.Errorf("%q, want %q", got[0], want)
	}
	if want := "b failed " + strings.Repeat("x", 300<<10-5) + redact.Mark + strings.Repeat("y", 400<<10); got[1] != want {
		t.Errorf("the long output is not what it was, less the secret: %d bytes, want %d", len(got[1]), len(want))
	}
	for _, line := range got {
		if strings.Contains(line, canary) {
			t.Errorf("%.100q", line)
		}
	}
	if _, err := s.db.Exec("VACUUM INTO ?", filepath.Join(dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte(canary)) {
			t.Errorf("%s holds the secret", file)
		}
	}
}

// TestTwoAtOnce records two runs in one store at the same time.
func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	const n = 50
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("h%d", i))
	}
	a, b := tape(t, Config{Dir: dir}, names...), tape(t, Config{Dir: dir}, names...)
	for _, name := range names {
		a.begin(name)
		b.begin(name)
		a.end(name, scheduler.OK, "of "+name)
		b.end(name, scheduler.OK, "of "+name)
	}
	a.finish()
	b.finish()
	s := reopened(t, dir)
	for _, tp := range []*taped{a, b} {
		if got := outcomes(t, s, find(t, s, tp.id)); len(got) != n || got[n-1] != fmt.Sprintf("h%d ok of h%d", n-1, n-1) {
			t.Errorf("%q", got)
		}
	}
}

func TestNewerStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	tp := tape(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.finish()
	s := reopened(t, dir)
	if _, err := s.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "written by a newer fleet (schema 99") {
		t.Errorf("%v", err)
	}
	again := tape(t, Config{Dir: dir}, "a")
	again.begin("a") // the run goes on
	again.end("a", scheduler.OK, "x")
	if err := again.Finish(event.Summary{}); err == nil || len(again.warns) != 1 {
		t.Errorf("%v, told %d times", err, len(again.warns))
	}
}

// TestOlderStore opens a store of the first schema.
func TestOlderStore(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := migrations.ReadFile("migrations/00001_runs.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))",
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1)",
		string(first),
		"INSERT INTO runs (id, kind, command, pattern, argv, dir, environ, user, controller, version, rerun_of, detached, redacted, hosts, names, began, ended, ending) VALUES ('01OLD', 'run', 'uptime', 'all', '[]', '', '{}', '', '', '', '', 0, 0, 1, x'', 1, 2, 'done')",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	tp := tape(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.end("a", scheduler.OK, "")
	tp.finish()
	runs, err := reopened(t, dir).Runs(context.Background(), Filter{})
	if err != nil || len(runs) != 2 || runs[1].Command != "uptime" {
		t.Errorf("%v, %v", runs, err)
	}
}

// TestSchema holds the number that is looked at to the migrations that there are.
func TestSchema(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) != schema {
		t.Errorf("%d migrations for schema %d, %v", len(files), schema, err)
	}
}

// TestDamagedStore runs over a file that is no database: it is told once.
func TestDamagedStore(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fleet.db"), bytes.Repeat([]byte("damage"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	tp := tape(t, Config{Dir: dir}, "a", "b")
	tp.begin("a", "b")
	tp.end("a", scheduler.OK, "x")
	err := tp.Finish(event.Summary{})
	if err == nil || !strings.Contains(err.Error(), "not a database") || len(tp.warns) != 1 {
		t.Errorf("%v, told %d times", err, len(tp.warns))
	}
}

// TestFullDisk lets the file grow no more while a run is under way: hosts are
// begun all the same, it is told, and nothing is claimed that is not known.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	first := tape(t, Config{Dir: dir}, "x")
	first.begin("x")
	first.finish()
	hosts := []string{"a", "b", "c"}
	tp := tape(t, Config{Dir: dir}, hosts...)
	tp.begin("a")
	s := reopened(t, dir)
	var pages int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	tp.pages.Store(int64(pages))
	noise := make([]byte, 200<<10)
	rand.Read(noise)
	tp.end("a", scheduler.OK, string(noise))
	tp.begin("b")
	tp.end("b", scheduler.OK, "short")
	err := tp.Close()
	if err == nil || !strings.Contains(err.Error(), "full") || len(tp.warns) == 0 {
		t.Errorf("%v, told %d times", err, len(tp.warns))
	}
	run := find(t, s, tp.id)
	if err := s.Refresh(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	got := outcomes(t, s, run)
	if got[0] != "a ok (dropped)" || !strings.HasPrefix(got[1], "b ok") && got[1] != "b lost" {
		t.Errorf("%q", got)
	}
}

// TestLockedStore has another process hold the store for longer than a run waits:
// the run goes on, and what happened meanwhile is written afterwards.
func TestLockedStore(t *testing.T) {
	lockWait = 50 * time.Millisecond
	defer func() { lockWait = 5 * time.Second }()
	dir := t.TempDir()
	tp := tape(t, Config{Dir: dir}, "a", "b", "c")
	tp.begin("a")
	s := reopened(t, dir)
	tx, err := s.db.Begin() // takes the write lock
	if err != nil {
		t.Fatal(err)
	}
	tp.begin("b") // by itself, when lockWait is over
	tp.end("a", scheduler.OK, "of a")
	if err := <-tp.warns; !strings.Contains(err.Error(), "locked") {
		t.Errorf("told %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tp.begin("c")
	tp.end("b", scheduler.OK, "")
	tp.end("c", scheduler.OK, "of c")
	if err := tp.Finish(event.Summary{}); err == nil {
		t.Error("the record is called whole")
	}
	run := find(t, s, tp.id)
	if got := outcomes(t, s, run); len(got) != 3 || !strings.HasPrefix(got[0], "a ok") || got[1] != "b ok" || got[2] != "c ok of c" || run.Ending != Done {
		t.Errorf("%q, %q", got, run.Ending)
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		tp := tape(t, Config{Dir: dir}, "a", "b")
		tp.begin("a", "b")
		tp.end("a", scheduler.OK, "same everywhere")
		tp.end("b", scheduler.OK, fmt.Sprintf("only in %d %s", i, strings.Repeat(tp.id, 20_000)))
		tp.finish()
	}
	s := reopened(t, dir)
	ctx := context.Background()
	before, err := s.Size(ctx)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.Prune(ctx, Retention{Age: time.Nanosecond})
	if err != nil || len(gone) != 2 {
		t.Fatalf("gone %v, %v: the newest stays", gone, err)
	}
	var outputs, pieces, refs int
	err = s.db.QueryRow("SELECT count(*), sum(refs), (SELECT count(DISTINCT output) FROM pieces) FROM outputs").Scan(&outputs, &refs, &pieces)
	if err != nil || outputs != 2 || refs != 2 || pieces != 1 {
		t.Errorf("%d outputs, %d uses, %d in pieces are left: %v", outputs, refs, pieces, err)
	}
	if after, err := s.Size(ctx); err != nil || after >= before {
		t.Errorf("%d bytes before, %d after, %v", before, after, err)
	}
	if got := outcomes(t, s, find(t, s, "last")); !strings.HasPrefix(got[1], "b ok only in 2") {
		t.Errorf("%.50q", got)
	}
}
