package record

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Retention says what is let go of. A zero value of either keeps all.
type Retention struct {
	Age  time.Duration // runs that began longer ago go
	Size int64         // the oldest runs go until the store's contents take no more bytes than this
}

// Usual is the retention where nobody says otherwise.
var Usual = Retention{Age: 90 * 24 * time.Hour, Size: 2 << 30}

// retain is Prune after a run. It takes only so long, and looks no further than to
// the oldest run that stays: each run that ends asks.
func (s *Store) retain(ctx context.Context, keep Retention) error {
	const longest = 2 * time.Second
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	gone, err := s.letGo(limited, keep, false)
	if err == nil && len(gone) > 0 {
		err = s.Shrink(limited)
	}
	if limited.Err() != nil {
		return nil // the next run goes on
	}
	return err
}

// Size is the number of bytes that the store's contents take.
func (s *Store) Size(ctx context.Context) (int64, error) {
	var pages, free, size int64
	for pragma, n := range map[string]*int64{"page_count": &pages, "freelist_count": &free, "page_size": &size} {
		if err := s.db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(n); err != nil {
			return 0, err
		}
	}
	return (pages - free) * size, nil
}

// Prune lets go of runs that have ended, the oldest first, and gives their ids.
// The newest run stays, whatever it takes.
func (s *Store) Prune(ctx context.Context, keep Retention) (gone []string, err error) {
	if gone, err = s.letGo(ctx, keep, true); err != nil {
		return gone, reading(err)
	}
	return gone, s.Shrink(ctx)
}

// letGo is Prune but for the room on the disk. Unless all are to be looked at, it
// ends at the first run that stays.
func (s *Store) letGo(ctx context.Context, keep Retention, all bool) (gone []string, err error) {
	size, err := s.Size(ctx)
	if err != nil {
		return nil, err
	}
	some := 10 // runs at a time
	if all {
		some = 200
	}
	for after := int64(0); ; {
		runs, err := s.oldest(ctx, after, some)
		if err != nil || len(runs) == 0 {
			return gone, err
		}
		for _, run := range runs {
			after = run.seq
			old := keep.Age > 0 && time.Since(run.Began) > keep.Age
			if !old && (keep.Size <= 0 || size <= keep.Size) && run.Missing != goingText {
				if all {
					continue
				}
				return gone, nil
			}
			if err := s.Delete(ctx, run); err != nil {
				return gone, err
			}
			gone = append(gone, run.ID)
			if size, err = s.Size(ctx); err != nil {
				return gone, err
			}
		}
	}
}

// oldest gives some runs that have ended, the oldest first, of those behind a
// place in the store; never the newest run.
func (s *Store) oldest(ctx context.Context, after int64, some int) (runs []*Run, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+runColumns+" FROM runs WHERE seq > ? AND seq < (SELECT max(seq) FROM runs) AND ended IS NOT NULL ORDER BY seq LIMIT ?", after, some)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, rows.Err()
}

// Shrink gives the room of what is gone back to the disk, a little at a time: runs
// that are under way must come to write.
func (s *Store) Shrink(ctx context.Context) error {
	const pages = 1000
	var free, before int64
	for {
		if err := s.db.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
			return reading(err)
		}
		if free == 0 || free == before {
			return nil
		}
		began := time.Now()
		before = free
		rows, err := s.db.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pages))
		if err != nil {
			return reading(err)
		}
		for rows.Next() {
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return reading(err)
		}
		if err := s.giveWay(ctx, time.Since(began)); err != nil {
			return reading(err)
		}
	}
}

// goingText is what is missing of a run that was let go of in part only.
const goingText = "results, as the run was being let go of"

// Delete lets go of one run that has ended, and of the outputs that no other has.
// That is done in several steps, as other runs may be under way and wait for
// the store; of a run of which only some were done that is told.
func (s *Store) Delete(ctx context.Context, run *Run) error {
	if run.Running() {
		return fmt.Errorf("run %s is running", run.ID)
	}
	for {
		began := time.Now()
		more, err := s.deleteSome(ctx, run.seq)
		if err == nil && more {
			err = s.giveWay(ctx, time.Since(began))
		}
		if err != nil || !more {
			return reading(err)
		}
	}
}

