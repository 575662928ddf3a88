package record

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fleet/internal/event"
)

// exec runs a statement, which is prepared once.
func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	_, err := w.do(ctx, query, args...)
	return err
}

func (w *writer) do(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := w.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (w *writer) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := w.statements[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(ctx, query)
	if err == nil {
		w.statements[query] = s
	}
	return s, err
}

// rows writes a batch.
func (w *writer) rows(ctx context.Context, b *batch) error {
	if b.run != nil && w.seq == 0 {
		if err := w.runRow(ctx, b.run); err != nil {
			return err
		}
	}
	for _, part := range ranges(b.begun) {
		if err := w.exec(ctx, "INSERT OR REPLACE INTO begun (run, first, last) VALUES (?, ?, ?)", w.seq, part[0], part[1]); err != nil {
			return err
		}
	}
	for i := range b.marks {
		if err := w.markRow(ctx, &b.marks[i]); err != nil {
			return err
		}
	}
	for i := range b.pieces {
		if err := w.pieceRow(ctx, &b.pieces[i]); err != nil {
			return err
		}
	}
	for i := range b.results {
		if err := w.resultRow(ctx, &b.results[i]); err != nil {
			return err
		}
	}
	if err := w.usesRows(ctx); err != nil {
		return err
	}
	for _, n := range b.notes {
		if err := w.exec(ctx, "INSERT INTO notes (run, at, text) VALUES (?, ?, ?)", w.seq, n.at.UnixMicro(), w.cfg.Secrets.String(n.text)); err != nil {
			return err
		}
	}
	if b.end != nil {
		return w.endRow(ctx, b.end)
	}
	return nil
}

// runRow writes what is known of a run before it does anything.
func (w *writer) runRow(ctx context.Context, run *event.Run) error {
	c := &w.cfg
	redacted := c.Secrets.String(run.Command) != run.Command
	argv := make([]string, len(c.Argv))
	for i, word := range c.Argv {
		argv[i] = c.Secrets.String(word)
		redacted = redacted || argv[i] != word
	}
	words, err := json.Marshal(argv)
	if err != nil {
		return err
	}
	variables := make(map[string]string, len(c.Environ))
	for name, value := range c.Environ {
		variables[name] = c.Secrets.String(value)
		redacted = redacted || variables[name] != value
	}
	environ, err := json.Marshal(variables)
	if err != nil {
		return err
	}
	res, err := w.do(ctx, `INSERT INTO runs (id, kind, command, pattern, argv, dir, environ, user, controller, version, rerun_of, detached, redacted, hosts, names, began)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		run.ID, c.Kind, c.Secrets.String(run.Command), c.Pattern, string(words), c.WorkDir, string(environ), c.User, c.Machine, c.Version,
		c.RerunOf, c.Detached, redacted, len(c.Hosts), packNames(c.Hosts), run.Time.UnixMicro())
	if err != nil {
		return err
	}
	w.seq, err = res.LastInsertId()
	return err
}

// ranges folds positions to first and last of those that follow each other.
func ranges(list []int) (out [][2]int) {
	slices.Sort(list)
	for _, n := range list {
		if k := len(out) - 1; k >= 0 && n <= out[k][1]+1 {
			out[k][1] = n
		} else {
			out = append(out, [2]int{n, n})
		}
	}
	return out
}

// resultRow writes how a host ended.
func (w *writer) resultRow(ctx context.Context, res *hostResult) error {
	var kind, stage, text, signal, detail any
	if c := res.Cause; c != nil {
		kind, stage, text = string(c.Kind), string(c.Stage), w.cfg.Secrets.String(c.Text)
	}
	if res.Signal != "" {
		signal = res.Signal
	}
	if res.Detail != "" {
		detail = w.cfg.Secrets.String(res.Detail)
	}
	out, err := w.streamRow(ctx, res.tapes[0])
	if err != nil {
		return err
	}
	errOut, err := w.streamRow(ctx, res.tapes[1])
	if err != nil {
		return err
	}
	flags := 0
	for bit, on := range map[int]bool{flagTruncated: max(out.cut, errOut.cut) > going, flagUnstored: max(out.cut, errOut.cut) == faulty, flagLingering: res.Lingering} {
		if on {
			flags |= bit
		}
	}
	more, err := w.cleanJSON(moreOfResults.text(&res.Result))
	if err != nil {
		return err
	}
	return w.exec(ctx, `INSERT OR REPLACE INTO results (run, pos, outcome, kind, stage, text, detail, exit, signal, out, err, out_kept, err_kept, out_bytes, err_bytes, flags, attempts, connect, took, at, more)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.seq, res.pos, string(res.Outcome), kind, stage, text, detail, res.ExitCode, signal, out.id, errOut.id, out.kept, errOut.kept,
		res.StdoutBytes, res.StderrBytes, flags, res.Attempts, res.Connect.Microseconds(), res.Run.Microseconds(), res.Time.UnixMicro(), more)
}

// cleanJSON is what kept.text gives without secrets, or NULL for none. Only strings
// can hold a secret: a number that has the digits of one is left, as the text must
// stay JSON.
func (w *writer) cleanJSON(text string, err error) (any, error) {
	if err != nil || text == "" {
		return nil, err
	}
	if w.cfg.Secrets.String(text) == text {
		return text, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	clean, err := json.Marshal(w.cleaned(value))
	return string(clean), err
}

// cleaned is a value of JSON whose strings are without secrets.
func (w *writer) cleaned(value any) any {
	switch v := value.(type) {
	case string:
		return w.cfg.Secrets.String(v)
	case []any:
		for i := range v {
			v[i] = w.cleaned(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = w.cleaned(v[name])
		}
	}
	return value
}

// endRow writes how the run ended.
func (w *writer) endRow(ctx context.Context, s *event.Summary) error {
	counts, err := json.Marshal(s.Counts)
	if err != nil {
		return err
	}
	more, err := w.cleanJSON(moreOfSummaries.text(s))
	if err != nil {
		return err
	}
	if err := w.exec(ctx, "UPDATE runs SET ended = ?, wall = ?, ending = ?, counts = ?, missing = ?, more = ? WHERE seq = ?",
		time.Now().UnixMicro(), s.Wall.Microseconds(), string(ending(s)), string(counts), w.missing, more, w.seq); err != nil {
		return err
	}
	w.over = true
	return w.exec(ctx, "DELETE FROM begun WHERE run = ?", w.seq)
}

// streamColumns are what a result's row has of one stream: NULL for no output,
// and for how much of it is kept if that is all.
type streamColumns struct {
	id, kept any
	cut      int32
}

func (w *writer) streamRow(ctx context.Context, t *tape) (c streamColumns, err error) {
	var kept int64
	if c.id, kept, c.cut, err = w.stream(ctx, t); c.cut != going {
		c.kept = kept
	}
	return c, err
}

func ending(s *event.Summary) Ending {
	switch {
	case s.Interrupted:
		return Interrupted
	case s.Deadline:
		return Deadline
	case s.Halted:
		return Halted
	}
	return Done
}

// packNames makes one compressed text of the names of hosts.
func packNames(names []string) []byte {
	var b bytes.Buffer
	z := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(z)
	z.Reset(&b)
	io.WriteString(z, strings.Join(names, "\n")) //nolint:errcheck // a buffer
	z.Close()
	return b.Bytes()
}

func unpackNames(packed []byte, n int) ([]string, error) {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		return nil, fmt.Errorf("read the names of hosts: %w", err)
	}
	names := strings.Split(string(text), "\n")
	if len(names) != n {
		return nil, fmt.Errorf("read the names of hosts: %d of %d are there", len(names), n)
	}
	return names, nil
}
