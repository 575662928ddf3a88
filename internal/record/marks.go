package record

import (
	"bytes"
	"context"
	"database/sql"
	"time"

	"fleet/internal/event"
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
	var kind, stage, cause any
	if c := m.Cause; c != nil {
		kind, stage, cause = string(c.Kind), string(c.Stage), w.cfg.Secrets.String(c.Text)
	}
	output := m.Output
	if m.Cut && !w.cfg.Secrets.Empty() { // it may begin within a secret
		_, output, _ = bytes.Cut(output, []byte("\n"))
	}
	return w.exec(ctx, `INSERT INTO gates (run, n, batch, batches, gate, text, host, output, cut, kind, stage, cause, took, at)
		VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM gates WHERE run = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.seq, w.seq, m.Batch, m.Batches, string(m.Gate), w.cfg.Secrets.String(m.Text), m.Host, w.cfg.Secrets.Bytes(output), m.Cut,
		kind, stage, cause, m.Took.Microseconds(), m.Time.UnixMicro())
}

// Marks gives the batches and gates of a run in the order in which they came; none
// of a run without. A gate is there as it began and as it ended.
func (s *Store) Marks(ctx context.Context, run *Run) ([]event.Mark, error) {
	batches, err := s.batches(ctx, run)
	if err != nil || len(batches) == 0 {
		return nil, err
	}
	gates, err := s.gates(ctx, run)
	if err != nil {
		return nil, err
	}
	var marks []event.Mark
	for _, b := range batches {
		marks = append(marks, b)
		for len(gates) > 0 && gates[0].Batch <= b.Batch {
			marks = append(marks, gates[0])
			gates = gates[1:]
		}
	}
	return marks, nil
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
