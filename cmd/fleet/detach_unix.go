//go:build unix

package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// leaveTerminal puts this process into a session of its own, without a terminal:
// what happens to the old one does not reach it (setsid(2)). Standard input stays
// if it is a file or a pipe, for a run that reads it.
func leaveTerminal() error {
	if _, err := unix.Setsid(); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGHUP)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for _, fd := range []int{0, 1, 2} {
		if fd == 0 && !term.IsTerminal(fd) {
			continue
		}
		err = errors.Join(err, dup2(int(null.Fd()), fd))
	}
	return err
}

// closeOnExec keeps f from what this process starts.
func closeOnExec(f *os.File) { unix.CloseOnExec(int(f.Fd())) }
