package record

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"time"

	"fleet/internal/event"
	"fleet/internal/redact"
	"fleet/scheduler"
)

// mark is a batch or gate, and which hosts it has.
type mark struct {
	event.Mark
	hosts []int // positions of a batch's
}

// Mark implements event.MarkSink.
func (r *Recorder) Mark(m event.Mark) {
	if m.Kind != event.BatchBegan && m.Kind != event.GateEnded {
		return
	}
	k := mark{Mark: m}
	if m.Kind == event.BatchBegan {
		k.hosts = r.positions(m.Hosts)
	}
	r.add(soon, func(b *batch) { b.marks = append(b.marks, k) })
}

// positions finds the hosts of a batch. Batches come in order.
func (r *Recorder) positions(hosts []string) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]int, 0, len(hosts))
	for _, host := range hosts {
		pos := r.inBatch
		if pos >= len(r.cfg.Hosts) || r.cfg.Hosts[pos] != host {
			var ok bool
			if pos, ok = r.indexed(host); !ok {
				continue
			}
		}
		list = append(list, pos)
		r.inBatch = pos + 1
	}
	return list
}

// markRow writes a batch or gate.
func (w *writer) markRow(ctx context.Context, m *mark) error {
	if m.Kind == event.BatchBegan {
		for _, part := range ranges(m.hosts) {
			if err := w.exec(ctx, "INSERT OR REPLACE INTO batches (run, first, last, batch, batches, at) VALUES (?, ?, ?, ?, ?, ?)",
				w.seq, part[0], part[1], m.Batch, m.Batches, m.Time.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	}
	return w.exec(ctx, `INSERT INTO gates (run, n, batch, batches, gate, text, host, output, cut, kind, stage, cause, took, at)
		VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM gates WHERE run = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		append([]any{w.seq, w.seq, m.Batch, m.Batches}, gateColumns(&m.Mark, w.cfg.Secrets)...)...)
}

// gateColumns are what the row of a gate has from its kind on, without secrets.
func gateColumns(m *event.Mark, secrets *redact.Set) []any {
	var kind, stage, cause any
	if c := m.Cause; c != nil {
		kind, stage, cause = string(c.Kind), string(c.Stage), secrets.String(c.Text)
	}
	output := m.Output
	if m.Cut && !secrets.Empty() { // it may begin within a secret
		_, output, _ = bytes.Cut(output, []byte("\n"))
	}
	return []any{string(m.Gate), secrets.String(m.Text), m.Host, secrets.Bytes(output), m.Cut,
		kind, stage, cause, m.Took.Microseconds(), m.Time.UnixMicro()}
}

// haltText is the cause of what was begun after a halt, until its end is recorded.
const haltText = "its end is not recorded: it is under way, or fleet died"

// Halted records what is done after a run has stopped before its end: as it begins
// and again as it has ended, both after Finish. It waits for the disk.
func (r *Recorder) Halted(ctx context.Context, run string, m event.Mark) (err error) {
	if m.Kind == event.GateBegan {
		m.Cause = &scheduler.Cause{Kind: scheduler.KindInternal, Text: haltText}
	}
	s, err := open(ctx, r.cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	columns := gateColumns(&m, r.cfg.Secrets)
	_, err = s.db.ExecContext(ctx, `INSERT OR REPLACE INTO gates (run, n, batch, batches, gate, text, host, output, cut, kind, stage, cause, took, at)
		SELECT seq, coalesce((SELECT n FROM gates WHERE run = seq AND gate = ?), (SELECT max(n) + 1 FROM gates WHERE run = seq), 1),
			coalesce((SELECT max(batch) FROM batches WHERE run = seq), 0), coalesce((SELECT max(batches) FROM batches WHERE run = seq), 0),
			?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM runs WHERE id = ?`, append(append([]any{columns[0]}, columns...), run)...)
	if err != nil {
		return advised(err)
	}
	return nil
}

// Marks gives the batches and gates of a run in the order in which they came, and
// what was done after it was halted; none of a run without. A gate is there as it
// began and as it ended.
func (s *Store) Marks(ctx context.Context, run *Run) ([]event.Mark, error) {
	batches, err := s.batches(ctx, run)
	if err != nil {
		return nil, err
	}
	gates, err := s.gates(ctx, run)
	if err != nil {
		return nil, err
	}
	var marks []event.Mark
	for _, b := range batches {
		marks = append(marks, b)
		for len(gates) > 0 && gates[0].Batch <= b.Batch && gates[0].Gate != event.GateHalt {
			marks = append(marks, gates[0])
			gates = gates[1:]
		}
	}
	return append(marks, gates...), nil
}

func (s *Store) batches(ctx context.Context, run *Run) ([]event.Mark, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT first, last, batch, batches, at FROM batches WHERE run = ? ORDER BY batch, first", run.seq)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	var names []string
	var marks []event.Mark
	for rows.Next() {
		m := event.Mark{Kind: event.BatchBegan}
		var first, last int
		var at int64
		if err := rows.Scan(&first, &last, &m.Batch, &m.Batches, &at); err != nil {
			return nil, reading(err)
		}
		if names == nil {
			if names, err = s.Hosts(ctx, run); err != nil {
				return nil, err
			}
		}
		m.Time, m.Hosts = timeOf(at), names[min(first, len(names)):min(last+1, len(names))]
		if k := len(marks) - 1; k >= 0 && marks[k].Batch == m.Batch {
			marks[k].Hosts = append(marks[k].Hosts[:len(marks[k].Hosts):len(marks[k].Hosts)], m.Hosts...)
		} else {
			marks = append(marks, m)
		}
	}
	return marks, reading(rows.Err())
}

// batchOf tells the batch of a position, 0 for none, of positions that do not
// decrease.
func (s *Store) batchOf(ctx context.Context, run *Run) (func(pos int) int, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT last, batch FROM batches WHERE run = ? ORDER BY first", run.seq)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	var ends [][2]int
	for rows.Next() {
		var end [2]int
		if err := rows.Scan(&end[0], &end[1]); err != nil {
			return nil, reading(err)
		}
		ends = append(ends, end)
	}
	return func(pos int) int {
		for len(ends) > 0 && ends[0][0] < pos {
			ends = ends[1:]
		}
		if len(ends) == 0 {
			return 0
		}
		return ends[0][1]
	}, reading(rows.Err())
}

func (s *Store) gates(ctx context.Context, run *Run) (marks []event.Mark, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT batch, batches, gate, text, host, output, cut, kind, stage, cause, took, at FROM gates WHERE run = ? ORDER BY n", run.seq)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	for rows.Next() {
		m := event.Mark{Kind: event.GateEnded}
		var gate string
		var kind, stage, cause sql.NullString
		var took, at int64
		if err := rows.Scan(&m.Batch, &m.Batches, &gate, &m.Text, &m.Host, &m.Output, &m.Cut, &kind, &stage, &cause, &took, &at); err != nil {
			return nil, reading(err)
		}
		m.Gate, m.Took, m.Time = event.GateKind(gate), time.Duration(took)*time.Microsecond, timeOf(at)
		if kind.Valid {
			m.Cause = &scheduler.Cause{Kind: scheduler.Kind(kind.String), Stage: scheduler.Stage(stage.String), Text: cause.String}
		}
		marks = append(marks, event.Mark{Kind: event.GateBegan, Batch: m.Batch, Batches: m.Batches, Gate: m.Gate, Text: m.Text, Host: m.Host, Time: m.Time.Add(-m.Took)}, m)
	}
	return marks, reading(rows.Err())
}
