package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"fleet/internal/lab"
)

// labFiles moves files to and from a host of the lab with a real shell, whose
// files are those of this machine.
func labFiles(t testing.TB, fault lab.Fault) (*Files, string) {
	t.Helper()
	return labFilesIn(t, fault, t.TempDir())
}

// labFilesIn is labFiles with the keys of that folder, which make it the same
// host each time.
func labFilesIn(t testing.TB, fault lab.Fault, keys string) (*Files, string) {
	t.Helper()
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Faults: map[string]lab.Fault{"h1": fault}, RealShell: true, Dir: keys})
	return mustFiles(t, mustDial(t, w.target(t, "h1"))), t.TempDir()
}

func mustFiles(t testing.TB, c *Conn) *Files {
	t.Helper()
	files, err := c.Files(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return files
}

// TestSourceCut writes what a reader gives that knows itself to have been cut.
func TestSourceCut(t *testing.T) {
	files, dir := labFiles(t, "")
	f, err := files.SFTP().Create(testContext(t), filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, cut := range []error{io.ErrUnexpectedEOF, errors.New("cut")} {
		from := io.MultiReader(strings.NewReader("part"), iotest.ErrReader(cut))
		if n, err := f.ReadFrom(from); n != 4 || !errors.Is(err, cut) {
			t.Errorf("%d bytes, %v; want %v", n, err, cut)
		}
	}
}

func openRoot(t testing.TB) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// parts lists the temporary files in a folder.
func parts(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, ".fleet-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantFile(t testing.TB, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is of %d bytes (%v), want %d others", name, len(got), err, len(want))
	}
	if left := parts(t, filepath.Dir(name)); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestShortReads is faults.md F1: whatever a server gives at once, all of a file
// arrives.
func TestShortReads(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 32767, 32768, 32769, 1 << 20}
	for fault, sizes := range map[lab.Fault][]int{
		"short-reads=16K": append(sizes, 8<<20), "short-reads=1": {0, 1, 4097}, "short-reads=0": sizes, "": append(sizes, 5<<20+1),
	} {
		files, dir := labFiles(t, fault)
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%d", fault, size), func(t *testing.T) {
				data := randomBytes(size)
				name := filepath.Join(dir, "f")
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
				root := openRoot(t)
				res, err := files.Get(testContext(t), name, root, "f", GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if size > 0 && res.Verified == "" || res.Size != int64(size) || res.Sent != int64(size) {
					t.Errorf("result %+v", res)
				}
				wantFile(t, filepath.Join(root.Name(), "f"), data)
				var all bytes.Buffer
				f, err := files.SFTP().Open(testContext(t), name)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if n, err := f.WriteTo(&all); n != int64(size) || err != nil || !bytes.Equal(all.Bytes(), data) {
					t.Errorf("WriteTo = %d, %v", n, err)
				}
				p := make([]byte, size)
				if n, err := f.ReadAt(p, 0); n != size || err != nil || !bytes.Equal(p, data) {
					t.Errorf("ReadAt = %d, %v", n, err)
				}
			})
		}
	}
}

// TestPutCut is F2: wherever a put is cut, the old file is whole, the next put
// sends only what is missing, and leaves nothing behind.
func TestPutCut(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	data := randomBytes(size)
	src := BytesSource("data", data)
	for tenth := range 10 {
		cut := size * tenth / 10
		broken, dir := labFiles(t, lab.Fault(fmt.Sprintf("cut-files=%d", cut)))
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := broken.Put(testContext(t), src, name, PutOptions{})
		wantError(t, err, KindConnLost, StageTransfer)
		if got, err := os.ReadFile(name); err != nil || string(got) != "old" {
			t.Fatalf("cut at %d: the old file is %d bytes, %v", cut, len(got), err)
		}
		left := int64(0)
		for _, part := range parts(t, dir) {
			fi, err := os.Stat(part)
			if err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("temporary file %v, %v", fi.Mode(), err)
			}
			left += fi.Size()
		}
		whole, _ := labFiles(t, "")
		res, err := whole.Put(testContext(t), src, name, PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// What had got to the host may have been written after we looked.
		if res.Resumed < left && left >= resumeMin || res.Resumed > int64(cut) || res.Sent != size-res.Resumed || tenth > 2 && res.Resumed == 0 || res.Verified == "" {
			t.Errorf("cut at %d: left %d, then %+v", cut, left, res)
		}
		wantFile(t, name, data)
	}
}

