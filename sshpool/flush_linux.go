package sshpool

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginFlush has the system begin to write a part of a file to its disk. Where it
// cannot, Sync does all in the end.
func beginFlush(f *os.File, at, n int64) {
	unix.SyncFileRange(int(f.Fd()), at, n, unix.SYNC_FILE_RANGE_WRITE)
}
