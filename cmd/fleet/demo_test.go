package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// fullWriter takes so many bytes and then no more.
type fullWriter struct{ room int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return 0, errors.New("no space left on device")
	}
	w.room -= len(p)
	return len(p), nil
}

// A demo that could not be shown is not a success, though its host that is down
// is one: neither where the answers are missing nor where only the end is.
func TestDemoUnshown(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const plenty = 1 << 20
	whole := &fullWriter{plenty}
	if code := (&env{stdin: strings.NewReader(""), stdout: whole, stderr: io.Discard, getenv: os.Getenv}).execute([]string{"demo"}); code != exitOK {
		t.Fatalf("status %d", code)
	}
	for _, room := range []int{0, 200, plenty - whole.room - 1} {
		var errs bytes.Buffer
		e := &env{stdin: strings.NewReader(""), stdout: &fullWriter{room}, stderr: &errs, getenv: os.Getenv}
		if code := e.execute([]string{"demo"}); code != exitInternal || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("room for %d bytes: status %d, %s", room, code, errs.String())
		}
	}
}
