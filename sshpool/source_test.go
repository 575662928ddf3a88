package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// TestOneSourceManyHosts is F6: a file that many hosts get is read once, and
// little of it is in memory.
func TestOneSourceManyHosts(t *testing.T) {
	t.Parallel()
	const hosts, size = 20, 4 << 20
	w := newWorld(t, lab.Config{N: hosts, Prefix: "h", RealShell: true})
	data := randomBytes(size)
	local := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := OpenSource(local)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dir := t.TempDir()
	var all sync.WaitGroup
	for i, h := range w.Hosts() {
		all.Go(func() {
			c, err := Dial(testContext(t), w.target(t, h.Name))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			files, err := c.Files(testContext(t))
			if err != nil {
				t.Error(err)
				return
			}
			defer files.Close()
			res, err := files.Put(testContext(t), src, filepath.Join(dir, fmt.Sprint(i)), PutOptions{NoSync: true})
			if err != nil || res.SHA256 != sha256.Sum256(data) || res.Verified != "sha256sum" {
				t.Errorf("host %d: %+v, %v", i, res, err)
			}
		})
	}
	all.Wait()
	if src.blocks.read != size {
		t.Errorf("%d bytes of the source were read for %d hosts, want %d", src.blocks.read, hosts, size)
	}
	for i := range hosts {
		wantFile(t, filepath.Join(dir, fmt.Sprint(i)), data)
	}
}

// TestSourceIsBounded reads a source past its budget by many, each at a pace of
// its own, and wants what is kept bounded and all that is read right.
func TestSourceIsBounded(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789abcdef"), 2*sourceBudget/16)
	src := BytesSource("data", data)
	var all sync.WaitGroup
	for reader := range 4 {
		all.Go(func() {
			for at := int64(reader * 1000); at < src.size; {
				b, err := src.at(at, 100_000<<reader)
				if err != nil || !bytes.Equal(b, data[at:at+int64(len(b))]) {
					t.Errorf("at %d: %d bytes, %v", at, len(b), err)
					return
				}
				at += int64(len(b))
			}
		})
	}
	all.Wait()
	if n := len(src.blocks.kept); n > maxBlocks || n != len(src.blocks.used) {
		t.Errorf("%d blocks are kept, %d listed", n, len(src.blocks.used))
	}
	for _, n := range []int64{0, 1, blockSize, 40 * blockSize, 40*blockSize + 5, src.size} {
		sum, err := src.prefix(testContext(t), n)
		if err != nil || sum != sha256.Sum256(data[:n]) {
			t.Errorf("hash of %d bytes: %x, %v", n, sum[:4], err)
		}
		if n == blockSize { // from here on from a state that was kept
			if sum, err := src.SHA256(testContext(t)); err != nil || sum != sha256.Sum256(data) {
				t.Errorf("hash: %x, %v", sum[:4], err)
			}
		}
	}
	runtime.KeepAlive(data)
}

