//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import "golang.org/x/sys/unix"

// forget drops what was typed ahead; tty(4) has TIOCFLUSH take which queues, and 1
// (FREAD) is that of input.
func forget(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, 1) }
