package transfer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/scheduler"
)

// names are those of all below dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	for _, line := range listing(t, dir) {
		list = append(list, strings.Split(line, `"`)[1])
	}
	return list
}

// TestMirrorSparesIgnored leaves alone on the host what an ignore file of the source
// leaves out, at any depth and for sources of each kind, as for --exclude.
func TestMirrorSparesIgnored(t *testing.T) {
	for _, source := range []string{"s", "s/", "s/*", "*"} {
		t.Run(strings.ReplaceAll(source, "/", "_"), func(t *testing.T) {
			bothWays(t, func(t *testing.T, h *host) {
				dir := t.TempDir()
				write(t, dir, map[string]string{"s/.fleetignore": "*.log\n/uploads/\n", "s/d/f": "1", "s/d/.fleetignore": "cache\n!keep.log\n", "s/d/keep.log": "2", "s/d/x.log": "3"})
				there := h.dir // where the content of s goes
				if source == "s" || source == "*" {
					there += "/s"
				}
				write(t, there, map[string]string{"d/cache/a": "c", "d/a.log": "l", "d/sub/b.log": "l", "d/extra": "e", "d/gone/e": "e"})
				if source != "s/*" { // which does not mirror the folder itself
					write(t, there, map[string]string{"uploads/u": "u", "top.log": "l", "stray": "e"})
				}
				did := h.mustPush(&Push{Sources: []string{dir + "/" + source}, Dst: h.dir, Delete: true})
				want := []string{"d", "d/f", "d/keep.log", "d/cache", "d/cache/a", "d/a.log", "d/sub", "d/sub/b.log"}
				deleted := 3
				if source != "s/*" {
					want = append(want, "uploads", "uploads/u", "top.log")
					deleted++
				}
				if diff := cmp.Diff(want, names(t, there), unordered); diff != "" || did.Deleted != deleted {
					t.Errorf("%+v (-want +got)\n%s", did, diff)
				}
			})
		})
	}
}

// TestPatternsLeaveOut has folders and what ignore files name left out of what a
// pattern means, too.
func TestPatternsLeaveOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"s/.fleetignore": "secret\n", "s/cache/x": "1", "s/d/f": "2", "s/d/cache/y": "3", "s/d/secret": "4", "s/secret": "5",
		"s/d/.fleetignore": "z\n", "s/d/z": "6", "s/d/root": "7"})
	for pattern, want := range map[string]string{
		"s/*": "d d/f", "s/**/*": "d d/f", "s/.*": "", "s/d/*": "f secret", "s/**/f": "d d/f", "*": "s s/d s/d/f s/d/root",
	} {
		p := &Push{Sources: []string{dir + "/" + pattern}, Dst: "/x", Links: KeepLinks, Filter: filterOf(t, "cache/", "/d/root")}
		if pattern == "s/d/*" {
			p.Filter = filterOf(t, "cache/", "/root")
		}
		err := p.Prepare(testContext(t), hostNamed("h"))
		got := ""
		if err == nil {
			var list []string
			for _, e := range p.hosts["h"].entries {
				list = append(list, e.Path)
			}
			got = strings.Join(list, " ")
		}
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v, want %s", pattern, got, err, want)
		}
	}
}

// TestMirrorSparesWork leaves alone what pushes under way have on the host: the
// stages of others, with all in them, and what a large file goes on with.
func TestMirrorSparesWork(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src, dst := t.TempDir(), filepath.Join(h.dir, "dst")
		write(t, src, map[string]string{"d/f": "1"})
		stage := stagePrefix + "OTHER" + h.way
		write(t, dst, map[string]string{stage + "/pid": fmt.Sprintln(os.Getpid()), stage + "/t/x": "1", stage + "/owner": whoWeAre(), "d/.fleet-1-2.part": "orphan"})
		ours.Store("OTHER"+h.way, true)
		defer ours.Delete("OTHER" + h.way)
		did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Delete: true})
		if diff := cmp.Diff([]string{"d", "d/f", stage, stage + "/pid", stage + "/owner", stage + "/t", stage + "/t/x"}, names(t, dst), unordered); diff != "" || did.Deleted != 1 {
			t.Errorf("%+v (-want +got)\n%s", did, diff)
		}
	})
	big := &Entry{Path: "d/big", Kind: File, Size: aloneSize, local: "big"}
	there := map[string]*Entry{".": {Path: ".", Kind: Folder}, "d": {Path: "d", Kind: Folder}}
	for _, name := range []string{"d/.fleet-1-2.part", ".fleet-1-2.part", "d/other.part"} {
		there[name] = &Entry{Path: name, Kind: File}
	}
	pl, err := compare{mirrors: []string{"."}}.plan("/x", []*Entry{there["."], there["d"], big}, there)
	if err != nil || pl.deleted != 2 || pl.deletes[0].Path != ".fleet-1-2.part" || pl.deletes[1].Path != "d/other.part" {
		t.Errorf("%+v, %v", pl, err)
	}
}

