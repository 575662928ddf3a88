package record

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/redact"
	"fleet/scheduler"
)

// noise is text that does not compress and that no other has.
func noise(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

// inPieces has a host write a text in many writes.
func (tp *taped) inPieces(host, text string, size int) {
	for ; len(text) > size; text = text[size:] {
		tp.write(host, text[:size])
	}
	tp.write(host, text)
}

// ended gives a host a result behind what it wrote.
func (tp *taped) ended(host string, written int) {
	tp.Result(event.Result{Host: host, Outcome: scheduler.OK, ExitCode: new(int), StdoutBytes: int64(written), Time: time.Now()})
}

// stdouts are what the store has of what each host of a run wrote.
func stdouts(t *testing.T, s *Store, run *Run) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		var b bytes.Buffer
		if r.Stdout != 0 {
			if err := s.Output(context.Background(), r.Stdout, &b); err != nil {
				return err
			}
		}
		if r.Kept != nil && r.Kept.Stdout != int64(b.Len()) {
			t.Errorf("%s: %d bytes are called kept, and %d are there", r.Host, r.Kept.Stdout, b.Len())
		}
		texts[r.Host] = b.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// awaitPartial waits until the store has so much of outputs that have not ended.
func awaitPartial(t *testing.T, s *Store, rows int) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	for n := -1; n < rows; <-time.After(time.Millisecond) {
		if err := s.db.QueryRow("SELECT count(*) FROM partial").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(limit) {
			t.Fatalf("the store has %d rows of what hosts write, and not %d", n, rows)
		}
	}
}

// TestLongOutputIsWhole has hosts write far more than one piece, two of them the
// same: all of it is there, and what is equal once.
func TestLongOutputIsWhole(t *testing.T) {
	dir := t.TempDir()
	first := noise(5*pieceSize + 1234)
	texts := map[string]string{"a": first, "b": first, "c": first[:2*pieceSize] + noise(pieceSize), "d": noise(pieceSize), "e": noise(pieceSize + 1)}
	tp := taping(t, Config{Dir: dir}, "a", "b", "c", "d", "e")
	tp.begin("a", "b", "c", "d", "e")
	for host, text := range texts {
		tp.inPieces(host, text, 10_007)
		tp.ended(host, len(text))
	}
	tp.finish()
	s := reopened(t, dir)
	for host, got := range stdouts(t, s, find(t, s, "last")) {
		if got != texts[host] {
			t.Errorf("%s: %d bytes are not the %d that it wrote", host, len(got), len(texts[host]))
		}
	}
	var stored int
	want := len(first) + pieceSize + len(texts["d"]) + len(texts["e"])
	if err := s.db.QueryRow("SELECT sum(length(data)) FROM outputs").Scan(&stored); err != nil || stored < want || stored > want+1000 {
		t.Errorf("%d bytes are stored, %v, for %d that differ", stored, err, want)
	}
	if before, err := s.Runs(context.Background(), Filter{}); err != nil || s.Delete(context.Background(), before[0]) != nil {
		t.Fatal(err)
	}
	if err := s.db.QueryRow("SELECT count(*) FROM outputs").Scan(&stored); err != nil || stored != 0 {
		t.Errorf("%d outputs are left without a run: %v", stored, err)
	}
}

// TestBudget has one host write more than the run may keep: it is told once, the
// record says how much there is, and others have their outputs.
func TestBudget(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir, Most: 16 * pieceSize}, "a", "b", "c")
	tp.begin("a", "b", "c")
	long := noise(40 * pieceSize)
	tp.inPieces("a", long, 30_000)
	tp.ended("a", len(long))
	tp.inPieces("b", long[:30*pieceSize], 30_000)
	tp.ended("b", 30*pieceSize)
	tp.end("c", scheduler.OK, "short")
	if err := tp.Close(); err == nil || !strings.Contains(err.Error(), "beyond 512 KiB") || len(tp.warns) != 1 {
		t.Errorf("%v, told %d times", err, len(tp.warns))
	}
	s := reopened(t, dir)
	run := find(t, s, "last")
	texts := stdouts(t, s, run)
	const most = 14 * pieceSize // seven eighths
	if texts["a"] != long[:most] || texts["b"] != long[:most] || texts["c"] != "short" {
		t.Errorf("kept %d, %d, %q; want %d of each that is long", len(texts["a"]), len(texts["b"]), texts["c"], most)
	}
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		if cut := r.Host != "c"; r.Truncated != cut || r.Unstored || cut != (r.Kept != nil) {
			t.Errorf("%s: truncated %v, unstored %v, kept %+v of %d", r.Host, r.Truncated, r.Unstored, r.Kept, r.StdoutBytes)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCrashWithinOutputs has the process of a run go while hosts write: what had
// come to the store is theirs, and marked.
func TestCrashWithinOutputs(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b", "c", "d", "e")
	tp.begin("a", "b", "c", "d")
	long := noise(3*pieceSize + 777)
	tp.inPieces("a", long, 50_000)
	tp.inPieces("b", long, 50_000)
	tp.inPieces("d", long, 50_000)
	tp.ended("d", len(long))
	tp.write("c", "one line\n")
	tp.queueTails(time.Now())
	tp.write("c", "another\n")
	tp.queueTails(time.Now())
	tp.write("c", "which is lost")
	if err := tp.Close(); err != nil { // no Finish: the lock goes, the ending is missing
		t.Fatal(err)
	}
	s := reopened(t, dir)
	run := find(t, s, tp.id)
	texts := stdouts(t, s, run)
	if texts["a"] != long || texts["b"] != long || texts["d"] != long || texts["c"] != "one line\nanother\n" || texts["e"] != "" {
		t.Errorf("%d, %d, %d of %d bytes, %q, %q", len(texts["a"]), len(texts["b"]), len(texts["d"]), len(long), texts["c"], texts["e"])
	}
	got := ""
	err := s.Results(context.Background(), run, 0, func(r *Result) error {
		got += fmt.Sprintf("%s %s %v %v %d\n", r.Host, r.Outcome, r.Kept != nil && r.Kept.Partial, r.Truncated, r.StdoutBytes)
		return nil
	})
	n := len(long)
	if want := fmt.Sprintf("a lost true true %d\nb lost true true %d\nc lost true true 17\nd ok false false %d\ne skipped false false 0\n", n, n, n); err != nil || got != want {
		t.Errorf("%v: got\n%swant\n%s", err, got, want)
	}
	var left int
	if err := s.db.QueryRow("SELECT count(*) FROM partial").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d pieces are left over, %v", left, err)
	}
}

