package sshpool

import (
	"io"
	"reflect"
	"sync"
)

// oneWriter has the two streams of a command take turns where they go to the
// same writer, as os/exec does.
func oneWriter(stdout, stderr io.Writer) (io.Writer, io.Writer) {
	if stdout == nil || stderr == nil || !reflect.TypeOf(stdout).Comparable() || !reflect.TypeOf(stderr).Comparable() || stdout != stderr {
		return stdout, stderr
	}
	w := &turnWriter{w: stdout}
	return w, w
}

// turnWriter lets one write at a time through.
type turnWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *turnWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}
