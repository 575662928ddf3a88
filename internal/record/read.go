package record

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

// Filter says which runs are meant.
type Filter struct {
	Kind    string    // empty: any
	Since   time.Time // begun at that time or later; zero: any
	Command string    // the same command; empty: any
	Before  *Run      // begun before that one
	NotOK   bool      // it has ended, and some host was not ok
	Host    string    // that host was one of it
	Running bool      // it has not ended
	Limit   int       // 0: all
}

const runColumns = `seq, id, kind, command, pattern, argv, dir, environ, user, controller, version, rerun_of, detached, redacted, hosts, began, ended, wall, ending, counts, missing, more`

// Runs gives the runs that a filter means, the newest first.
func (s *Store) Runs(ctx context.Context, f Filter) ([]*Run, error) {
	query := "SELECT " + runColumns + " FROM runs WHERE began >= ?"
	args := []any{int64(0)}
	if !f.Since.IsZero() {
		args[0] = f.Since.UnixMicro()
	}
	if f.Kind != "" {
		query, args = query+" AND kind = ?", append(args, f.Kind)
	}
	if f.Command != "" {
		query, args = query+" AND command = ?", append(args, f.Command)
	}
	if f.Running {
		query += " AND ended IS NULL"
	}
	if f.NotOK {
		query += " AND ended IS NOT NULL"
	}
	if f.Before != nil {
		query, args = query+" AND seq < ?", append(args, f.Before.seq)
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY seq DESC", args...)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	var list []*Run
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, reading(err)
		}
		if f.NotOK && run.Counts[scheduler.OK] == run.Hosts {
			continue
		}
		if f.Host != "" {
			if has, err := s.hasHost(ctx, run, f.Host); err != nil {
				return nil, err
			} else if !has {
				continue
			}
		}
		list = append(list, run)
		if f.Limit > 0 && len(list) == f.Limit {
			break
		}
	}
	return list, reading(rows.Err())
}

func (s *Store) hasHost(ctx context.Context, run *Run, host string) (bool, error) {
	names, err := s.Hosts(ctx, run)
	for _, name := range names {
		if name == host {
			return true, nil
		}
	}
	return false, err
}

// scanRun reads a row of runColumns.
func scanRun(row interface{ Scan(...any) error }) (*Run, error) {
	var r Run
	var argv, environ, counts, end string
	var began, wall int64
	var ended sql.NullInt64
	var more sql.NullString
	if err := row.Scan(&r.seq, &r.ID, &r.Kind, &r.Command, &r.Pattern, &argv, &r.Dir, &environ, &r.User, &r.Controller, &r.Version,
		&r.RerunOf, &r.Detached, &r.Redacted, &r.Hosts, &began, &ended, &wall, &end, &counts, &r.Missing, &more); err != nil {
		return nil, err
	}
	r.Began, r.Wall, r.Ending = timeOf(began), time.Duration(wall)*time.Microsecond, Ending(end)
	if ended.Valid {
		r.Ended = timeOf(ended.Int64)
	}
	if errors.Join(json.Unmarshal([]byte(argv), &r.Argv), json.Unmarshal([]byte(environ), &r.Environ), json.Unmarshal([]byte(counts), &r.Counts),
		moreOfSummaries.into(&r.summary, more.String)) != nil {
		r.Missing = damagedText // one run must not hide all others
	}
	return &r, nil
}

// damagedText is what is missing of a run whose row cannot be read to its end.
const damagedText = "some of this, as the record is damaged"

// Summary is how a run ended, as it was told then.
func (r *Run) Summary() event.Summary {
	s := r.summary
	s.Run, s.Counts, s.Wall, s.Recorded = r.ID, r.Counts, r.Wall, true
	s.Halted, s.Deadline, s.Interrupted = r.Ending == Halted, r.Ending == Deadline, r.Ending == Interrupted
	return s
}

