package engine

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// TestInput has many readers of a pipe and of a file, each of which gets all.
func TestInput(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 40_000)
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, from := range map[string]*os.File{"file": file, "pipe": r} {
		t.Run(name, func(t *testing.T) {
			in, err := NewInput(from)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			var readers sync.WaitGroup
			for range 8 {
				readers.Go(func() {
					if got, err := io.ReadAll(in.Reader()); err != nil || string(got) != text {
						t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
					}
				})
			}
			if name == "pipe" { // the readers wait, or come late
				io.WriteString(w, text) //nolint:errcheck // the readers would tell
				w.Close()
			}
			readers.Wait()
		})
	}
	if _, err := NewInput(mustOpen(t, t.TempDir())); err == nil {
		t.Error("a folder was taken")
	}
}

// TestInputBreaks wants no end of file where the end of the input was not met: the
// file grew shorter, the pipe could not be read on, or the run is over.
func TestInputBreaks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	short, err := NewInput(mustOpen(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 4); err != nil {
		t.Fatal(err)
	}
	broken := &Input{file: mustOpen(t, path), own: true}
	broken.more.L = &broken.mu
	broken.take(io.MultiReader(strings.NewReader(""), iotest.ErrReader(errors.New("no space left"))))
	closed, err := NewInput(mustOpen(t, path))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for want, in := range map[string]*Input{
		"read " + path + ": grew shorter while it was read": short, "no space left": broken, os.ErrClosed.Error(): closed,
	} {
		if _, err := io.ReadAll(in.Reader()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func mustOpen(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
