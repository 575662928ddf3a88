//go:build !unix

package lab

import (
	"context"
	"io"
)

// realShell needs /bin/sh.
func realShell(_ context.Context, c *Command) Exit {
	io.WriteString(c.Stderr, "no shell on this system\n")
	return Exit{Status: 126}
}