// TestEarlierTryIsForgotten has a host tried again after it wrote much.
func TestEarlierTryIsForgotten(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a")
	tp.begin("a")
	tp.inPieces("a", noise(3*pieceSize), 50_000)
	tp.queueTails(time.Now())
	tp.Resent("a")
	tp.end("a", scheduler.OK, "the second try")
	tp.finish()
	s := reopened(t, dir)
	if got := outcomes(t, s, find(t, s, "last")); got[0] != "a ok the second try" {
		t.Errorf("%.100q", got)
	}
	var n int
	if err := s.db.QueryRow("SELECT count(*) FROM outputs").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d outputs, %v: those of the first try are to be gone", n, err)
	}
}

// TestFullDiskWithinOutput fills the disk while a host writes: what was there by
// then stays, and the record says how much it is.
func TestFullDiskWithinOutput(t *testing.T) {
	dir := t.TempDir()
	tp := taping(t, Config{Dir: dir}, "a", "b")
	tp.begin("a", "b")
	s := reopened(t, dir)
	long := noise(30 * pieceSize)
	tp.inPieces("a", long[:20*pieceSize], 50_000)
	awaitPartial(t, s, 20)
	var pages int
	if err := s.db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	tp.pages.Store(int64(pages) + 6) // the rest has no room
	tp.inPieces("a", long[20*pieceSize:], 50_000)
	tp.ended("a", len(long))
	tp.end("b", scheduler.OK, "")
	if err := tp.Close(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("%v", err)
	}
	run := find(t, s, tp.id)
	if err := s.Refresh(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	if got := stdouts(t, s, run)["a"]; got != long[:20*pieceSize] {
		t.Errorf("%d bytes are there, of which %d were before the disk was full", len(got), 20*pieceSize)
	}
	if got := outcomes(t, s, run); !strings.HasSuffix(got[0], fmt.Sprintf(" (%d of %d)", 20*pieceSize, len(long))) || got[1] != "b ok" {
		t.Errorf("%.20q, %q", got[0][max(0, len(got[0])-50):], got[1])
	}
}

// TestSecretsOfLongOutputs searches all files of a store for a canary while hosts
// write, at borders of writes and pieces, and after the process has died.
func TestSecretsOfLongOutputs(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	dir := t.TempDir()
	secrets := &redact.Set{}
	secrets.Add([]byte(canary))
	tp := taping(t, Config{Dir: dir, Secrets: secrets}, "a", "b")
	tp.begin("a", "b")
	text := strings.Repeat("x", pieceSize-5) + canary + strings.Repeat("y", pieceSize) + canary
	tp.inPieces("a", text, 17)
	tp.inPieces("b", strings.Repeat("a line\n", 100)+"then "+canary, 5)
	tp.queueTails(time.Now())
	s := reopened(t, dir)
	awaitPartial(t, s, 3) // two pieces, and what is clear of b
	search := func(when string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			for n := 4; n <= len(canary); n++ {
				if bytes.Contains(text, []byte(canary[:n])) {
					t.Errorf("%s, %s holds %q of the secret", when, path, canary[:n])
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	search("while hosts write")
	if err := tp.Close(); err != nil {
		t.Fatal(err)
	}
	search("after the end")
	run := find(t, s, "last")
	if err := s.Refresh(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	if got := stdouts(t, s, run)["a"]; !strings.HasPrefix(strings.ReplaceAll(text, canary, redact.Mark), got) || len(got) < 2*pieceSize-len(canary)*7 {
		t.Errorf("%d bytes are left", len(got))
	}
	search("after it was settled")
}
