package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fleet/internal/lab"
)

// smallServers are SFTP servers of several makes: OpenSSH's, and the lab's, which
// reads and writes at the same time, whole and answering short.
func smallServers(t *testing.T) map[string]func(*testing.T) (*SFTP, string) {
	embedded := func(fault lab.Fault) func(*testing.T) (*SFTP, string) {
		return func(t *testing.T) (*SFTP, string) {
			w := newWorld(t, lab.Config{Names: []string{"h1"}, RealShell: true, Faults: map[string]lab.Fault{"h1": fault}})
			s, err := mustDial(t, w.target(t, "h1")).SFTP(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s, t.TempDir()
		}
	}
	return map[string]func(*testing.T) (*SFTP, string){
		"openssh": func(t *testing.T) (*SFTP, string) { return realSFTP(t) },
		"lab":     embedded(""),
		"short":   embedded("short-reads=16K"),
		"odd":     embedded("short-reads=0"),
	}
}

// TestSmallFiles makes many files at once and reads them back.
func TestSmallFiles(t *testing.T) {
	for name, start := range smallServers(t) {
		t.Run(name, func(t *testing.T) {
			s, dir := start(t)
			ctx := testContext(t)
			when := time.Unix(1_600_000_000, 0)
			var all sync.WaitGroup
			for i, size := range []int{0, 1, 4096, 32767, 32768, 32769, 100_000, SmallFile} {
				all.Go(func() {
					name := filepath.Join(dir, fmt.Sprint("f", i))
					want := NewFile{Data: randomBytes(size), Mode: 0o640, ModTime: when, Verify: true}
					if err := s.WriteNew(ctx, name, want); err != nil {
						t.Errorf("%d bytes: %v", size, err)
						return
					}
					data, info, err := s.ReadSmall(ctx, name, size, SmallFile)
					if err != nil || !bytes.Equal(data, want.Data) || info.Mode() != 0o640 || !info.ModTime().Equal(when) {
						t.Errorf("%d bytes: %d come back, %v, %v", size, len(data), info, err)
					}
					data, _, err = s.ReadSmall(ctx, name, size/2, SmallFile)
					if err != nil || !bytes.Equal(data, want.Data) {
						t.Errorf("%d bytes, which were half of it: %d come back, %v", size, len(data), err)
					}
				})
			}
			all.Wait()
			name := filepath.Join(dir, "f2")
			var e *Error
			if err := s.WriteNew(ctx, name, NewFile{Mode: 0o600}); err == nil {
				t.Error("a file that is there was made anew")
			}
			if _, _, err := s.ReadSmall(ctx, name, 10, 100); !errors.As(err, &e) || e.Kind != KindTooLarge {
				t.Errorf("a file that has grown: %v", err)
			}
			if _, _, err := s.ReadSmall(ctx, name+"none", 10, 100); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file that is not there: %v", err)
			}
			over, cancel := context.WithCancel(ctx)
			cancel()
			if err := s.WriteNew(over, filepath.Join(dir, "late"), NewFile{}); !errors.As(err, &e) || e.Kind != KindCanceled {
				t.Errorf("after the end of its context: %v", err)
			}
			if err := s.RemoveAll(ctx, dir); err != nil {
				t.Error(err)
			}
			if _, err := s.Lstat(ctx, dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after RemoveAll: %v", err)
			}
		})
	}
}

// TestSmallOwner sets the owner before the mode, which chown(2) narrows.
func TestSmallOwner(t *testing.T) {
	s, dir := realSFTP(t)
	uid, gid := os.Getuid(), os.Getgid()
	name := filepath.Join(dir, "f")
	if err := s.WriteNew(testContext(t), name, NewFile{Data: []byte("x"), Mode: 0o755 | fs.ModeSetuid, UID: &uid, GID: &gid}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o755|fs.ModeSetuid {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestSmallMismatch notices what arrived as something else.
func TestSmallMismatch(t *testing.T) {
	_, target := one(t, "corrupt-write")
	s, err := mustDial(t, target).SFTP(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.WriteNew(testContext(t), "f", NewFile{Data: []byte("content"), Mode: 0o600, Verify: true})
	wantError(t, err, KindMismatch, StageTransfer)
}

// TestWriteNewGivenUp gives many files up in the midst of their requests, while
// answers to some of these come: what these bring is nobody else's. It is the race
// detector that tells.
func TestWriteNewGivenUp(t *testing.T) {
	t.Parallel()
	s, dir := realSFTP(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), SmallFile/16)
	for i := range 20 {
		ctx, cancel := context.WithCancel(testContext(t))
		var wg sync.WaitGroup
		for j := range 8 {
			wg.Go(func() {
				if j == i%8 {
					defer cancel() // the first that is complete, or given up
				}
				s.WriteNew(ctx, filepath.Join(dir, fmt.Sprint(i, ".", j)), NewFile{Data: data, Mode: 0o600, Verify: true}) //nolint:errcheck // most are given up
			})
		}
		wg.Wait()
		cancel()
	}
	name := filepath.Join(dir, "last")
	if err := s.WriteNew(testContext(t), name, NewFile{Data: data, Mode: 0o600, Verify: true}); err != nil {
		t.Errorf("after all that: %v", err)
	}
}
