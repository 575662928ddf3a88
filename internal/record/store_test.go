package record

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

func TestNewerStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.finish()
	s := reopened(t, dir)
	if _, err := s.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), "written by a newer fleet (schema 99") {
		t.Errorf("%v", err)
	}
	again := taping(t, Config{Dir: dir}, "a")
	again.begin("a") // the run goes on
	again.end("a", scheduler.OK, "x")
	if err := again.Finish(event.Summary{}); err == nil || len(again.warns) != 1 {
		t.Errorf("%v, told %d times", err, len(again.warns))
	}
}

// oldStore makes a store of the first schema, with one run.
func oldStore(t *testing.T, dir string) {
	t.Helper()
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
}

// TestOlderStore records in a store of the first schema.
func TestOlderStore(t *testing.T) {
	dir := t.TempDir()
	oldStore(t, dir)
	tp := taping(t, Config{Dir: dir}, "a")
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
	tp := taping(t, Config{Dir: dir}, "a", "b")
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
	first := taping(t, Config{Dir: dir}, "x")
	first.begin("x")
	first.finish()
	hosts := []string{"a", "b", "c"}
	tp := taping(t, Config{Dir: dir}, hosts...)
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
	if got[0] != "a ok (0 of 204800)" || !strings.HasPrefix(got[1], "b ok") && got[1] != "b lost" {
		t.Errorf("%q", got)
	}
}

// TestLockedStore has another process hold the store for longer than a run waits:
// the run goes on, and what happened meanwhile is written afterwards.
func TestLockedStore(t *testing.T) {
	lockWait = 50 * time.Millisecond
	defer func() { lockWait = 5 * time.Second }()
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b", "c")
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
		tp := taping(t, Config{Dir: dir}, "a", "b")
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
	var outputs int
	err = s.db.QueryRow("SELECT count(*) FROM outputs").Scan(&outputs)
	if err != nil || outputs != 17 { // one of a; the 16 pieces of b, two of them equal, and their list
		t.Errorf("%d outputs are left: %v", outputs, err)
	}
	if after, err := s.Size(ctx); err != nil || after >= before {
		t.Errorf("%d bytes before, %d after, %v", before, after, err)
	}
	if got := outcomes(t, s, find(t, s, "last")); !strings.HasPrefix(got[1], "b ok only in 2") {
		t.Errorf("%.50q", got)
	}
}

// TestRetentionAfterRun has runs let go of what is old, and of what is too much,
// as each ends.
func TestRetentionAfterRun(t *testing.T) {
	for name, keep := range map[string]Retention{"age": {Age: time.Nanosecond}, "size": {Size: 200 << 10}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var last string
			for range 3 {
				tp := taping(t, Config{Dir: dir, Keep: keep}, "a")
				tp.begin("a")
				tp.end("a", scheduler.OK, noise(3*pieceSize))
				tp.finish()
				last = tp.id
			}
			s := reopened(t, dir)
			runs, err := s.Runs(context.Background(), Filter{})
			if err != nil || len(runs) != 1 || runs[0].ID != last {
				t.Errorf("%d runs are left, %v: want the last one", len(runs), err)
			}
			if n, err := s.Size(context.Background()); err != nil || n > 500<<10 {
				t.Errorf("%d bytes are left, %v", n, err)
			}
		})
	}
	dir := t.TempDir()
	for range 3 {
		tp := taping(t, Config{Dir: dir, Keep: Usual}, "a")
		tp.begin("a")
		tp.end("a", scheduler.OK, "")
		tp.finish()
	}
	if runs, err := reopened(t, dir).Runs(context.Background(), Filter{}); err != nil || len(runs) != 3 {
		t.Errorf("%d runs are left of 3 that are new and small, %v", len(runs), err)
	}
}

// TestMigrateAtOnce has many open a store of the first schema at the same time:
// each finds it whole, at this one.
func TestMigrateAtOnce(t *testing.T) {
	dir := t.TempDir()
	oldStore(t, dir)
	const n = 8
	start, errs := make(chan struct{}), make(chan error, n)
	for range n {
		go func() {
			<-start
			s, err := Open(context.Background(), dir)
			if err != nil {
				errs <- err
				return
			}
			runs, err := s.Runs(context.Background(), Filter{})
			if err == nil && (len(runs) != 1 || runs[0].Command != "uptime") {
				err = fmt.Errorf("%d runs are there", len(runs))
			}
			errs <- errors.Join(err, s.Close())
		}()
	}
	close(start)
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	var migrated int
	s := reopened(t, dir)
	if err := s.db.QueryRow("SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&migrated); err != nil || migrated != schema {
		t.Errorf("%d migrations were done, %v; want each of %d once", migrated, err, schema)
	}
}

// TestLookWritesNothing opens a store again and again: whoever only looks does not
// wait for the disk, nor for those that write.
func TestLookWritesNothing(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.finish()
	s := reopened(t, dir)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "fleet.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	for range 3 {
		other, err := Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Runs(context.Background(), Filter{}); err != nil {
			t.Error(err)
		}
		other.Close()
	}
	if after := size(); after != before {
		t.Errorf("the log of the store has grown from %d to %d bytes", before, after)
	}
	var mode int
	if err := s.db.QueryRow("PRAGMA auto_vacuum").Scan(&mode); err != nil || mode != 2 {
		t.Errorf("auto_vacuum is %d, %v: room could not be given back", mode, err)
	}
}

// TestOpenTogether has a store made by the process that comes first while others
// open it: nobody is told that it is locked.
func TestOpenTogether(t *testing.T) {
	const role = "FLEET_TEST_OPEN"
	if dir := os.Getenv(role); dir != "" { // one of the processes
		io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end says to begin
		for i := range 150 {
			s, err := open(t.Context(), filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		return
	}
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	for range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOpenTogether$")
		cmd.Env = append(os.Environ(), role+"="+dir)
		cmd.Stdin, cmd.Stdout = r, new(bytes.Buffer)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	r.Close()
	w.Close()
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, cmd.Stdout)
		}
	}
}