// Refresh brings a run that was running up to date, and settles it if its process
// has died. Counts are of the hosts that have a result.
func (s *Store) Refresh(ctx context.Context, run *Run) error {
	fresh, err := scanRun(s.db.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE seq = ?", run.seq))
	if errors.Is(err, sql.ErrNoRows) {
		return noRun{fmt.Errorf("run %s was let go of meanwhile", run.ID)}
	}
	if err != nil {
		return reading(err)
	}
	if fresh.Running() {
		s.look(ctx)
		if fresh, err = scanRun(s.db.QueryRowContext(ctx, "SELECT "+runColumns+" FROM runs WHERE seq = ?", run.seq)); err != nil {
			return reading(err)
		}
	}
	*run = *fresh
	if !run.Running() {
		return nil
	}
	run.Counts = map[scheduler.Outcome]int{}
	return s.eachOutcome(ctx, run, func(o scheduler.Outcome, n int) { run.Counts[o] = n })
}

func (s *Store) eachOutcome(ctx context.Context, run *Run, f func(scheduler.Outcome, int)) error {
	rows, err := s.db.QueryContext(ctx, "SELECT outcome, count(*) FROM results WHERE run = ? GROUP BY outcome", run.seq)
	if err != nil {
		return reading(err)
	}
	defer rows.Close()
	for rows.Next() {
		var o string
		var n int
		if err := rows.Scan(&o, &n); err != nil {
			return reading(err)
		}
		f(scheduler.Outcome(o), n)
	}
	return reading(rows.Err())
}

// Hosts gives the names of a run's hosts, by position.
func (s *Store) Hosts(ctx context.Context, run *Run) ([]string, error) {
	var packed []byte
	if err := s.db.QueryRowContext(ctx, "SELECT names FROM runs WHERE seq = ?", run.seq).Scan(&packed); err != nil {
		return nil, reading(err)
	}
	return unpackNames(packed, run.Hosts)
}

// Result is how one host of a run ended. Its captures are nil; Stdout and Stderr
// are the ids of what it wrote, see Store.Output, 0 for nothing. Truncated says
// that the store has not all of it.
type Result struct {
	event.Result
	Pos            int
	Stdout, Stderr int64
}

// Results calls f for each result of a run in the order of its hosts, from the
// position first on, until f returns an error, which it returns.
func (s *Store) Results(ctx context.Context, run *Run, first int, f func(*Result) error) error {
	names, err := s.Hosts(ctx, run)
	if err != nil {
		return err
	}
	batchOf, err := s.batchOf(ctx, run)
	if err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT pos, outcome, kind, stage, text, detail, exit, signal, out, err, out_kept, err_kept, out_bytes, err_bytes, flags, attempts, connect, took, at, more
		FROM results WHERE run = ? AND pos >= ? ORDER BY pos`, run.seq, first)
	if err != nil {
		return reading(err)
	}
	defer rows.Close()
	for rows.Next() {
		res, err := scanResult(rows)
		if err != nil {
			return reading(err)
		}
		if res.Pos < len(names) {
			res.Host = names[res.Pos]
		}
		res.Batch = batchOf(res.Pos)
		if err := f(res); err != nil {
			return err
		}
	}
	return reading(rows.Err())
}

func scanResult(row *sql.Rows) (*Result, error) {
	var r Result
	var outcome string
	var kind, stage, text, detail, signal, more sql.NullString
	var exit, out, errOut, outKept, errKept sql.NullInt64
	var flags int
	var connect, took, at int64
	if err := row.Scan(&r.Pos, &outcome, &kind, &stage, &text, &detail, &exit, &signal, &out, &errOut, &outKept, &errKept,
		&r.StdoutBytes, &r.StderrBytes, &flags, &r.Attempts, &connect, &took, &at, &more); err != nil {
		return nil, err
	}
	r.Outcome, r.Detail, r.Signal = scheduler.Outcome(outcome), detail.String, signal.String
	if kind.Valid {
		r.Cause = &scheduler.Cause{Kind: scheduler.Kind(kind.String), Stage: scheduler.Stage(stage.String), Text: text.String}
	}
	if exit.Valid {
		code := int(exit.Int64)
		r.ExitCode = &code
	}
	r.Stdout, r.Stderr = out.Int64, errOut.Int64
	r.Truncated, r.Unstored = flags&(flagTruncated|flagDropped|flagPartial) != 0, flags&flagUnstored != 0
	r.Lingering = flags&flagLingering != 0
	r.Connect, r.Run, r.Time = time.Duration(connect)*time.Microsecond, time.Duration(took)*time.Microsecond, timeOf(at)
	if err := moreOfResults.into(&r.Result, more.String); err != nil {
		return nil, err
	}
	if outKept.Valid || errKept.Valid {
		r.Kept = &event.Kept{Stdout: r.StdoutBytes, Stderr: r.StderrBytes, Partial: flags&flagPartial != 0}
		if outKept.Valid {
			r.Kept.Stdout = outKept.Int64
		}
		if errKept.Valid {
			r.Kept.Stderr = errKept.Int64
		}
	} else if r.Truncated { // by an older schema
		r.Unstored = true
	}
	return &r, nil
}

// Output writes the output of that id to dst, a piece at a time.
func (s *Store) Output(ctx context.Context, id int64, dst io.Writer) error {
	var coding int
	var data []byte
	err := s.db.QueryRowContext(ctx, "SELECT coding, data FROM outputs WHERE id = ?", id).Scan(&coding, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read record: an output was let go of meanwhile: %w", err)
	}
	if err != nil {
		return reading(err)
	}
	if coding == list {
		return s.outputs(ctx, data, dst)
	}
	if err := expandTo(dst, coding, data); err != nil {
		return err
	}
	for n := 1; ; n++ { // written by an older schema
		err := s.db.QueryRowContext(ctx, "SELECT coding, data FROM pieces WHERE output = ? AND n = ?", id, n).Scan(&coding, &data)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return reading(err)
		}
		if err := expandTo(dst, coding, data); err != nil {
			return err
		}
	}
}

// Partial calls f with what the store has, piece by piece, of what hosts of a
// running run have written that have no result yet.
func (s *Store) Partial(ctx context.Context, run *Run, f func(Chunk) error) error {
	names, err := s.Hosts(ctx, run)
	if err != nil {
		return err
	}
	rows, err := s.db.QueryContext(ctx, "SELECT pos, stream, at, part, tail FROM partial WHERE run = ? ORDER BY pos, stream, at", run.seq)
	if err != nil {
		return reading(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pos, stream int
		var part sql.NullInt64
		c := Chunk{Stream: event.Stdout}
		if err := rows.Scan(&pos, &stream, &c.At, &part, &c.Data); err != nil {
			return reading(err)
		}
		if part.Valid {
			var b bytes.Buffer
			if err := s.Output(ctx, part.Int64, &b); errors.Is(err, sql.ErrNoRows) {
				continue // the host has its result meanwhile
			} else if err != nil {
				return err
			}
			c.Data = b.Bytes()
		}
		if stream == 2 {
			c.Stream = event.Stderr
		}
		if pos < len(names) {
			c.Host = names[pos]
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return reading(rows.Err())
}

// outputs writes the outputs of a list.
func (s *Store) outputs(ctx context.Context, packed []byte, dst io.Writer) error {
	ids, err := unpackIDs(packed)
	if err != nil {
		return reading(err)
	}
	for _, id := range ids {
		if err := s.Output(ctx, id, dst); err != nil {
			return err
		}
	}
	return nil
}

// expandTo writes what data hold to dst, whose error it returns as it is.
func expandTo(dst io.Writer, coding int, data []byte) error {
	r, err := expand(coding, data)
	if err == nil {
		_, err = io.Copy(dst, r)
	}
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &hinted{fmt.Errorf("read record: an output: %w", err), damagedHint}
	}
	return err
}

// Note is a line that fleet said during a run.
type Note struct {
	Time time.Time
	Text string
}

// Notes gives what fleet said during a run.
func (s *Store) Notes(ctx context.Context, run *Run) (list []Note, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT at, text FROM notes WHERE run = ? ORDER BY rowid", run.seq)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n Note
		var at int64
		if err := rows.Scan(&at, &n.Text); err != nil {
			return nil, reading(err)
		}
		n.Time = timeOf(at)
		list = append(list, n)
	}
	return list, reading(rows.Err())
}
