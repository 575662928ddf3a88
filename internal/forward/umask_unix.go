//go:build unix

package forward

import "syscall"

// privateSockets lets sockets be made that only their owner can connect to, as
// ssh makes them (ssh_config(5), StreamLocalBindMask), until undone. It is of
// the whole process.
func privateSockets() (undo func()) {
	before := syscall.Umask(0o177)
	return func() { syscall.Umask(before) }
}
