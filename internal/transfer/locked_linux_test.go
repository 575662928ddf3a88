package transfer

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobodyInParticular runs f as a user who may do what modes allow, and no more.
func asNobodyInParticular(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and so the thread ends with its lost rights
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&head, &data[0])
		if err == nil {
			data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
			err = unix.Capset(&head, &data[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestStoreInLocked writes into a folder that came with a mode that forbids it, and
// gives it that mode again.
func TestStoreInLocked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"d/f": "old"})
	if err := os.Chmod(dir+"/d", 0o555); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{root: root, mode: folderMode}
	defer s.close()
	asNobodyInParticular(t, func() {
		if _, err := s.file(&item{Entry: &Entry{Path: "d/f", Kind: File, Size: 3, Mode: 0o644}, here: "d/f"}, strings.NewReader("new")); err != nil {
			t.Error(err)
		}
		if err := s.finish(&item{Entry: &Entry{Path: "d", Kind: Folder, Mode: 0o555}, here: "d"}); err != nil {
			t.Error(err)
		}
	})
	if data, err := os.ReadFile(dir + "/d/f"); err != nil || string(data) != "new" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(dir + "/d"); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestMirrorInLocked makes a folder in one that forbids it, and has a tree with such
// folders make way for a file.
func TestMirrorInLocked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"d/way/sub/f": "1"})
	for _, name := range []string{"/d/way/sub", "/d/way", "/d"} {
		if err := os.Chmod(dir+name, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := &pulling{store: &store{root: root, mode: folderMode}, gone: []gone{{"d/way", true}, {"d/way/sub", false}, {"d/way/sub/f", false}}}
	defer d.store.close()
	asNobodyInParticular(t, func() {
		if err := d.store.folder("d/new/deep"); err != nil {
			t.Error(err)
		}
		if err := os.Chmod(dir+"/d", 0o555); err != nil {
			t.Error(err)
		}
		if err := d.makeWay(); err != nil {
			t.Error(err)
		}
	})
	if list := names(t, dir); !slices.Contains(list, "d/new/deep") || slices.Contains(list, "d/way") {
		t.Errorf("here is %q", list)
	}
}
