package lab

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

// TestMemFS does to a simulated host's files what a push does.
func TestMemFS(t *testing.T) {
	l := start(t, Config{N: 1})
	c := probe{t, l, l.Hosts()[0]}.files()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.MkdirAll("/srv/a/b"))
	must(c.Chmod("/srv/a/b", 0o700))
	f, err := c.OpenFile("/srv/a/b/f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	must(err)
	_, err = f.Write([]byte("content"))
	must(err)
	must(f.Close())
	when := time.Unix(1_600_000_000, 0)
	must(c.Chmod("/srv/a/b/f", 0o640|fs.ModeSetuid))
	must(c.Chtimes("/srv/a/b/f", when, when))
	must(c.Symlink("b", "/srv/a/l"))
	info, err := c.Stat("/srv/a/l/f")
	if err != nil || info.Mode().Perm() != 0o640 || !info.ModTime().Equal(when) || info.Size() != 7 {
		t.Errorf("by the link: %v, %v", info, err)
	}
	if to, err := c.ReadLink("/srv/a/l"); err != nil || to != "b" {
		t.Errorf("link to %q, %v", to, err)
	}
	if _, err := c.OpenFile("/srv/a/b/f", os.O_RDWR|os.O_CREATE|os.O_EXCL); err == nil {
		t.Error("a file that is there was made anew")
	}
	must(c.Link("/srv/a/b/f", "/srv/g"))
	if err := c.Rename("/srv/g", "/srv/a/b/f"); err == nil {
		t.Error("rename replaced a file")
	}
	must(c.PosixRename("/srv/g", "/srv/a/b/f"))
	must(c.Rename("/srv/a", "/srv/z"))
	if info, err := c.Stat("/srv/z/b"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("moved: %v, %v", info, err)
	}
	if err := c.RemoveDirectory("/srv/z"); err == nil {
		t.Error("a folder that holds something was removed")
	}
	for _, name := range []string{"/srv/z/l", "/srv/z/b/f"} {
		must(c.Remove(name))
	}
	must(c.RemoveDirectory("/srv/z/b"))
	must(c.RemoveDirectory("/srv/z"))
	if _, err := c.Stat("/srv/z"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after all: %v", err)
	}
	if list, err := c.ReadDir("/srv"); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	if _, err := c.Create("/no/such/f"); err == nil {
		t.Error("a file in a folder that is not there")
	}
}
