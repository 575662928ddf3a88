//go:build unix

package record

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock of a file, until the file is closed, or returns
// errLocked at once. It belongs to the open file, not to the process (flock(2)).
func tryLock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// tryShare is tryLock for a lock that others may share.
func tryShare(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		default:
			return err
		}
	}
}
