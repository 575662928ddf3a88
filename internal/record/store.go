package record

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the version of the store that this fleet writes: the number of the
// last migration, which the store has as its user_version.
const schema = 4

// lockWait is how long another process may hold the store before we do without
// it. Tests wait less.
var lockWait = 5 * time.Second

// Store is the open record of one user. Its methods are safe for concurrent use,
// also by several processes. Close it.
type Store struct {
	dir string
	db  *sql.DB

	mu        sync.Mutex
	unsettled error // of the last look
}

// ErrNone is the error of a store that was never written to.
var ErrNone = errors.New("nothing is recorded yet")

// Open opens the store in dir for looking things up; it is ErrNone if there is
// none. Runs whose process died are settled by the way; where the file cannot be
// written to, Unsettled says so.
func Open(ctx context.Context, dir string) (*Store, error) {
	if _, err := os.Stat(filepath.Join(dir, "fleet.db")); errors.Is(err, fs.ErrNotExist) {
		return nil, &hinted{opening(filepath.Join(dir, "fleet.db"), ErrNone), "each 'fleet run' is recorded, but with --no-record"}
	}
	s, err := open(ctx, dir)
	if err != nil {
		if s = frozen(ctx, dir); s == nil {
			return nil, err
		}
	}
	s.look(ctx)
	return s, nil
}

// frozen opens the store for reading only, where nothing can be written beside it,
// as on a full disk: to share it with others SQLite needs a file there. It is nil if
// that does not work either, or would not show all: what stands in the log only is
// not seen so.
func frozen(ctx context.Context, dir string) *Store {
	s := &Store{dir: dir}
	if info, err := os.Stat(s.path() + "-wal"); err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := url.URL{Scheme: "file", OmitHost: true, Path: s.path(), RawQuery: url.Values{"mode": {"ro"}, "immutable": {"1"}}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil
	}
	s.db = db
	if at, err := s.version(ctx); err != nil || at != schema {
		db.Close()
		return nil
	}
	return s
}

// look settles runs whose process has died, as far as that can be.
func (s *Store) look(ctx context.Context) {
	err := s.settle(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsettled = err
}

// Unsettled says why runs whose process has died could not be given their ending,
// and so are still called running; nil if there are none.
func (s *Store) Unsettled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsettled == nil {
		return nil
	}
	return advised(s.unsettled)
}

// opened are the files that this process has had SQLite open. It must not open one
// of them itself: to close it gives up the locks that SQLite has on it
// (sqlite.org/howtocorrupt.html, 2.2), and others would take us for gone.
var opened struct {
	sync.Mutex
	paths map[string]bool
}

// open opens the store in dir, and makes it if it is not there.
func open(ctx context.Context, dir string) (*Store, error) {
	opened.Lock()
	defer opened.Unlock()
	s := &Store{dir: dir}
	is, err := s.makePrivate()
	if err == nil && is != shared {
		// One process at a time makes it what can be shared: for that SQLite has nobody
		// wait, whatever busy_timeout says.
		var unlock func()
		if unlock, err = s.lock(ctx); err == nil {
			defer unlock()
			is, err = s.makePrivate()
		}
	}
	if err != nil {
		return nil, opening(s.path(), err)
	}
	// The order counts: how long to wait for a lock stands before all that locks,
	// and auto_vacuum before the first table. Where there are tables it would only
	// write: each look would wait for whoever holds the store, and for the disk.
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds())}
	if is == empty {
		pragmas = append(pragmas, "auto_vacuum(incremental)")
	}
	pragmas = append(pragmas, "journal_mode(wal)", "synchronous(full)", "journal_size_limit(67108864)")
	options := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	name := url.URL{Scheme: "file", OmitHost: true, Path: s.path(), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, opening(s.path(), err)
	}
	s.db = db
	if err := s.migrate(ctx, is == shared); err != nil {
		db.Close()
		return nil, opening(s.path(), advised(err))
	}
	if opened.paths == nil {
		opened.paths = map[string]bool{}
	}
	opened.paths[s.path()] = true
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.dir, "fleet.db") }

// Close frees the file.
func (s *Store) Close() error { return s.db.Close() }

// lock has other processes wait that make the store, or bring it to a schema.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	return lockFile(ctx, filepath.Join(s.dir, "migrate.lock"))
}

// state is what the file is before SQLite has looked at it.
type state int

const (
	empty  state = iota // nothing is in it yet
	begun               // several processes at once cannot have it open
	shared              // they can: it has a write-ahead log
)

// makePrivate makes folder and file, for their owner only; SQLite gives the
// files beside it the mode of this one.
func (s *Store) makePrivate() (is state, err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return empty, err
	}
	info, err := os.Stat(s.path())
	known := err == nil && info.Size() > 0 && opened.paths[s.path()]
	if !known {
		if is, err = s.examine(); err != nil {
			return is, err
		}
	}
	for path, mode := range map[string]fs.FileMode{s.dir: 0o700, s.path(): 0o600} {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			return is, err
		}
	}
	if known {
		is = shared
	}
	return is, nil
}

// examine says what the file is, which is made if it is not there.
func (s *Store) examine() (state, error) {
	file, err := os.OpenFile(s.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return empty, err
	}
	defer file.Close()
	// The versions of the format for writing and for reading are 2 where there is a
	// write-ahead log (sqlite.org/fileformat2.html, 1.3.3).
	var head [20]byte
	switch n, err := file.ReadAt(head[:], 0); {
	case err != nil && err != io.EOF:
		return empty, err
	case n == 0:
		return empty, nil
	case n == len(head) && head[18] == 2 && head[19] == 2:
		return shared, nil
	}
	return begun, nil
}

// migrate brings the store to this fleet's schema. One that is there already,
// the usual case, costs one look. takeLock says that the caller has not the lock.
func (s *Store) migrate(ctx context.Context, takeLock bool) error {
	at, err := s.version(ctx)
	switch {
	case err != nil:
		return err
	case at == schema:
		return nil
	case at > schema:
		return &hinted{fmt.Errorf("written by a newer fleet (schema %d, this one knows %d)", at, schema), "use the newer fleet; it is at " + s.path()}
	}
	if takeLock {
		unlock, err := s.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		if at, err = s.version(ctx); err != nil || at >= schema {
			return err
		}
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func (s *Store) version(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&n)
	return n, err
}

// damagedHint says what to do with a damaged store.
const damagedHint = "the record is damaged: move fleet.db and the files beside it away from $XDG_STATE_HOME/fleet, else ~/.local/state/fleet, and a new one is made"

// advised adds the way out to an error of SQLite, where there is one.
func advised(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "not a database"), strings.Contains(text, "malformed"):
		return &hinted{err, damagedHint}
	case strings.Contains(text, "disk is full"):
		return &hinted{err, "no room is left where the record is; $XDG_STATE_HOME may name another place"}
	case strings.Contains(text, "disk I/O error"), strings.Contains(text, "readonly database"):
		return &hinted{err, "most likely no room is left where the record is; $XDG_STATE_HOME may name another place"}
	case strings.Contains(text, "database is locked"):
		return &hinted{err, "another program has held the file for longer than " + lockWait.String()}
	}
	return err
}
