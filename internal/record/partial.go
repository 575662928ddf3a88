package record

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
)

// What hosts had written when the process of their run died is made outputs of
// theirs, as far as it had come to the store.

// remains is what is left of one stream.
type remains struct {
	id   int64 // of the output
	kept int64 // bytes of it
}

// pick makes outputs of what partial has of a run, by position and stream.
func pick(ctx context.Context, tx *sql.Tx, seq int64) (map[int][2]remains, error) {
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT pos, stream FROM partial WHERE run = ?", seq)
	if err != nil {
		return nil, err
	}
	var places [][2]int
	for rows.Next() {
		var p [2]int
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		places = append(places, p)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	left := make(map[int][2]remains, len(places))
	for _, p := range places {
		r, err := pickStream(ctx, tx, seq, p[0], p[1])
		if err != nil {
			return nil, err
		}
		both := left[p[0]]
		both[p[1]-1] = r
		left[p[0]] = both
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM partial WHERE run = ?", seq)
	return left, err
}

// pickStream makes an output of the pieces of one stream, and of the tail behind
// them.
func pickStream(ctx context.Context, tx *sql.Tx, seq int64, pos, stream int) (r remains, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT at, part, tail, size FROM partial LEFT JOIN outputs ON id = part
		WHERE run = ? AND pos = ? AND stream = ? ORDER BY at`, seq, pos, stream)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	var parts []int64
	var tail []byte
	for rows.Next() {
		var at int64
		var part, size sql.NullInt64
		var text []byte
		if err := rows.Scan(&at, &part, &text, &size); err != nil {
			return r, err
		}
		if at != r.kept { // something before it did not come to the store
			break
		}
		if part.Valid {
			parts = append(parts, part.Int64)
		}
		tail = append(tail, text...)
		r.kept += size.Int64 + int64(len(text))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return r, err
	}
	if len(tail) > 0 {
		coding, data := squeeze(tail)
		id, _, err := use(ctx, tx, sha256.Sum256(tail), int64(len(tail)), coding, data)
		if err != nil {
			return r, err
		}
		parts = append(parts, id)
	}
	switch len(parts) {
	case 0:
		return remains{}, nil
	case 1:
		r.id = parts[0]
		return r, nil
	}
	ids := packIDs(parts)
	id, known, err := use(ctx, tx, sumOfCut(ids), r.kept, list, ids)
	if err != nil || !known {
		r.id = id
		return r, err
	}
	l, err := newLoosener(ctx, tx)
	if err != nil {
		return r, err
	}
	defer l.close()
	for _, part := range parts { // the output has them already
		if err := l.less(ctx, part, 1); err != nil {
			return r, err
		}
	}
	r.id = id
	return r, nil
}

// use gives the id of a content with one use more, and stores it if it is not
// known.
func use(ctx context.Context, tx *sql.Tx, sum [32]byte, size int64, coding int, data []byte) (id int64, known bool, err error) {
	err = tx.QueryRowContext(ctx, "UPDATE outputs SET refs = refs + 1 WHERE sum = ? RETURNING id", sum[:]).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, true, err
	}
	err = tx.QueryRowContext(ctx, "INSERT INTO outputs (sum, size, refs, coding, data) VALUES (?, ?, 1, ?, ?) RETURNING id", sum[:], size, coding, data).Scan(&id)
	return id, false, err
}