// TestAtomicDirSpares does not exchange a folder that holds what is to be left
// alone.
func TestAtomicDirSpares(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := filepath.Join(t.TempDir(), "s")
		write(t, src, map[string]string{"f": "newer", ".fleetignore": "uploads\n"})
		write(t, h.dir, map[string]string{"s/f": "old", "s/uploads/u": "theirs"})
		_, _, err := h.push(&Push{Sources: []string{src}, Dst: h.dir, Delete: true, AtomicDir: true})
		var e *scheduler.Error
		if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindConflict || !strings.Contains(e.Cause.Text, "s: holds s/uploads, which is to be left alone") {
			t.Errorf("%v", err)
		}
		if data, err := os.ReadFile(h.dir + "/s/uploads/u"); err != nil || string(data) != "theirs" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

// TestAtomicDirKeeps keeps the folder that another takes the place of.
func TestAtomicDirKeeps(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := filepath.Join(t.TempDir(), "s")
		for _, text := range []string{"1", "2", "3", "3"} {
			write(t, src, map[string]string{"d/f": text, "g" + text: "g"})
			age(t, src)
			h.mustPush(&Push{Sources: []string{src}, Dst: h.dir, Delete: true, AtomicDir: true, Backup: true, Checksum: true})
			os.Remove(src + "/g" + text)
		}
		for name, want := range map[string]string{"s/d/f": "3", "s~/d/f": "2", "s~/g2": "g"} {
			if data, err := os.ReadFile(filepath.Join(h.dir, name)); err != nil || string(data) != want {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		if list, err := os.ReadDir(h.dir); err != nil || len(list) != 2 {
			t.Errorf("there is %v, %v", list, err)
		}
	})
}

// TestManyMirrors mirrors so many folders that their names fit into no command.
func TestManyMirrors(t *testing.T) {
	t.Parallel()
	h := servers(t)["openssh with GNU tools"](t)
	src := t.TempDir()
	for i := range 1500 {
		write(t, src, map[string]string{fmt.Sprintf("s/%0100d", i): "dir"})
	}
	for _, way := range []string{"tar", ""} {
		if did := h.mustPush(&Push{Sources: []string{src + "/s/*"}, Dst: h.dir, Delete: true}); did.Way != way {
			t.Errorf("%+v, want way %q", did, way)
		}
	}
	if list, err := os.ReadDir(h.dir); err != nil || len(list) != 1500 {
		t.Errorf("%d, %v", len(list), err)
	}
}

// TestPushLeavesDSTItself pushes what is in a folder to one that is there before, as
// /tmp is, which keeps its mode; a mirrored one is made as the source's.
func TestPushLeavesDSTItself(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"f": "1", "d/g": "2"})
		age(t, src)
		if err := errors.Join(os.Chmod(src, 0o700), os.Chmod(h.dir, 0o777|os.ModeSticky)); err != nil {
			t.Fatal(err)
		}
		mode := func() os.FileMode {
			fi, err := os.Stat(h.dir)
			if err != nil {
				t.Fatal(err)
			}
			return fi.Mode() & (os.ModePerm | os.ModeSticky)
		}
		for range 2 {
			did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir})
			if mode() != 0o777|os.ModeSticky || did.Updated != 0 {
				t.Errorf("mode is %v after %+v", mode(), did)
			}
			if diff := cmp.Diff([]string{"f", "d", "d/g"}, names(t, h.dir), unordered); diff != "" {
				t.Error(diff)
			}
		}
		if h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir, Delete: true}); mode() != 0o700 {
			t.Errorf("mode of the mirror is %v", mode())
		}
	})
}

// TestPushMadeByHalf has a push end once it has made DST: the next one, which finds it
// there, must not leave what is private open to all.
func TestPushMadeByHalf(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src, dst := t.TempDir(), h.dir+"/new/dst"
		write(t, src, map[string]string{"f": "1"})
		if err := os.Chmod(src, 0o700); err != nil {
			t.Fatal(err)
		}
		p := &Push{Sources: []string{src + "/"}, Dst: dst, Links: KeepLinks}
		if err := p.Prepare(testContext(t), hostNamed("h")); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		write(t, src, map[string]string{"f": "changed meanwhile"})
		if _, err := p.Do(testContext(t), h.conn, "h", Show{Out: io.Discard, Err: io.Discard}); err == nil {
			t.Error("no error")
		}
		h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
		for name, want := range map[string]os.FileMode{dst: 0o700, filepath.Dir(dst): 0o755} {
			if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != want {
				t.Errorf("%s: %v, %v, want %v", name, fi, err, want)
			}
		}
	})
}

// TestPushLeavesWhatLeads pushes what a pattern means through folders that are on the
// host, as /etc is: they keep their modes. Those that are not there get the source's.
func TestPushLeavesWhatLeads(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"etc/a/x.conf": "1", "etc/b/y.conf": "2", "etc/c": "dir"})
		write(t, h.dir, map[string]string{"etc/a/z": "3"})
		for name, mode := range map[string]os.FileMode{src + "/etc": 0o700, src + "/etc/b": 0o710, h.dir + "/etc": 0o751, h.dir + "/etc/a": 0o775} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			h.mustPush(&Push{Sources: []string{src + "/etc/**/*.conf", src + "/**/*.conf"}, Dst: h.dir})
			for name, want := range map[string]os.FileMode{"etc": 0o751, "etc/a": 0o775, "etc/b": 0o710} {
				fi, err := os.Stat(filepath.Join(h.dir, name))
				if err != nil || fi.Mode().Perm() != want {
					t.Errorf("%s: %v, %v; want %v", name, fi, err, want)
				}
			}
		}
	})
}
