//go:build !unix

package main

import (
	"errors"
	"os"
)

func leaveTerminal() error { return errors.New("not supported on this system") }

func closeOnExec(*os.File) {}
