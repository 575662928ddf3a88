package record

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fleet/scheduler"
)

// What the hosts of a run whose process died are told to have ended as. Nothing
// is guessed: a command that may have been sent is lost, whatever became of it.
const (
	lostText    = "fleet ended before it recorded how the command did"
	skippedText = "not started: fleet ended before its turn"
)

// settle gives every run whose process has died its ending, but for those of which
// the error tells.
func (s *Store) settle(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, id FROM runs WHERE ended IS NULL")
	if err != nil {
		return err
	}
	open := map[int64]string{}
	for rows.Next() {
		var seq int64
		var id string
		if err := rows.Scan(&seq, &id); err != nil {
			return errors.Join(err, rows.Close())
		}
		open[seq] = id
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var errs []error
	for seq, id := range open {
		died, sure, release, err := s.died(id)
		if err != nil {
			errs = append(errs, fmt.Errorf("look whether run %s lives: %w", id, err))
			continue
		}
		if !died {
			continue
		}
		if err = s.settleRun(ctx, seq, sure); err != nil {
			errs = append(errs, fmt.Errorf("settle run %s: %w", id, err))
		}
		release(err == nil)
		if err != nil && locked(err) {
			break // it takes its time, each time
		}
	}
	return errors.Join(errs...)
}

// settleRun gives each host of a run that has no result one. sure says that the
// store knows all that were begun; if not, any may have been.
func (s *Store) settleRun(ctx context.Context, seq int64, sure bool) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	var hosts int
	var began int64
	err = tx.QueryRowContext(ctx, "SELECT hosts, began FROM runs WHERE seq = ? AND ended IS NULL", seq).Scan(&hosts, &began)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // another was faster
	}
	if err != nil {
		return err
	}
	outcomes, last, err := known(ctx, tx, seq, hosts)
	if err != nil {
		return err
	}
	begun, err := begunHosts(ctx, tx, seq, hosts, sure)
	if err != nil {
		return err
	}
	left, err := pick(ctx, tx, seq)
	if err != nil {
		return err
	}
	last = max(last, began)
	counts, err := settleHosts(ctx, tx, seq, last, outcomes, begun, left)
	if err != nil {
		return err
	}
	text, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE runs SET ended = ?, wall = ?, ending = ?, counts = ? WHERE seq = ?",
		last, last-began, string(Crashed), string(text), seq); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM begun WHERE run = ?", seq); err != nil {
		return err
	}
	return tx.Commit()
}

// settleHosts gives hosts that have no outcome one, and counts all.
func settleHosts(ctx context.Context, tx *sql.Tx, seq, at int64, outcomes []scheduler.Outcome, begun []bool, left map[int][2]remains) (map[scheduler.Outcome]int, error) {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO results (run, pos, outcome, kind, stage, text, out, err, out_kept, err_kept, out_bytes, err_bytes, flags, attempts, connect, took, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?)`)
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	counts := map[scheduler.Outcome]int{}
	for pos, outcome := range outcomes {
		if outcome != "" {
			counts[outcome]++
			continue
		}
		kind, text := scheduler.KindCanceled, skippedText
		outcome = scheduler.Skipped
		if begun[pos] {
			outcome, kind, text = scheduler.Lost, scheduler.KindInternal, lostText
		}
		counts[outcome]++
		flags, out, errOut := 0, left[pos][0], left[pos][1]
		if out.id != 0 || errOut.id != 0 {
			flags = flagPartial
		}
		if _, err := insert.ExecContext(ctx, seq, pos, string(outcome), string(kind), string(scheduler.StageRun), text, out.column(out.id), errOut.column(errOut.id),
			out.column(out.kept), errOut.column(errOut.kept), out.kept, errOut.kept, flags, at); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// column is n, or NULL where nothing is left.
func (r remains) column(n int64) any {
	if r.id == 0 {
		return nil
	}
	return n
}

// known gives the outcomes that a run has, by position, and the time of the last.
func known(ctx context.Context, tx *sql.Tx, seq int64, hosts int) ([]scheduler.Outcome, int64, error) {
	outcomes := make([]scheduler.Outcome, hosts)
	rows, err := tx.QueryContext(ctx, "SELECT pos, outcome, at FROM results WHERE run = ?", seq)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	last := int64(0)
	for rows.Next() {
		var pos int
		var outcome string
		var at int64
		if err := rows.Scan(&pos, &outcome, &at); err != nil {
			return nil, 0, err
		}
		if pos < hosts {
			outcomes[pos] = scheduler.Outcome(outcome)
		}
		last = max(last, at)
	}
	return outcomes, last, rows.Err()
}

// begunHosts says of each position whether its host may have been begun.
func begunHosts(ctx context.Context, tx *sql.Tx, seq int64, hosts int, sure bool) ([]bool, error) {
	begun := make([]bool, hosts)
	if !sure {
		for i := range begun {
			begun[i] = true
		}
		return begun, nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT first, last FROM begun WHERE run = ?", seq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var first, last int
		if err := rows.Scan(&first, &last); err != nil {
			return nil, err
		}
		for i := first; i <= min(last, hosts-1); i++ {
			begun[i] = true
		}
	}
	return begun, rows.Err()
}

// timeOf is the time of a column.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros) }
