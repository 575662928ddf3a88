package main

import "golang.org/x/sys/unix"

// hush turns echo off and drops what was typed ahead, so that nothing typed in
// answer to a question yet to be asked is shown (readpassphrase(3) does so too).
func hush(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, unix.TCSETSF, t)
}
