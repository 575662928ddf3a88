package record

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"fleet/scheduler"
)

// shortest is how much of an id names a run.
const shortest = 4

// ShortID is how an id is shown where room is dear: its end, which tells more
// than its beginning, the time.
func ShortID(id string) string { return id[max(0, len(id)-8):] }

// Find gives the run that a word names: "last", the newest; "last-failed", the
// newest that has ended and not all of whose hosts are ok; an id, or the beginning
// or end of one, in any case, that only one run has. An @ may stand before it.
func (s *Store) Find(ctx context.Context, word string) (*Run, error) {
	switch name := strings.TrimPrefix(word, "@"); name {
	case "last":
		return s.newest(ctx, Filter{Limit: 1})
	case "last-failed":
		return s.newest(ctx, Filter{NotOK: true, Limit: 1})
	default:
		return s.byID(ctx, strings.ToUpper(name))
	}
}

func (s *Store) newest(ctx context.Context, f Filter) (*Run, error) {
	list, err := s.Runs(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		if f.NotOK {
			return nil, noRun{errors.New("no recorded run has a host that was not ok")}
		}
		return nil, ErrNone
	}
	return list[0], nil
}

func (s *Store) byID(ctx context.Context, id string) (*Run, error) {
	if len(id) < shortest || strings.ContainsFunc(id, func(c rune) bool { return (c < '0' || c > '9') && (c < 'A' || c > 'Z') }) {
		return nil, &hinted{noRun{fmt.Errorf("%q names no run", strings.ToLower(id))}, "'fleet history' lists them; last and last-failed are names too"}
	}
	rows, err := s.db.QueryContext(ctx, "SELECT "+runColumns+" FROM runs WHERE id LIKE ? OR id LIKE ? ORDER BY seq DESC LIMIT 2", id+"%", "%"+id)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	var found []*Run
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, reading(err)
		}
		found = append(found, run)
	}
	switch {
	case rows.Err() != nil:
		return nil, reading(rows.Err())
	case len(found) == 0:
		return nil, &hinted{noRun{fmt.Errorf("no run %s is recorded", id)}, "'fleet history' lists them"}
	case len(found) > 1:
		return nil, &hinted{noRun{fmt.Errorf("%s names more than one run", id)}, "more of the id, such as " + found[0].ID}
	}
	return found[0], nil
}

// Which says which hosts of a run are meant.
type Which string

// A Which is an outcome, or one of these.
const (
	All    Which = "all"
	NotOK  Which = "not-ok"
	NotRun Which = "not-run" // never sent the command: unreachable or skipped
	Undone Which = "undone"  // not-run or failed, so that nothing is in doubt
)

// Whiches lists all that there are.
func Whiches() []Which {
	list := []Which{All, NotOK, NotRun, Undone}
	for _, o := range scheduler.Outcomes {
		list = append(list, Which(o))
	}
	return list
}

// Select gives the names of those hosts of a run, in its order.
func (s *Store) Select(ctx context.Context, run *Run, which Which) ([]string, error) {
	names, err := s.Hosts(ctx, run)
	if err != nil || which == All {
		return names, err
	}
	where, args := "outcome = ?", []any{run.seq, string(which)}
	switch which {
	case NotOK:
		where, args = "outcome <> 'ok'", args[:1]
	case Undone:
		where, args = "outcome IN ('unreachable', 'skipped', 'failed')", args[:1]
	case NotRun:
		where, args = "outcome IN ('unreachable', 'skipped')", args[:1]
	}
	rows, err := s.db.QueryContext(ctx, "SELECT pos FROM results WHERE run = ? AND "+where+" ORDER BY pos", args...)
	if err != nil {
		return nil, reading(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var pos int
		if err := rows.Scan(&pos); err != nil {
			return nil, reading(err)
		}
		if pos >= len(names) {
			return nil, &hinted{fmt.Errorf("read record: host %d of %d", pos+1, len(names)), damagedHint}
		}
		list = append(list, names[pos])
	}
	return list, reading(rows.Err())
}

// reading is an error of looking things up.
func reading(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("read record: %w", advised(err))
}

// ErrNoRun is what the error of a name that means no run is (errors.Is).
var ErrNoRun = errors.New("no such run")

type noRun struct{ error }

func (noRun) Is(target error) bool { return target == ErrNoRun }
