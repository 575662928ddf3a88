package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// TestPullMirror deletes here what the host does not have, and nothing else.
func TestPullMirror(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := filepath.Join(t.TempDir(), "s")
		write(t, src, map[string]string{"f": "1", "d/g": "2", "now-file": "3", "now-dir/x": "4", "bad": "-> /etc/passwd"})
		age(t, src)
		write(t, h.dir, map[string]string{
			"h/s/extra": "e", "h/s/d/stray": "e", "h/s/old/deep/x": "e", "h/s/dangling": "-> nowhere", "h/s/out": "-> /tmp",
			"h/s/now-file/inside": "e", "h/s/now-dir": "e", "h/s/keep.log": "mine", "h/s/logs/keep.log": "mine",
			"h/s/bad": "what was refused", "h/other": "mine", "other/s/x": "of another host",
			"h/s/d/" + partPrefix + "0123": "half"})
		one := func() *Pull {
			return &Pull{Sources: []string{src}, Dir: h.dir, Delete: true, MaxDelete: 100, Filter: filterOf(t, "*.log"), MaxDepth: 100}
		}
		p := one()
		p.DryRun = true
		before := strings.Join(listing(t, h.dir), "\n")
		did, told, err := h.pull(p)
		for _, want := range []string{"extra", "d/stray", "old", "old/deep", "old/deep/x", "dangling", "out", "now-file", "now-file/inside", "now-dir"} {
			if !strings.Contains(told, "delete s/"+want+"\n") {
				t.Errorf("not told: delete s/%s\n%s", want, told)
			}
		}
		if did.Deleted != 10 || strings.Count(told, "delete ") != 10 || strings.Join(listing(t, h.dir), "\n") != before {
			t.Errorf("dry run: %+v, %v\n%s", did, err, told)
		}
		p = one()
		p.MaxDelete = 9
		var e *scheduler.Error
		if _, _, err := h.pull(p); !errors.As(err, &e) || e.Cause.Kind != scheduler.KindMaxDelete || strings.Join(listing(t, h.dir), "\n") != before {
			t.Errorf("more than may be deleted: %v", err)
		}
		did, told, err = h.pull(one())
		if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindUnsafe || did.Deleted != 10 {
			t.Errorf("%+v, %v\n%s", did, err, told)
		}
		for name, want := range map[string]string{"h/s/f": "1", "h/s/d/g": "2", "h/s/now-file": "3", "h/s/now-dir/x": "4",
			"h/s/keep.log": "mine", "h/s/logs/keep.log": "mine", "h/s/bad": "what was refused", "h/other": "mine", "other/s/x": "of another host"} {
			if data, err := os.ReadFile(filepath.Join(h.dir, name)); err != nil || string(data) != want {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		for _, name := range []string{"extra", "d/stray", "old", "dangling", "out"} {
			if _, err := os.Lstat(filepath.Join(h.dir, "h/s", name)); err == nil {
				t.Errorf("%s is still there", name)
			}
		}
		there, err := os.Stat(filepath.Join(src, "d"))
		if err != nil {
			t.Fatal(err)
		}
		if here, err := os.Stat(filepath.Join(h.dir, "h/s/d")); err != nil || !here.ModTime().Equal(there.ModTime().Truncate(time.Second)) {
			t.Errorf("d is of %v, %v, want %v", here.ModTime(), err, there.ModTime())
		}
	})
}

// TestPullMirrorBlind deletes nothing where a folder of the host cannot be read.
func TestPullMirrorBlind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"s/f": "1", "s/shut/g": "2"})
	if err := os.Chmod(filepath.Join(dir, "s/shut"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := dial(t, sshtest.OpenSSH(t, sshtest.WithAccounts(sshtest.Accounts{Login: "ann"})))
	write(t, h.dir, map[string]string{"h/s/shut/g": "2", "h/s/extra": "e"})
	did, told, err := h.pull(&Pull{Sources: []string{dir + "/s"}, Dir: h.dir, Delete: true, MaxDelete: 100})
	if err == nil || did.Deleted != 0 || !strings.Contains(told, "nothing is deleted here") {
		t.Errorf("%+v, %v\n%s", did, err, told)
	}
	for _, name := range []string{"shut/g", "extra", "f"} {
		if _, err := os.Stat(filepath.Join(h.dir, "h/s", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestPullOwners gives files to the users of the names that they have on the host.
func TestPullOwners(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	bothWays(t, func(t *testing.T, h *host) {
		src := filepath.Join(t.TempDir(), "s")
		write(t, src, map[string]string{"f": "1", "d/g": "2", "l": "-> f", "strange": "3"})
		age(t, src)
		for name, ids := range map[string][2]int{"f": {1, 1}, "d": {65534, 1}, "d/g": {1, 0}, "l": {1, 1}, "strange": {123456, 123456}} {
			if err := os.Lchown(filepath.Join(src, name), ids[0], ids[1]); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"f": "daemon:daemon", "d": "nobody:daemon", "d/g": "daemon:root", "l": "daemon:daemon", "strange": "root:root"}
		if _, told, err := h.pull(&Pull{Sources: []string{src}, Dir: h.dir}); err != nil {
			t.Fatal(err, told)
		}
		for name := range want {
			if owner := ownerOf(t, filepath.Join(h.dir, "h/s", name)); owner != "root:root" {
				t.Errorf("without owners %s is of %s", name, owner)
			}
		}
		for range 2 {
			if _, told, err := h.pull(&Pull{Sources: []string{src}, Dir: h.dir, Owners: true}); err != nil {
				t.Fatal(err, told)
			}
			for name, owner := range want {
				if got := ownerOf(t, filepath.Join(h.dir, "h/s", name)); got != owner {
					t.Errorf("%s is of %s, want %s", name, got, owner)
				}
			}
		}
		if did, _, err := h.pull(&Pull{Sources: []string{src}, Dir: h.dir, Owners: true}); err != nil || did.Sent > 0 {
			t.Errorf("again: %+v, %v", did, err)
		}
	})
}
