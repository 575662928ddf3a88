//go:build !linux

package sshpool

import "io/fs"

func changeTime(fs.FileInfo) int64 { return 0 }
