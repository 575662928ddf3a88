package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hush turns echo off and drops what was typed ahead, so that nothing typed in
// answer to a question yet to be asked is shown (readpassphrase(3) does so too).
func hush(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	t.Lflag |= unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, unix.TCSETSF, t)
}

// forget drops what was typed ahead, so that a key pressed once too often does not
// answer the next question, which nobody has seen.
func forget(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }

// readHidden reads a line from a hushed terminal. It leaves the terminal's mode
// alone, which somebody else may just be restoring.
func readHidden(tty *os.File) ([]byte, error) { return readLine(tty) }
