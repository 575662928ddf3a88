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

// retain is Prune after a run: it looks first, and takes only so long.
func (s *Store) retain(ctx context.Context, keep Retention) error {
	const longest = 2 * time.Second
	var old int
	if keep.Age > 0 {
		err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM runs WHERE began < ? AND ended IS NOT NULL LIMIT 1)", time.Now().Add(-keep.Age).UnixMicro()).Scan(&old)
		if err != nil {
			return err
		}
	}
	size, err := s.Size(ctx)
	if err != nil {
		return err
	}
	if old == 0 && (keep.Size <= 0 || size <= keep.Size) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	_, err = s.Prune(ctx, keep)
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
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
	runs, err := s.Runs(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	size, err := s.Size(ctx)
	if err != nil {
		return nil, reading(err)
	}
	for i := len(runs) - 1; i > 0; i-- {
		run := runs[i]
		old := keep.Age > 0 && time.Since(run.Began) > keep.Age
		if run.Running() || !old && (keep.Size <= 0 || size <= keep.Size) {
			continue
		}
		if err := s.Delete(ctx, run); err != nil {
			return gone, err
		}
		gone = append(gone, run.ID)
		if size, err = s.Size(ctx); err != nil {
			return gone, reading(err)
		}
	}
	return gone, s.Shrink(ctx)
}

// Shrink gives the room of what is gone back to the disk.
func (s *Store) Shrink(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, "PRAGMA incremental_vacuum")
	if err != nil {
		return reading(err)
	}
	for rows.Next() {
	}
	return reading(errors.Join(rows.Err(), rows.Close()))
}

// Delete lets go of one run that has ended, and of the outputs that no other has.
func (s *Store) Delete(ctx context.Context, run *Run) error {
	if run.Running() {
		return fmt.Errorf("run %s is running", run.ID)
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return reading(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	uses, err := outputsOf(ctx, tx, run.seq)
	if err != nil {
		return reading(err)
	}
	for id, n := range uses {
		if err := useLess(ctx, tx, id, n); err != nil {
			return reading(err)
		}
	}
	for _, table := range []string{"results", "begun", "notes", "batches", "gates"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE run = ?", run.seq); err != nil {
			return reading(err)
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE seq = ?", run.seq); err != nil {
		return reading(err)
	}
	return reading(tx.Commit())
}

// useLess takes n uses from an output, which goes with its last one.
func useLess(ctx context.Context, tx *sql.Tx, id int64, n int) error {
	if _, err := tx.ExecContext(ctx, "UPDATE outputs SET refs = refs - ? WHERE id = ?", n, id); err != nil {
		return err
	}
	var coding int
	var data []byte
	err := tx.QueryRowContext(ctx, "SELECT coding, CASE coding WHEN ? THEN data END FROM outputs WHERE id = ? AND refs <= 0", list, id).Scan(&coding, &data)
	if errors.Is(err, sql.ErrNoRows) {
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
		if err := useLess(ctx, tx, part, 1); err != nil {
			return err
		}
	}
	for _, query := range []string{"DELETE FROM pieces WHERE output = ?", "DELETE FROM outputs WHERE id = ?"} {
		if _, err := tx.ExecContext(ctx, query, id); err != nil {
			return err
		}
	}
	return nil
}

// outputsOf counts how often each output stands in the results of a run.
func outputsOf(ctx context.Context, tx *sql.Tx, seq int64) (map[int64]int, error) {
	uses := map[int64]int{}
	for _, column := range []string{"out", "err"} {
		rows, err := tx.QueryContext(ctx, "SELECT "+column+", count(*) FROM results WHERE run = ? AND "+column+" IS NOT NULL GROUP BY 1", seq)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var id int64
			var n int
			if err := rows.Scan(&id, &n); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			uses[id] += n
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return uses, nil
}
