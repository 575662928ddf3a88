package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

func TestAsk(t *testing.T) {
	for name, dir := range map[string]string{"short": t.TempDir(), "long": filepath.Join(t.TempDir(), strings.Repeat("long", 40))} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "socket")
			asked := make(chan string, 10)
			s, err := Listen(path, func(what string) error {
				asked <- what
				if what == "no" {
					return errors.New("not that")
				}
				return nil
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			ctx := context.Background()
			if err := Ask(ctx, path, "yes"); err != nil || <-asked != "yes" {
				t.Error(err)
			}
			if err := Ask(ctx, path, "no"); err == nil || err.Error() != "not that" {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := Ask(ctx, path, "yes"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// TestSilence has a peer that says nothing, or nothing of use.
func TestSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	s, err := Listen(path, func(string) error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	noisy, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := noisy.Write([]byte("GET / HTTP/1.1\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := noisy.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes in answer to noise", n)
	}
	if err := Ask(context.Background(), path, "yes"); err != nil {
		t.Errorf("beside them: %v", err)
	}
	silent.Close()
	noisy.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	never, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer never.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Ask(ctx, path, "yes"); err == nil {
		t.Error("an answer from a server that gives none")
	}
}

// TestFeed follows a feed until the server closes, beside one that nobody reads.
func TestFeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	ended := make(chan error, 2)
	feeds := map[string]Feed{"count": func(ctx context.Context, send func(any) error) (err error) {
		for n := 0; err == nil; n++ {
			err = send(n)
		}
		ended <- errors.Join(err, ctx.Err())
		return err
	}}
	s, err := Listen(path, func(string) error { return errors.New("no feed") }, feeds)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := Follow(ctx, path, "other"); err == nil || err.Error() != "no feed" {
		t.Error(err)
	}
	deaf, err := Follow(ctx, path, "count")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	f, err := Follow(ctx, path, "count")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10_000 {
		var got int
		if err := f.Next(&got); err != nil || got != n {
			t.Fatalf("%d, %v; want %d", got, err, n)
		}
	}
	f.Close()
	if err := <-ended; err == nil {
		t.Error("the feed does not know that nobody follows")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("at the server's end: %v", err)
	}
}

// TestManyFollow has more follow than requests are served at once: the run can
// still be asked for something.
func TestManyFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	feeds := map[string]Feed{"wait": func(ctx context.Context, send func(any) error) error {
		err := send(1)
		<-ctx.Done()
		return err
	}}
	s, err := Listen(path, func(string) error { return nil }, feeds)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for n := range 40 {
		f, err := Follow(ctx, path, "wait")
		if err != nil {
			t.Fatalf("the feed of number %d: %v", n, err)
		}
		defer f.Close()
		var first int
		if err := f.Next(&first); err != nil {
			t.Fatal(err)
		}
	}
	if err := Ask(ctx, path, "stop"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