// giveWay leaves the store to runs that are under way for as long as it was held:
// SQLite has those that wait look again from time to time, and does not queue them.
func (s *Store) giveWay(ctx context.Context, held time.Duration) error {
	var one int
	err := s.db.QueryRowContext(ctx, "SELECT 1 FROM runs WHERE ended IS NULL LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	pause := time.NewTimer(held)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deleteSome lets go of some hosts of a run, and of the run after the last of them.
func (s *Store) deleteSome(ctx context.Context, seq int64) (more bool, err error) {
	const hosts = 500
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	uses, n, last, err := outputsOf(ctx, tx, seq, hosts)
	if err != nil {
		return false, err
	}
	l, err := newLoosener(ctx, tx)
	if err != nil {
		return false, err
	}
	defer l.close()
	for id, times := range uses {
		if err := l.less(ctx, id, times); err != nil {
			return false, err
		}
	}
	if n == hosts {
		if _, err := tx.ExecContext(ctx, "DELETE FROM results WHERE run = ? AND pos <= ?", seq, last); err != nil {
			return false, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE runs SET missing = ? WHERE seq = ?", goingText, seq); err != nil {
			return false, err
		}
		return true, tx.Commit()
	}
	for _, table := range []string{"results", "partial", "begun", "notes", "batches", "gates"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE run = ?", seq); err != nil {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE seq = ?", seq); err != nil {
		return false, err
	}
	return false, tx.Commit()
}

// outputsOf counts how often each output stands in the first results of a run, n of
// them, up to the position last.
func outputsOf(ctx context.Context, tx *sql.Tx, seq int64, most int) (uses map[int64]int, n, last int, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT pos, out, err FROM results WHERE run = ? ORDER BY pos LIMIT ?", seq, most)
	if err != nil {
		return nil, 0, 0, err
	}
	defer rows.Close()
	uses = map[int64]int{}
	for rows.Next() {
		var out, errOut sql.NullInt64
		if err := rows.Scan(&last, &out, &errOut); err != nil {
			return nil, 0, 0, err
		}
		n++
		for _, id := range []sql.NullInt64{out, errOut} {
			if id.Valid {
				uses[id.Int64]++
			}
		}
	}
	return uses, n, last, rows.Err()
}

// loosener takes uses from outputs, in one transaction.
type loosener struct {
	take           *sql.Stmt
	pieces, output *sql.Stmt // let go of those of an output, and of it
}

func newLoosener(ctx context.Context, tx *sql.Tx) (*loosener, error) {
	l := &loosener{}
	for query, to := range map[string]**sql.Stmt{
		"UPDATE outputs SET refs = refs - ? WHERE id = ? RETURNING refs, coding, CASE coding WHEN 2 THEN data END": &l.take,
		"DELETE FROM pieces WHERE output = ?": &l.pieces,
		"DELETE FROM outputs WHERE id = ?":    &l.output,
	} {
		var err error
		if *to, err = tx.PrepareContext(ctx, query); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *loosener) close() {
	for _, s := range []*sql.Stmt{l.take, l.pieces, l.output} {
		if s != nil {
			s.Close()
		}
	}
}

// less takes n uses from an output, which goes with its last one.
func (l *loosener) less(ctx context.Context, id int64, n int) error {
	var refs, coding int
	var data []byte
	err := l.take.QueryRowContext(ctx, n, id).Scan(&refs, &coding, &data)
	if errors.Is(err, sql.ErrNoRows) || err == nil && refs > 0 {
		return nil // others have it
	}
	if err != nil {
		return err
	}
	ids, err := unpackIDs(data)
	if err != nil {
		return err
	}
	for _, part := range ids {
		if err := l.less(ctx, part, 1); err != nil {
			return err
		}
	}
	for _, s := range []*sql.Stmt{l.pieces, l.output} {
		if _, err := s.ExecContext(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
