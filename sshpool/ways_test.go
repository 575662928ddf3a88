package sshpool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// TestWays finds a way to move files wherever there is one.
func TestWays(t *testing.T) {
	for fault, want := range map[lab.Fault]Way{"": WaySubsystem, "no-sftp": WayServer, "noisy-sftp": WayServer, "no-sftp+noisy": WayServer} {
		files, dir := labFiles(t, fault)
		name, data := filepath.Join(dir, "f"), randomBytes(100_000)
		res, err := files.Put(testContext(t), BytesSource("data", data), name, PutOptions{})
		if err != nil || files.Way() != want || res.Way != want {
			t.Errorf("%s: by %s, %v, want %s", fault, files.Way(), err, want)
		}
		wantFile(t, name, data)
	}
}

// TestNoWay tells what answers where an SFTP server should, made safe.
func TestNoWay(t *testing.T) {
	t.Parallel()
	for fault, want := range map[lab.Fault]struct {
		kind Kind
		text string
	}{
		"no-sftp+refuse-exec":       {KindPermission, "sftp: subsystem refused by the host"},
		"noisy-sftp+max-sessions=1": {KindProtocol, `sftp: not an sftp server: "Welcome to \x1b[31mh1\x1b[0m!\n`},
	} {
		_, target := one(t, fault)
		target.Limits.Channel = 2 * time.Second
		c := mustDial(t, target)
		_, err := c.SFTP(testContext(t))
		if e := wantError(t, err, want.kind, StageChannel); !strings.HasPrefix(e.Error(), want.text) {
			t.Errorf("%s: error %q, want %q", fault, e, want.text)
		}
	}
	for _, fault := range []lab.Fault{"mute-sftp+hang-exec", "hang-channel"} {
		_, target := one(t, fault)
		target.Limits.Channel = 200 * time.Millisecond
		_, err := mustDial(t, target).SFTP(testContext(t))
		wantError(t, err, KindTimeout, StageChannel)
	}
	_, target := one(t, "hang-channel")
	ctx, cancel := withLimit(t.Context(), 100*time.Millisecond, opSFTP, StageChannel)
	defer cancel()
	_, err := mustDial(t, target).session(ctx) // whichever of the two limits is met first
	wantError(t, err, KindTimeout, StageChannel)
}

