package transfer

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/scheduler"
)

func digestOf(data []byte) digest { return sha256.Sum256(data) }

// sample is a tree with all that a tree may hold.
func sample(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	long := strings.Repeat("long", 30)
	write(t, dir, map[string]string{
		"a.txt": "hello", "empty": "", "sub/b": "x", "sub/deep/" + long + "/" + long: "far down",
		"hollow": "dir", "link": "-> a.txt", "sub/out": "-> ../../elsewhere", "we'ird\nna\\me": "odd",
		" blanks ": "b", "-rf": "dash", "naïve": "utf-8", "raw\xff\xfe": "no utf-8", "$(id)": "sh", "sub/big": strings.Repeat("0123456789", 100_000),
	})
	if err := os.Link(filepath.Join(dir, "a.txt"), filepath.Join(dir, "sub", "hard")); err != nil {
		t.Fatal(err)
	}
	holes, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holes.WriteAt([]byte("end"), 4<<20); err != nil {
		t.Fatal(err)
	}
	holes.Close()
	for name, mode := range map[string]os.FileMode{"sub/b": 0o600, "a.txt": 0o755, "empty": 0o444, "hollow": 0o700, "sub": 0o750} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	age(t, dir)
	return dir
}

// same wants two folders to hold the same.
func same(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(listing(t, want), listing(t, got)); diff != "" {
		t.Errorf("the copy differs (-source +copy):\n%s", diff)
	}
	left, err := filepath.Glob(filepath.Join(got, stagePrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestPushTree(t *testing.T) {
	for name, start := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			src := sample(t)
			dst := filepath.Join(h.dir, "new", "dst")
			did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
			same(t, src, dst)
			if did.Sent != 15 || did.Skipped != 0 || did.Way != h.way {
				t.Errorf("first push: %+v", did)
			}
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst}); did.Sent != 0 || did.Skipped != 15 || did.Updated != 0 || did.Way != "" {
				t.Errorf("second push: %+v", did) // nothing was to be done, so that nothing was
			}

			// What changes is sent, and nothing else.
			write(t, src, map[string]string{"sub/b": "yy", "sub/fresh/c": "new"})
			if err := os.Chmod(filepath.Join(src, "empty"), 0o640); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(src, "link"))
			write(t, src, map[string]string{"link": "-> sub"})
			age(t, filepath.Join(src, "sub"))
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst}); did.Sent < 3 || did.Updated < 1 {
				t.Errorf("third push: %+v", did)
			}
			same(t, src, dst)

			// What is not in the source goes, but for what is left out.
			write(t, dst, map[string]string{"extra/x/y": "1", "keep.log": "2", "sub/deep/extra": "3"})
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Delete: true, Filter: filterOf(t, "*.log")}); did.Deleted != 4 {
				t.Errorf("mirroring push: %+v", did)
			}
			if err := os.Remove(filepath.Join(dst, "keep.log")); err != nil {
				t.Error(err)
			}
			age(t, src)
			h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
			same(t, src, dst)
		})
	}
}

func filterOf(t *testing.T, exclude ...string) *Filter {
	t.Helper()
	f, err := NewFilter(exclude, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPushSparse keeps holes, where the host has a tool for that.
func TestPushSparse(t *testing.T) {
	t.Parallel()
	h := servers(t)["openssh with GNU tools"](t)
	src := sample(t)
	h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir})
	out, err := exec.Command("stat", "-c", "%b", filepath.Join(h.dir, "sparse")).Output()
	if err != nil || len(strings.TrimSpace(string(out))) > 3 {
		t.Errorf("4 MiB of holes take %s blocks, %v", out, err)
	}
}

// TestPushPlaces puts one file where its name and the host's folders say.
func TestPushPlaces(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"f": "1", "g": "2", "d/x": "3"})
		write(t, h.dir, map[string]string{"there": "dir", "file": "old"})
		for _, c := range []struct {
			sources, dst, want string
			kind               scheduler.Kind
		}{
			{"f", "fresh", "fresh", ""},
			{"f", "there", "there/f", ""},
			{"f", "there/", "there/f", ""},
			{"f", "made/", "made/f", ""},
			{"f", "file", "file", ""},
			{"f g", "two", "two/g", ""},
			{"d", "into", "into/d/x", ""},
			{"d/", "as", "as/x", ""},
			{"*", "glob", "glob/d/x", ""},
			{"**/x", "deep", "deep/d/x", ""},
			{"f", "none/at/all", "", scheduler.KindNotFound},
			{"d", "file", "", scheduler.KindConflict},
			{"f", "file/x", "", scheduler.KindConflict},
			{"f g", "file", "", scheduler.KindConflict},
		} {
			var sources []string
			for _, s := range strings.Fields(c.sources) {
				sources = append(sources, src+"/"+s)
			}
			dst := h.dir + "/" + c.dst
			_, _, err := h.push(&Push{Sources: sources, Dst: dst})
			if c.kind != "" {
				var e *scheduler.Error
				if !errors.As(err, &e) || e.Cause.Kind != c.kind || strings.Contains(e.Cause.Text, "\n") {
					t.Errorf("%s to %s: %v, want %s", c.sources, c.dst, err, c.kind)
				}
				continue
			}
			if _, statErr := os.Stat(filepath.Join(h.dir, c.want)); err != nil || statErr != nil {
				t.Errorf("%s to %s: %v, %v", c.sources, c.dst, err, statErr)
			}
		}
	})
}
