package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A run that lives has a file live/ID in the store's folder, and holds a lock on
// it that the kernel drops with the process. So a run without an ending whose
// lock is free has died, however it did.

const (
	modeLive = 0o600
	// modeUnsure is the mode of the file of a run that went on without a store:
	// which hosts were begun is not known. To change it takes no room on the disk.
	modeUnsure = 0o400
)

// life is the file of one living run.
type life struct{ file *os.File }

func (s *Store) livePath(id string) string { return filepath.Join(s.dir, "live", id) }

// Socket is where the process of a running run may be asked for something, below
// the store's folder dir.
func Socket(dir, id string) string { return filepath.Join(dir, "live", id+".socket") }

// Socket is where the process of a running run may be asked for something.
func (s *Store) Socket(run *Run) string { return Socket(s.dir, run.ID) }

// PID is the process of a running run; 0 if it cannot be told.
func (s *Store) PID(run *Run) (pid int) {
	text, err := os.ReadFile(s.livePath(run.ID))
	if err != nil {
		return 0
	}
	fmt.Sscan(string(text), &pid) //nolint:errcheck // 0 then
	return pid
}

// live makes the file of a run, and takes its lock.
func (s *Store) live(id string) (*life, error) {
	if err := os.MkdirAll(filepath.Join(s.dir, "live"), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(s.livePath(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, modeLive)
	if err != nil {
		return nil, err
	}
	if err := tryLock(file); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), os.Remove(file.Name()), file.Close())
	}
	fmt.Fprintln(file, os.Getpid()) //nolint:errcheck // for people; a full disk has no room for it, and the lock counts
	return &life{file}, nil
}

// unsure says that from now on hosts are begun of which the store does not know.
func (l *life) unsure() error { return l.file.Chmod(modeUnsure) }

// end says that the run has ended, and that the store knows it.
func (l *life) end() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}

// died says of a run without an ending that its process has died, and whether
// the store knows all hosts that were begun. release is then to be called, with
// whether the run was settled: until that the file says what is known. Several may
// look at once: none is taken for the run.
func (s *Store) died(id string) (died, sure bool, release func(settled bool), err error) {
	file, err := os.OpenFile(s.livePath(id), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, false, func(bool) {}, nil
	}
	if err != nil {
		return false, false, nil, err
	}
	if err := tryShare(file); err != nil {
		file.Close()
		if errors.Is(err, errLocked) {
			err = nil
		}
		return false, false, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return false, false, nil, err
	}
	return true, info.Mode().Perm() != modeUnsure, func(settled bool) {
		if settled {
			os.Remove(file.Name())       //nolint:errcheck // a file that stays does no harm
			os.Remove(Socket(s.dir, id)) //nolint:errcheck // the same
		}
		file.Close()
	}, nil
}

// errLocked is what tryLock returns where another holds the lock.
var errLocked = errors.New("locked by another process")

// lockFile waits for the lock of the file of that name.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := tryLock(file)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, errLocked), file.Close())
		}
	}
}
