package render

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"fleet/internal/event"
	"fleet/scheduler"
)

// inDir gives the names of files in dir with their content.
func inDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

func newToDir(t *testing.T, dir string, errs *buffer) *toDir {
	t.Helper()
	var out buffer
	next, err := New("quiet", Options{Out: &out, Err: errs, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ToDir(dir, next)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*toDir)
}

// Many hosts write at once, in pieces of all sizes: the files hold exactly that.
func TestToDirKeepsExactBytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	var errs buffer
	s := newToDir(t, dir, &errs)
	s.Start(event.Run{ID: runID, Hosts: 40})
	var streams sync.WaitGroup
	want := map[string]string{}
	for i := range 20 {
		host := fmt.Sprintf("web%02d", i)
		for k, name := range []event.Stream{event.Stdout, event.Stderr} {
			var data []byte
			r := rand.New(rand.NewPCG(uint64(i), uint64(k)))
			for range r.IntN(100_000) {
				data = append(data, byte(r.Uint32()))
			}
			want[host+dirEnds[k]] = string(data)
			streams.Go(func() {
				for len(data) > 0 {
					n := min(len(data), 1+r.IntN(40_000))
					s.Output(event.Output{Host: host, Stream: name, Data: data[:n]})
					data = data[n:]
				}
			})
		}
	}
	streams.Wait()
	for name, text := range inDir(t, dir) {
		if !strings.HasPrefix(name, ".") {
			t.Errorf("%s of %d bytes is there before its host has its result", name, len(text))
		}
	}
	for i := range 20 {
		s.Result(event.Result{Host: fmt.Sprintf("web%02d", i), Outcome: scheduler.OK})
	}
	if err := s.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	got := inDir(t, dir)
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %d bytes, want %d equal ones", name, len(got[name]), len(text))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "web00.out")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v, %v", info, err)
	}
}

// A host that ran has both files; one that did not has none, not even old ones.
func TestToDirLeavesNoOldAnswers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"silent.out", "away.out", "away.err", "skipped.out", "lost.out", "unsent.out", "ended.out", "other.out", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var errs buffer
	s := newToDir(t, dir, &errs)
	s.Start(event.Run{ID: runID})
	s.Output(event.Output{Host: "lost", Stream: event.Stdout, Data: []byte("half")})
	for host, outcome := range map[string]scheduler.Outcome{
		"silent": scheduler.OK, "away": scheduler.Unreachable, "skipped": scheduler.Skipped, "lost": scheduler.Lost,
		"unsent": scheduler.Canceled, "ended": scheduler.Canceled, // while it connected, and while its command ran
	} {
		r := event.Result{Host: host, Outcome: outcome}
		if outcome != scheduler.OK {
			r.Cause = &scheduler.Cause{Kind: scheduler.KindRefused}
		}
		if host == "ended" {
			r.Kill = event.Killed
		}
		s.Result(r)
	}
	if err := s.Finish(event.Summary{}); err != nil {
		t.Error(err)
	}
	want := map[string]string{"silent.out": "", "silent.err": "", "ended.out": "", "ended.err": "", "lost.out": "half", "lost.err": "", "other.out": "old", "notes.txt": "old"}
	if got := inDir(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// A full disk ends nothing, is told once, and leaves no half or old file.
func TestToDirSurvivesAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b.out"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs buffer
	s := newToDir(t, dir, &errs)
	room := 50_000
	s.append = func(name string, p []byte) error {
		if room -= len(p); room < 0 {
			appendFile(name, p[:max(0, len(p)+room)]) //nolint:errcheck // it is the disk that is full
			return &os.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
		}
		return appendFile(name, p)
	}
	s.Start(event.Run{ID: runID})
	for _, host := range []string{"a", "b", "c"} {
		for range 3 {
			s.Output(event.Output{Host: host, Stream: event.Stdout, Data: bytes.Repeat([]byte(host), 10_000)})
		}
		s.Result(event.Result{Host: host, Outcome: scheduler.OK})
	}
	err := s.Finish(event.Summary{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "--out-dir: output of 2 hosts is not in "+dir) {
		t.Errorf("error %v", err)
	}
	if got := inDir(t, dir); len(got) != 2 || got["a.out"] != strings.Repeat("a", 30_000) {
		t.Errorf("files %v", len(got))
	}
	if n := strings.Count(errs.String(), "no space left"); n != 1 {
		t.Errorf("told %d times: %s", n, &errs)
	}
}

func TestToDirRefusesWhatIsNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/dev/null"} {
		if _, err := ToDir(dir, nil); err == nil {
			t.Errorf("%s was taken", dir)
		}
	}
}

// Names of files stay in their folder, are not hidden, and no two hosts share one.
func TestFileNames(t *testing.T) {
	for host, want := range map[string]string{
		"web01": "web01", "web01.example.com": "web01.example.com", "::1": "::1", "a@b:22": "a@b:22",
		"..": "%2E.", ".x": "%2Ex", "-rf": "%2Drf", "a/b": "a%2Fb", "a b": "a%20b", "a%2Fb": "a%252Fb", "ü": "%C3%BC", "": "", "a\x00\n": "a%00%0A",
	} {
		if got := fileName(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	long, other := strings.Repeat("x", 1000), strings.Repeat("x", 999)+"y"
	if a, b := fileName(long), fileName(other); a == b || len(a) != nameMax || strings.Contains(a, "/") {
		t.Errorf("%q, %q", a, b)
	}
}