// TestContextsEnd wants every call back when its context ends, whatever the
// server does.
func TestContextsEnd(t *testing.T) {
	files, dir := labFiles(t, "hang-files=100K")
	ctx, cancel := context.WithCancel(testContext(t))
	src := BytesSource("data", randomBytes(8<<20))
	_, err := files.Put(ctx, src, filepath.Join(dir, "f"), PutOptions{Progress: func(int64) { cancel() }})
	wantError(t, err, KindCanceled, StageTransfer)
	for silent := false; !silent; { // the first may have been canceled before that
		ctx, cancel = context.WithTimeout(testContext(t), 100*time.Millisecond)
		_, err = files.Put(ctx, src, filepath.Join(dir, "f"), PutOptions{NoResume: true})
		cancel()
		wantError(t, err, KindTimeout, StageTransfer)
		ctx, cancel = context.WithTimeout(testContext(t), 50*time.Millisecond)
		_, err := files.SFTP().Stat(ctx, dir)
		cancel()
		silent = err != nil
	}
	s := files.SFTP()
	for name, call := range map[string]func() error{
		"stat":   func() error { _, err := s.Stat(ctx, dir); return err },
		"open":   func() error { _, err := s.Open(ctx, dir); return err },
		"mkdir":  func() error { return s.Mkdir(ctx, dir, 0o700) },
		"list":   func() error { _, err := s.ReadDir(ctx, dir); return err },
		"remove": func() error { return s.RemoveAll(ctx, dir) },
	} {
		ctx, cancel = context.WithTimeout(testContext(t), 50*time.Millisecond)
		defer cancel()
		var e *Error
		if err := call(); !errors.As(err, &e) || e.Kind != KindTimeout {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// streamFiles moves files by a shell alone.
func streamFiles(t testing.TB, fault lab.Fault, keys string) (*Files, string) {
	t.Helper()
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": fault}, RealShell: true, Dir: keys})
	files, err := mustDial(t, w.target(t, "h1")).filesByStream(testContext(t), errors.New("no sftp"))
	if err != nil {
		t.Fatal(err)
	}
	return files, t.TempDir()
}

// TestStream moves files both ways where there is no SFTP at all.
func TestStream(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	files, dir := streamFiles(t, "no-sftp", keys)
	ctx := testContext(t)
	name, data := filepath.Join(dir, "it's a $name"), randomBytes(300_000)
	mode := fs.FileMode(0o750)
	res, err := files.Put(ctx, BytesSource("data", data), name, PutOptions{Mode: &mode, ModTime: time.Unix(1_500_000_000, 0)})
	if err != nil || res.Way != WayStream || res.Verified != "sha256sum" || !res.Atomic || res.Synced || res.Replaced {
		t.Fatalf("Put: %+v, %v", res, err)
	}
	wantFile(t, name, data)
	if fi, _ := os.Stat(name); fi.Mode() != mode || fi.ModTime().Unix() != 1_500_000_000 {
		t.Errorf("mode %v, time %v", fi.Mode(), fi.ModTime())
	}
	if res, err := files.Put(ctx, BytesSource("data", data[1:]), name, PutOptions{Backup: "old", Verify: VerifyRead}); err != nil || !res.Replaced || res.Verified != "read back" {
		t.Errorf("second Put: %+v, %v", res, err)
	}
	wantFile(t, filepath.Join(dir, "old"), data)
	if fi, _ := os.Stat(name); fi.Mode() != mode {
		t.Errorf("mode of what was replaced: %v", fi.Mode())
	}
	root := openRoot(t)
	if res, err := files.Get(ctx, name, root, "g", GetOptions{Times: true}); err != nil || res.Size != int64(len(data))-1 || res.Verified == "" {
		t.Errorf("Get: %+v, %v", res, err)
	}
	wantFile(t, filepath.Join(root.Name(), "g"), data[1:])
	if fi, _ := root.Stat("g"); fi.Mode() != mode {
		t.Errorf("fetched mode %v", fi.Mode())
	}
	for want, call := range map[Kind]func() error{
		KindIsFolder: func() error { _, err := files.Put(ctx, BytesSource("d", data), dir, PutOptions{}); return err },
		KindExists: func() error {
			_, err := files.Put(ctx, BytesSource("d", data), name, PutOptions{NoReplace: true})
			return err
		},
		KindNotFound:  func() error { _, err := files.Get(ctx, name+"x", root, "h", GetOptions{}); return err },
		KindNotFolder: func() error { _, err := files.Put(ctx, BytesSource("d", data), name+"/x", PutOptions{}); return err },
		KindTooLarge:  func() error { _, err := files.Get(ctx, name, root, "h", GetOptions{MaxBytes: 10}); return err },
	} {
		wantError(t, call(), want, StageTransfer)
	}
	if left := append(parts(t, dir), parts(t, root.Name())...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestStreamResumes goes on with what an interrupted put and get left.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	files, dir := streamFiles(t, "", keys)
	data := randomBytes(8 << 20)
	src, name := BytesSource("data", data), filepath.Join(dir, "f")
	sent := int64(0)
	ctx, cancel := context.WithCancel(testContext(t))
	_, err := files.Put(ctx, src, name, PutOptions{Progress: func(n int64) {
		if sent += n; sent > 4<<20 {
			cancel()
		}
	}, Rates: []*Rate{NewRate(100 << 20)}})
	wantError(t, err, KindCanceled, StageTransfer)
	res, err := files.Put(testContext(t), src, name, PutOptions{})
	if err != nil || res.Resumed == 0 || res.Resumed+res.Sent != int64(len(data)) {
		t.Errorf("second Put: %+v, %v", res, err)
	}
	wantFile(t, name, data)
	root := openRoot(t)
	sent = 0
	ctx, cancel = context.WithCancel(testContext(t))
	_, err = files.Get(ctx, name, root, "f", GetOptions{Progress: func(n int64) {
		if sent += n; sent > 4<<20 {
			cancel()
		}
	}})
	wantError(t, err, KindCanceled, StageTransfer)
	res, err = files.Get(testContext(t), name, root, "f", GetOptions{})
	if err != nil || res.Resumed == 0 || res.Resumed+res.Sent != int64(len(data)) {
		t.Errorf("second Get: %+v, %v", res, err)
	}
	wantFile(t, filepath.Join(root.Name(), "f"), data)
}

// TestDropbearFiles moves files by a server that has no SFTP of its own.
func TestDropbearFiles(t *testing.T) {
	t.Parallel()
	files := mustFiles(t, mustDial(t, realTarget(t, sshtest.Dropbear(t))))
	name, data := filepath.Join(t.TempDir(), "f"), randomBytes(1<<20)
	if _, err := files.Put(testContext(t), BytesSource("data", data), name, PutOptions{}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, data)
	root := openRoot(t)
	if _, err := files.Get(testContext(t), name, root, "f", GetOptions{}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(root.Name(), "f"), data)
	t.Logf("by %s", files.Way())
}

// TestHostileServer asks a server that answers anything, and wants errors at
// worst: no panic, no wait without an end.
func TestHostileServer(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": "garbage-files"}})
	c := mustDial(t, w.target(t, "h1"))
	failed := 0
	for range 60 {
		s, err := c.SFTP(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(testContext(t), 30*time.Second)
		for _, call := range []func() error{
			func() error { _, err := s.Stat(ctx, "/f"); return err },
			func() error { _, err := s.ReadLink(ctx, "/f"); return err },
			func() error { _, err := s.RealPath(ctx, "/f"); return err },
			func() error { _, err := s.StatVFS(ctx, "/f"); return err },
			func() error { _, err := s.ReadDir(ctx, "/"); return err },
			func() error { return s.Mkdir(ctx, "/d", 0o755) },
			func() error { return s.RemoveAll(ctx, "/d") },
			func() error {
				f, err := s.OpenFile(ctx, "/f", os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				if _, err := f.Stat(); err != nil {
					failed++
				}
				_, err = f.ReadAt(make([]byte, 100_000), 0)
				return errors.Join(err, func() error { _, err := f.WriteAt(make([]byte, 100_000), 0); return err }())
			},
		} {
			if err := call(); err != nil {
				failed++
				if errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("no end: %v", err)
				}
			}
		}
		cancel()
		s.Close()
	}
	if failed < 100 {
		t.Errorf("%d calls failed", failed)
	}
}
