//go:build !unix

package transfer

import "io/fs"

func systemStat(fs.FileInfo) (id string, links uint64, blocks int64, uid, gid uint32, ok bool) {
	return "", 0, 0, 0, 0, false
}
