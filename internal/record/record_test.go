package record

import (
	"bytes"
	"context"
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
	warns chan error
}

// taping starts the record of a run over the hosts.
func taping(t *testing.T, cfg Config, hosts ...string) *taped {
	t.Helper()
	tp := &taped{t: t, id: ulid.Make().String(), began: time.Now(), warns: make(chan error, 100)}
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
	tp.write(host, stdout)
	tp.Result(res)
}

// write has a host write to its standard output.
func (tp *taped) write(host, text string) {
	tp.Output(event.Output{Host: host, Stream: event.Stdout, Data: []byte(text), Time: time.Now()})
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
	t.Cleanup(func() {
		if !t.Failed() {
			counted(t, s)
		}
		s.Close()
	})
	return s
}

// counted holds the uses that outputs count to those that there are.
func counted(t *testing.T, s *Store) {
	t.Helper()
	uses := map[int64]int{}
	for _, query := range []string{"SELECT out FROM results WHERE out IS NOT NULL", "SELECT err FROM results WHERE err IS NOT NULL", "SELECT part FROM partial WHERE part IS NOT NULL"} {
		each(t, s, query, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			uses[id]++
			return err
		})
	}
	refs := map[int64]int{}
	each(t, s, "SELECT id, refs, coding, data FROM outputs", func(scan func(...any) error) error {
		var id int64
		var n, coding int
		var data []byte
		err := scan(&id, &n, &coding, &data)
		refs[id] = n
		if coding == list {
			ids, err := unpackIDs(data)
			if err != nil {
				return err
			}
			for _, part := range ids {
				uses[part]++
			}
		}
		return err
	})
	if diff := cmp.Diff(uses, refs); diff != "" {
		t.Errorf("uses of outputs, and those that they count:\n%s", diff)
	}
}

func each(t *testing.T, s *Store, query string, f func(scan func(...any) error) error) {
	t.Helper()
	rows, err := s.db.Query(query)
	if err != nil {
		t.Log(err) // closed, or damaged by the test
		return
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			t.Error(err)
		}
	}
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
		if r.Kept != nil {
			line += fmt.Sprintf(" (%d of %d)", r.Kept.Stdout, r.StdoutBytes)
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
	tp := taping(t, cfg, "web1", "web2", "db1", "db2")
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
	tp := taping(t, Config{Dir: dir}, "a", "b", "c", "d", "e")
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
	tp := taping(t, Config{Dir: dir}, "a", "b")
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
	tp := taping(t, Config{Dir: dir}, "a", "b")
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
	tp := taping(t, Config{Dir: dir, Argv: []string{"run", "x", "--", canary}, Secrets: secrets}, "a", "b")
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
	a, b := taping(t, Config{Dir: dir}, names...), taping(t, Config{Dir: dir}, names...)
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
