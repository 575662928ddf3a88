//go:build unix

package main

import (
	"math"
	"syscall"
)

// openFiles is how many files this process may have open; Go has raised the
// soft limit to the hard one by now.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}