// TestPutOther has what an interrupted put left of one content go when another
// is put in its place.
func TestPutOther(t *testing.T) {
	t.Parallel()
	broken, dir := labFiles(t, "cut-files=1M")
	name := filepath.Join(dir, "it's f")
	_, err := broken.Put(testContext(t), BytesSource("one", randomBytes(3<<20)), name, PutOptions{})
	wantError(t, err, KindConnLost, StageTransfer)
	if len(parts(t, dir)) != 1 {
		t.Fatal("nothing was left behind")
	}
	whole, _ := labFiles(t, "")
	data := randomBytes(100_000)
	if _, err := whole.Put(testContext(t), BytesSource("two", data), name, PutOptions{}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, name, data)
}

// TestGetCut is F2 the other way.
func TestGetCut(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	data := randomBytes(size)
	for tenth := 1; tenth < 10; tenth += 2 {
		cut := size * tenth / 10
		keys := t.TempDir()
		broken, dir := labFilesIn(t, lab.Fault(fmt.Sprintf("cut-files=%d", cut)), keys)
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, data, 0o640); err != nil {
			t.Fatal(err)
		}
		root := openRoot(t)
		if err := root.WriteFile("f", []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := broken.Get(testContext(t), name, root, "f", GetOptions{})
		wantError(t, err, KindConnLost, StageTransfer)
		if got, _ := root.ReadFile("f"); string(got) != "old" {
			t.Fatalf("cut at %d: the old file is %d bytes", cut, len(got))
		}
		left := int64(0)
		for _, part := range parts(t, root.Name()) {
			fi, _ := os.Stat(part)
			left += fi.Size()
		}
		whole, _ := labFilesIn(t, "", keys)
		res, err := whole.Get(testContext(t), name, root, "f", GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Resumed != left || res.Sent != size-left || tenth > 2 && left == 0 {
			t.Errorf("cut at %d: left %d, then %+v", cut, left, res)
		}
		wantFile(t, filepath.Join(root.Name(), "f"), data)
	}
}

// TestPutFull is F3: no space on the host, told as that, with nothing left
// behind and the old file as it was.
func TestPutFull(t *testing.T) {
	files, dir := labFiles(t, "disk-full=1M")
	name := filepath.Join(dir, "f")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := files.Put(testContext(t), BytesSource("data", randomBytes(3<<20)), name, PutOptions{})
	if e := wantError(t, err, KindNoSpace, StageTransfer); e.Error() != "put: "+name+": no space left on the host" {
		t.Errorf("error %q", e)
	}
	wantFile(t, name, []byte("old"))
}

// TestPutPlain is F4: a server without any extension.
func TestPutPlain(t *testing.T) {
	files, dir := labFiles(t, "plain-sftp")
	name := filepath.Join(dir, "f")
	data := randomBytes(100_000)
	res, err := files.Put(testContext(t), BytesSource("data", data), name, PutOptions{})
	if err != nil || res.Synced || !res.Atomic || res.Verified == "" {
		t.Errorf("new file: %+v, %v", res, err)
	}
	wantFile(t, name, data)
	data = randomBytes(100_001)
	res, err = files.Put(testContext(t), BytesSource("data", data), name, PutOptions{Backup: "f.old"})
	if err != nil || res.Synced || res.Atomic || !res.Replaced {
		t.Errorf("replaced file: %+v, %v", res, err)
	}
	wantFile(t, name, data)
	if _, err := os.Stat(name + ".old"); err != nil {
		t.Error(err)
	}
	res, err = mustFiles2(t, "no-fsync").Put(testContext(t), BytesSource("data", data), name, PutOptions{})
	if err != nil || res.Synced || !res.Atomic {
		t.Errorf("without fsync: %+v, %v", res, err)
	}
	_, err = files.SFTP().StatVFS(testContext(t), dir)
	if wantError(t, err, KindUnsupported, StageTransfer); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("StatVFS: %v", err)
	}
}

