//go:build !linux

package main

import (
	"os"

	"golang.org/x/term"
)

// hush does nothing here: echo goes off just after the question is asked.
func hush(int) error { return nil }

// readHidden reads a line without echo.
func readHidden(tty *os.File) ([]byte, error) { return term.ReadPassword(int(tty.Fd())) }
