package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openHistory(t *testing.T, path string) *History {
	t.Helper()
	h, err := OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func all(h *History) string {
	var lines []string
	for i := range h.Len() {
		lines = append(lines, h.At(i))
	}
	return strings.Join(lines, "|")
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "fleet", "history")
	one, two := openHistory(t, path), openHistory(t, path)
	for _, line := range []string{"uptime", "uptime", " secret", "", "df -h", "uptime"} {
		one.Add(line)
	}
	two.Add("from another shell")
	if got, want := all(one), "uptime|df -h|uptime"; got != want {
		t.Errorf("history is %q, want %q", got, want)
	}
	if got, want := all(openHistory(t, path)), "from another shell|uptime|df -h|uptime"; got != want {
		t.Errorf("history of the next shell is %q, want %q", got, want)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", p, info.Mode(), err, want)
		}
	}
}

// TestHistoryOfOthers reads a file that fleet did not write: open to all, and
// with bytes that must not reach a terminal.
func TestHistoryOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte("good\nbad \x1b[2J\nbad \xff\n\nlast"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := openHistory(t, path)
	if got := all(h); got != "last|good" {
		t.Errorf("history is %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := openHistory(t, path)
	line := strings.Repeat("x", 1000)
	for i := range 3000 {
		h.Add(fmt.Sprintf("%s %d", line, i))
	}
	if h.Len() != historyLines || !strings.HasSuffix(h.At(0), " 2999") {
		t.Errorf("%d lines, the last is %.20q", h.Len(), h.At(0))
	}
	again := openHistory(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Size() > historyBytes+1<<16 || info.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes, %v, %v", info.Size(), info.Mode(), err)
	}
	if again.Len() != historyLines || again.At(0) != h.At(0) || again.At(999) != h.At(999) {
		t.Errorf("%d lines after the cut", again.Len())
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// TestHistoryWithoutFile goes on where nothing can be kept.
func TestHistoryWithoutFile(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := OpenHistory(filepath.Join(blocked, "history"))
	if err == nil {
		t.Error("no error")
	}
	h.Add("uptime")
	if all(h) != "uptime" || h.Close() != nil {
		t.Errorf("history is %q", all(h))
	}
}