// TestSourceChanges changes a source while it is put, and wants that noticed.
func TestSourceChanges(t *testing.T) {
	t.Parallel()
	files, dir := labFiles(t, "slow-files=1ms")
	for what, change := range map[string]func(name string) error{
		"content": func(name string) error {
			return errors.Join(os.WriteFile(name, randomBytes(8<<20), 0o600), os.Chtimes(name, time.Now(), time.Now().Add(time.Hour)))
		},
		"grown":   func(name string) error { return os.Truncate(name, 9<<20) },
		"shorter": func(name string) error { return os.Truncate(name, 1<<20) },
	} {
		for _, verify := range []Verify{VerifyHash, VerifyOff} {
			name := filepath.Join(t.TempDir(), "src")
			if err := os.WriteFile(name, randomBytes(8<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := OpenSource(name)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			var once sync.Once
			_, err = files.Put(testContext(t), src, filepath.Join(dir, "f"), PutOptions{Verify: verify, Progress: func(int64) {
				once.Do(func() {
					if err := change(name); err != nil {
						t.Error(err)
					}
				})
			}})
			if e := wantError(t, err, KindChanged, StageTransfer); !strings.Contains(e.Text, "while it was read") {
				t.Errorf("%s: %v", what, e)
			}
			if all, _ := os.ReadDir(dir); len(all) > 0 {
				t.Errorf("%s: left behind: %v", what, all)
			}
		}
	}
	if _, err := OpenSource(dir); !errors.Is(err, errNotRegular) {
		t.Errorf("a folder as source: %v", err)
	}
	if _, err := OpenSource(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no source: %v", err)
	}
}

// TestRatesShare bounds two hosts by one rate, and wants both to get their share.
func TestRatesShare(t *testing.T) {
	const size = 2 << 20
	shared := NewRate(4 << 20)
	src := BytesSource("data", randomBytes(size))
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var got [2]atomic.Int64
	var least atomic.Int64 // what the other had when the first was through
	var all sync.WaitGroup
	var files [2]*Files
	var dirs [2]string
	for i := range files {
		files[i], dirs[i] = labFiles(t, "")
	}
	began := time.Now()
	for i := range got {
		all.Go(func() {
			_, err := files[i].Put(ctx, src, filepath.Join(dirs[i], "f"), PutOptions{Rates: []*Rate{shared},
				Progress: func(n int64) { got[i].Add(n) }})
			if err != nil {
				t.Error(err)
			}
			least.CompareAndSwap(0, got[1-i].Load())
		})
	}
	all.Wait()
	if took, want := time.Since(began), time.Duration(float64(2*size-2*maxMessage)/(4<<20)*float64(time.Second)); took < want*9/10 {
		t.Errorf("took %v for %d bytes, want %v", took, 2*size, want)
	}
	if least.Load() < size/2 {
		t.Errorf("when one host was through the other had %d bytes of %d", least.Load(), size)
	}
}

// TestSlowRate moves a little at a low rate, both ways, and wants it to come
// little by little; and a limit that ends the wait.
func TestSlowRate(t *testing.T) {
	t.Parallel()
	files, dir := labFiles(t, "")
	const size = 64 << 10
	name, most := filepath.Join(dir, "f"), int64(0)
	note := func(n int64) { most = max(most, n) }
	began := time.Now()
	if _, err := files.Put(testContext(t), BytesSource("data", randomBytes(size)), name, PutOptions{Rates: []*Rate{NewRate(size)}, Progress: note}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Get(testContext(t), name, openRoot(t), "f", GetOptions{Rates: []*Rate{NewRate(size)}, Progress: note}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 1500*time.Millisecond || most > size/8 {
		t.Errorf("took %v, in pieces up to %d bytes", took, most)
	}
	ctx, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	_, err := files.Put(ctx, BytesSource("data", randomBytes(size)), name, PutOptions{Rates: []*Rate{NewRate(1000)}})
	wantError(t, err, KindTimeout, StageTransfer)
}

// FuzzMessage takes answers of any content apart: no panic, and nothing longer
// than what there is.
func FuzzMessage(f *testing.F) {
	f.Add(byte(fxpName), []byte("\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01a\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x09"))
	f.Add(byte(fxpStatus), []byte("\x00\x00\x00\x04\x00\x00\x00\x07Failure\x00\x00\x00\x00"))
	f.Add(byte(fxpHandle), []byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		a := func() *ask { return &ask{kind: kind, data: bytes.Clone(data)} }
		if err := a().status(nil); err == nil && kind != fxpStatus {
			t.Error("a status of another kind")
		}
		if h, err := a().handle(nil); err == nil && len(h) > len(data) {
			t.Errorf("handle of %d bytes in %d", len(h), len(data))
		}
		if fi, err := a().attrs("f", nil); err == nil && (fi.Name() != "f" || kind != fxpAttrs) {
			t.Errorf("attributes %v of kind %d", fi, kind)
		}
		m := &message{b: data}
		for n := m.uint32(); n > 0 && !m.bad; n-- {
			if name := m.bytes(); len(name) > len(data) {
				t.Errorf("name of %d bytes in %d", len(name), len(data))
			}
			m.attrs("")
		}
	})
}

// TestPutCausesReal has a real sshd refuse files in all the ways that can be had
// without root, and wants each told as what it is.
func TestPutCausesReal(t *testing.T) {
	t.Parallel()
	files := mustFiles(t, mustDial(t, realTarget(t, sshtest.OpenSSH(t))))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 300)
	for name, want := range map[string]struct {
		kind Kind
		text string
	}{
		dir:                  {KindIsFolder, dir + ": is a folder"},
		dir + "/none/f":      {KindNotFound, dir + "/none/f: there is no folder " + dir + "/none"},
		dir + "/file/f":      {KindNotFolder, dir + "/file is not a folder"},
		dir + "/" + long:     {KindNameTooLong, "file name too long"},
		"/proc/fleet-test":   {KindNotFound, "/proc/fleet-test: no such file or folder"},
		"/dev/null":          {KindExists, "/dev/null: is no regular file, and stays"},
		dir + "/a\x1b[31m":   {"", ""},
		dir + "/a b'c\"d$e*": {"", ""},
	} {
		_, err := files.Put(testContext(t), BytesSource("data", randomBytes(100_000)), name, PutOptions{})
		if want.kind == "" {
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		if e := wantError(t, err, want.kind, StageTransfer); !strings.Contains(e.Text, want.text) || strings.Contains(e.Text, ".part") {
			t.Errorf("%q: %q, want %q", name, e.Text, want.text)
		}
	}
	wantFile(t, filepath.Join(dir, "file"), []byte("old"))
	root := openRoot(t)
	for name, kind := range map[string]Kind{dir: KindIsFolder, dir + "/none": KindNotFound, "/dev/null": KindUnsupported} {
		_, err := files.Get(testContext(t), name, root, "f", GetOptions{})
		wantError(t, err, kind, StageTransfer)
	}
	if _, err := files.Get(testContext(t), dir+"/file", root, "../f", GetOptions{}); err == nil {
		t.Error("a get out of its folder")
	} else {
		wantError(t, err, KindLocal, StageTransfer)
	}
	res, err := files.Get(testContext(t), "/proc/self/status", root, "status", GetOptions{})
	if text, _ := root.ReadFile("status"); err != nil || res.Size == 0 || !bytes.HasPrefix(text, []byte("Name:\t")) {
		t.Errorf("a file of /proc: %+v, %v: %.20q", res, err, text)
	}
}

// TestNoPosixRenameReal replaces a file on a real server that has neither
// posix-rename nor fsync, and on one that talks first.
func TestNoPosixRenameReal(t *testing.T) {
	t.Parallel()
	const server = "/usr/lib/openssh/sftp-server"
	s := sshtest.OpenSSH(t, sshtest.NoSFTP(), sshtest.Config("Subsystem sftp "+server+" -P posix-rename,fsync,hardlink"))
	files := mustFiles(t, mustDial(t, realTarget(t, s)))
	name := filepath.Join(t.TempDir(), "f")
	for i, want := range []bool{true, false} {
		data := randomBytes(100_000)
		res, err := files.Put(testContext(t), BytesSource("data", data), name, PutOptions{})
		if err != nil || res.Atomic != want || res.Synced || res.Way != WaySubsystem {
			t.Errorf("put %d: %+v, %v", i, res, err)
		}
		wantFile(t, name, data)
	}
	// An account that may do SFTP and nothing else.
	s = sshtest.OpenSSH(t, sshtest.Config("ForceCommand internal-sftp"))
	files = mustFiles(t, mustDial(t, realTarget(t, s)))
	for range 2 {
		res, err := files.Put(testContext(t), BytesSource("data", randomBytes(100_000)), name, PutOptions{})
		if err != nil || res.Verified != "read back" || !res.Synced {
			t.Errorf("SFTP alone: %+v, %v", res, err)
		}
	}
	if !files.noShell.Load() {
		t.Error("a shell is taken to be there")
	}
	s = sshtest.OpenSSH(t, sshtest.NoSFTP(), sshtest.Config("Subsystem sftp echo hello; exec "+server))
	files = mustFiles(t, mustDial(t, realTarget(t, s)))
	if files.Way() != WayServer {
		t.Errorf("by %s", files.Way())
	}
}
