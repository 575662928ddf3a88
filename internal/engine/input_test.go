package engine

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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
			if err := in.Err(); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := NewInput(mustOpen(t, t.TempDir())); err == nil {
		t.Error("a folder was taken")
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
