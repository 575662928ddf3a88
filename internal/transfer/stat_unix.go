//go:build unix

package transfer

import (
	"fmt"
	"io/fs"
	"syscall"
)

// systemStat is what the system says of a file beyond fs.FileInfo.
func systemStat(info fs.FileInfo) (id string, links uint64, blocks int64, uid, gid uint32, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", 0, 0, 0, 0, false
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), uint64(st.Nlink), int64(st.Blocks), st.Uid, st.Gid, true
}