func mustFiles2(t testing.TB, fault lab.Fault) *Files {
	files, _ := labFiles(t, fault)
	return files
}

// TestPutModes is F7: the permissions are exact in the end, whatever the umask,
// and while the file is not complete nobody else can read it.
func TestPutModes(t *testing.T) {
	files, dir := labFiles(t, "slow-files=2ms")
	for _, umask := range []int{0o077, 0, 0o027} {
		old := syscall.Umask(umask)
		defer syscall.Umask(old)
		for _, mode := range []fs.FileMode{0o644, 0o755, 0o600, 0o640, 0o4755} {
			name := filepath.Join(dir, fmt.Sprintf("%o-%o", umask, mode))
			mode := mode&0o777 | fs.FileMode(mode>>11&1)*fs.ModeSetuid
			looked := 0
			_, err := files.Put(testContext(t), BytesSource("data", randomBytes(200_000)), name, PutOptions{Mode: &mode,
				Progress: func(int64) {
					for _, part := range parts(t, dir) {
						looked++
						if fi, err := os.Stat(part); err == nil && fi.Mode() != 0o600 {
							t.Errorf("umask %o, mode %v: meanwhile %v", umask, mode, fi.Mode())
						}
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			if fi, err := os.Stat(name); err != nil || fi.Mode() != mode || looked == 0 {
				t.Errorf("umask %o: %v, %v, want %v; looked %d times", umask, fi.Mode(), err, mode, looked)
			}
		}
	}
}

// TestPutCorrupt has what arrived differ, and wants it told and thrown away.
func TestPutCorrupt(t *testing.T) {
	for _, verify := range []Verify{VerifyHash, VerifyRead} {
		files, dir := labFiles(t, "corrupt-write")
		name := filepath.Join(dir, "f")
		_, err := files.Put(testContext(t), BytesSource("data", randomBytes(200_000)), name, PutOptions{Verify: verify})
		wantError(t, err, KindMismatch, StageTransfer)
		if all, _ := os.ReadDir(dir); len(all) > 0 {
			t.Errorf("left behind: %v", all)
		}
	}
}

// TestPutOptions does what the options say to a host that runs no commands and
// to one with a single session, where the file is read back.
func TestPutOptions(t *testing.T) {
	for _, fault := range []lab.Fault{"", "refuse-exec", "max-sessions=1"} {
		files, dir := labFiles(t, fault)
		ctx := testContext(t)
		name := filepath.Join(dir, "f")
		first, second := randomBytes(100_000), randomBytes(50_000)
		uid, gid := os.Getuid(), os.Getgid()
		when := time.Unix(1_500_000_000, 0)
		sum := int64(0)
		res, err := files.Put(ctx, BytesSource("data", first), name, PutOptions{UID: &uid, GID: &gid, ModTime: when, NoReplace: true,
			Progress: func(n int64) { sum += n }})
		if err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		if want := map[lab.Fault]string{"": "sha256sum"}[fault]; want != "" && res.Verified != want || want == "" && res.Verified != "read back" {
			t.Errorf("%s: verified by %q", fault, res.Verified)
		}
		if fi, err := os.Stat(name); err != nil || !fi.ModTime().Equal(when) || sum != int64(len(first)) {
			t.Errorf("%s: %v, %v, progress %d", fault, fi.ModTime(), err, sum)
		}
		_, err = files.Put(ctx, BytesSource("data", second), name, PutOptions{NoReplace: true})
		if wantError(t, err, KindExists, StageTransfer); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", fault, err)
		}
		if _, err := files.Put(ctx, BytesSource("data", second), name, PutOptions{Backup: "f.bak"}); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		wantFile(t, name, second)
		wantFile(t, name+".bak", first)
		moved := filepath.Join(t.TempDir(), "moved")
		_, err = files.Put(ctx, BytesSource("data", first), moved, PutOptions{Stage: dir, Move: func(_ context.Context, from, to string) error {
			if filepath.Dir(from) != dir {
				t.Errorf("staged as %s", from)
			}
			return os.Rename(from, to)
		}})
		if err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		wantFile(t, moved, first)
		wantFile(t, name, second)
	}
}
