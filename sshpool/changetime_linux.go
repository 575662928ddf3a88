package sshpool

import (
	"io/fs"
	"syscall"
)

// changeTime is when anything about the file changed; see inode(7).
func changeTime(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
