package sshpool

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// realSFTP is a client of a real OpenSSH, and a folder there.
func realSFTP(t testing.TB) (*SFTP, string) {
	t.Helper()
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	s, err := c.SFTP(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, t.TempDir()
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestSFTPPathsReal does to a real server all that needs no open file, and looks
// at its folder for what came of it.
func TestSFTPPathsReal(t *testing.T) {
	s, dir := realSFTP(t)
	ctx := testContext(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.MkdirAll(ctx, in("a/b/c"), 0o750))
	must(s.MkdirAll(ctx, in("a/b/c"), 0o750))
	must(os.WriteFile(in("a/f"), []byte("hello"), 0o600))
	must(s.Chmod(ctx, in("a/f"), 0o640|fs.ModeSetuid))
	when := time.Unix(1_600_000_000, 0)
	must(s.Chtimes(ctx, in("a/f"), when, when))
	fi, err := s.Stat(ctx, in("a/f"))
	must(err)
	want, err := os.Stat(in("a/f"))
	must(err)
	if fi.Mode() != want.Mode() || fi.Size() != 5 || !fi.ModTime().Equal(when) || fi.Name() != "f" || fi.Sys().(*FileStat).UID != uint32(os.Getuid()) {
		t.Errorf("stat gives %v %d %v %q %+v, want %v", fi.Mode(), fi.Size(), fi.ModTime(), fi.Name(), fi.Sys(), want.Mode())
	}
	must(s.Chown(ctx, in("a/f"), os.Getuid(), os.Getgid()))
	must(s.Truncate(ctx, in("a/f"), 3))
	must(s.Symlink(ctx, "f", in("a/l")))
	if text, err := s.ReadLink(ctx, in("a/l")); err != nil || text != "f" {
		t.Errorf("ReadLink = %q, %v", text, err)
	}
	if text, err := os.Readlink(in("a/l")); err != nil || text != "f" {
		t.Errorf("the link made is to %q, %v", text, err)
	}
	if fi, err := s.Lstat(ctx, in("a/l")); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("Lstat of a link = %v, %v", fi, err)
	}
	must(s.Link(ctx, in("a/f"), in("a/h")))
	if err := s.Rename(ctx, in("a/h"), in("a/f")); err == nil {
		t.Error("Rename replaced a file")
	}
	must(s.PosixRename(ctx, in("a/h"), in("a/g")))
	testTree(t, s, dir)
}

// testTree looks at and removes what TestSFTPPathsReal made.
func testTree(t *testing.T, s *SFTP, dir string) {
	t.Helper()
	ctx := testContext(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if real, err := s.RealPath(ctx, in("a/b/../f")); err != nil || real != in("a/f") {
		t.Errorf("RealPath = %q, %v", real, err)
	}
	if v, err := s.StatVFS(ctx, dir); err != nil || v.Size == 0 || v.NameMax < 100 {
		t.Errorf("StatVFS = %+v, %v", v, err)
	}
	var walked []string
	must(s.Walk(ctx, in("a"), func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		walked = append(walked, rel)
		return err
	}))
	var there []string
	must(filepath.WalkDir(in("a"), func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		there = append(there, rel)
		return err
	}))
	if len(walked) != 6 || !slices.Equal(walked, there) {
		t.Errorf("walked %q, want %q", walked, there)
	}
	must(s.Remove(ctx, in("a/g")))
	must(s.RemoveDir(ctx, in("a/b/c")))
	must(s.RemoveAll(ctx, in("a")))
	must(s.RemoveAll(ctx, in("a")))
	if _, err := os.Lstat(in("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll: %v", err)
	}
	_, err := s.Stat(ctx, in("a"))
	if e := wantError(t, err, KindNotFound, StageTransfer); !errors.Is(err, fs.ErrNotExist) || e.Error() != "stat: "+in("a")+": no such file or folder" {
		t.Errorf("error %q", e)
	}
}

// TestSFTPFileReal writes and reads files of sizes around those of the requests.
func TestSFTPFileReal(t *testing.T) {
	s, dir := realSFTP(t)
	ctx := testContext(t)
	for _, size := range []int{0, 1, 32767, 32768, 32769, 1 << 20, 5<<20 + 7} {
		data := randomBytes(size)
		name := filepath.Join(dir, "f")
		f, err := s.Create(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadFrom(bytes.NewReader(data)); n != int64(size) || err != nil {
			t.Fatalf("%d bytes: ReadFrom = %d, %v", size, n, err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: the file is of %d bytes, %v", size, len(got), err)
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		var back bytes.Buffer
		if n, err := f.WriteTo(&back); n != int64(size) || err != nil || !bytes.Equal(back.Bytes(), data) {
			t.Fatalf("%d bytes: WriteTo = %d, %v", size, n, err)
		}
		at := make([]byte, size+10)
		if n, err := f.ReadAt(at, 0); n != size || err != io.EOF || !bytes.Equal(at[:n], data) {
			t.Fatalf("%d bytes: ReadAt = %d, %v", size, n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	}
}

// TestPutGetReal puts a file on a real host and fetches it back.
func TestPutGetReal(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	ctx := testContext(t)
	files, err := c.Files(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	dir := t.TempDir()
	data := randomBytes(3 << 20)
	mode := fs.FileMode(0o640)
	res, err := files.Put(ctx, BytesSource("data", data), filepath.Join(dir, "f"), PutOptions{Mode: &mode})
	if err != nil {
		t.Fatal(err)
	}
	if res.Sent != int64(len(data)) || !res.Atomic || res.Replaced {
		t.Errorf("Put = %+v", res)
	}
	if fi, err := os.Stat(filepath.Join(dir, "f")); err != nil || fi.Mode() != mode {
		t.Errorf("put file: %v, %v", fi, err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := files.Get(ctx, filepath.Join(dir, "f"), root, "g", GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err := root.ReadFile("g"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}
