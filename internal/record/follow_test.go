package record

import (
	"context"
	"strings"
	"testing"
	"time"

	"fleet/internal/redact"
	"fleet/scheduler"
)

// TestFollow follows a host from its middle: the store has what came before, the
// follower is told the rest, and neither has the secret.
func TestFollow(t *testing.T) {
	const canary = "c4n4ry-s3cret"
	ctx := context.Background()
	secrets := &redact.Set{}
	secrets.Add([]byte(canary))
	tp := taping(t, Config{Dir: t.TempDir(), Secrets: secrets}, "a", "b")
	tp.begin("a", "b")
	s := reopened(t, tp.cfg.Dir)
	before, after := noise(pieceSize+1000)+"then "+canary, " and "+canary+noise(pieceSize)
	tp.inPieces("a", before, 30_000)
	f, err := tp.Follow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []byte
	take := func(c Chunk) error {
		if c.Host != "a" || c.At > int64(len(got)) || c.Missed > 0 {
			t.Fatalf("%s: a chunk at %d, where %d bytes are known and %d are missing", c.Host, c.At, len(got), c.Missed)
		}
		if end := c.At + int64(len(c.Data)); end > int64(len(got)) {
			got = append(got, c.Data[int64(len(got))-c.At:]...)
		}
		return nil
	}
	if err := s.Partial(ctx, find(t, s, "last"), take); err != nil {
		t.Fatal(err)
	}
	tp.inPieces("a", after, 30_000)
	tp.end("a", scheduler.OK, "")
	want := strings.ReplaceAll(before+after, canary, redact.Mark)
	for len(got) < len(want) {
		chunks, err := f.Next(ctx)
		if err != nil || len(chunks) == 0 {
			t.Fatalf("%v after %d of %d bytes", err, len(got), len(want))
		}
		for _, c := range chunks {
			take(c) //nolint:errcheck // it has none
		}
	}
	if string(got) != want {
		t.Error("what was followed is not what was written")
	}
	tp.finish()
	if chunks, err := f.Next(ctx); err != nil || len(chunks) > 0 {
		t.Errorf("after the end: %v, %v", chunks, err)
	}
}

// TestSlowFollower has a follower that does not read: the host is not held up, and
// the follower is told how much it missed.
func TestSlowFollower(t *testing.T) {
	ctx := context.Background()
	tp := taping(t, Config{Dir: t.TempDir()}, "a")
	tp.begin("a")
	f, err := tp.Follow(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	long := strings.Repeat("a line of some length\n", 5*mostFollowed/22)
	tp.inPieces("a", long, 30_000)
	told := int64(0)
	count := func() (missed int64) {
		chunks, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chunks {
			told += int64(len(c.Data))
			missed += c.Missed
		}
		return missed
	}
	if missed := count(); missed != 0 || told > mostFollowed || told < mostFollowed-pieceSize {
		t.Errorf("told %d bytes at first, and %d missed", told, missed)
	}
	tp.write("a", "more")
	if missed := count(); missed != int64(len(long))+4-told {
		t.Errorf("%d of %d bytes are told to be missed, and %d were told", missed, len(long)+4, told)
	}
	again, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if chunks, err := f.Next(again); err == nil {
		t.Errorf("more: %v", chunks)
	}
	tp.end("a", scheduler.OK, "")
	tp.finish()
}
