package transfer

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/inventory"
	"fleet/scheduler"
)

// TestPullBytesInAll counts what all files come to, whatever the host had said of
// each.
func TestPullBytesInAll(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	var said []string
	var sent []*tar.Header
	for i := range 5 {
		said = append(said, fmt.Sprintf("f 644 1 ./f%d", i))
		sent = append(sent, &tar.Header{Name: fmt.Sprintf("./f%d", i), Size: 400, Mode: 0o644})
	}
	lie(entries(said...), archive(t, sent...))
	dir := t.TempDir()
	_, told, err := h.pull(&Pull{Sources: []string{"./"}, Dir: dir, MaxBytes: 1000})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindTooLarge {
		t.Errorf("%v\n%s", err, told)
	}
	if list := names(t, dir); len(list) != 3 { // the folder and two files
		t.Errorf("here is %q", list)
	}
}

// TestPushEndless ends a push to a host that tells of files without end.
func TestPushEndless(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	src := t.TempDir()
	write(t, src, map[string]string{"f": "1", "g": "2"})
	lie("[ \"$1\" != / ] || exit 0; n=0; while printf 'f 644 1 1.0 r r 1 1:1 8 ./f%s\\0\\0' $n; do n=$((n+1)); done", "echo GNU")
	_, _, err := h.push(&Push{Sources: []string{src + "/"}, Dst: h.dir})
	if err == nil || !strings.Contains(err.Error(), "more than 4 entries") {
		t.Error(err)
	}
}

// TestDiffUnasked takes nothing of a host for a difference but the files that are
// to be replaced.
func TestDiffUnasked(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	src := t.TempDir()
	write(t, src, map[string]string{"f": "1"})
	write(t, h.dir, map[string]string{"f": "old"})
	for _, name := range []string{"./g", "./f"} {
		lie(`exec /usr/bin/find "$@"`, archive(t, &tar.Header{Name: name, Size: 5}, &tar.Header{Name: name, Size: 5}))
		_, told, err := h.push(&Push{Sources: []string{src + "/"}, Dst: h.dir, DryRun: true, Diff: true})
		if err == nil || !strings.Contains(err.Error(), "not asked for") {
			t.Errorf("%s: %v\n%s", name, err, told)
		}
	}
}

// TestDiffMany shows more than is fetched at once.
func TestDiffMany(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		for i := range 9 {
			name := fmt.Sprint("f", i)
			text := strings.Repeat("line\n", diffMost/10)
			write(t, h.dir, map[string]string{name: text + "old\n"})
			write(t, src, map[string]string{name: text + "fresh\n"})
		}
		_, told, err := h.push(&Push{Sources: []string{src + "/"}, Dst: h.dir, DryRun: true, Diff: true})
		if err != nil || strings.Count(told, "\n-old\n+fresh\n") != 9 || strings.Count(told, "update ") != 9 {
			t.Errorf("%v\n%s", err, told)
		}
	})
}

// TestFewWords keeps as much of what a host says as is needed.
func TestFewWords(t *testing.T) {
	last := &lastBytes{most: 10}
	for range 1000 {
		last.Write([]byte("0123456789abcdef"))
		last.Write([]byte("gap\n"))
		if len(last.kept) > 20 {
			t.Fatalf("%d bytes are kept", len(last.kept))
		}
	}
	if !strings.HasSuffix(string(last.kept), "abcdefgap\n") {
		t.Errorf("%q", last.kept)
	}
	sums := &sumsParser{sums: map[string]digest{}, most: 2}
	for i := range 5 {
		fmt.Fprintf(sums, "%064x  ./f%d\n", i, i)
	}
	if len(sums.sums) != 2 || sums.sums["f1"] == sums.sums["f0"] {
		t.Errorf("%v", sums.sums)
	}
}

// TestPullFlatTogether pulls from many hosts at once into one folder that there is
// not yet.
func TestPullFlatTogether(t *testing.T) {
	t.Parallel()
	h := servers(t)["openssh with GNU tools"](t)
	write(t, h.dir, map[string]string{"f": "1"})
	var list []*inventory.Host
	for i := range 4 {
		list = append(list, &inventory.Host{Name: fmt.Sprint("h", i)})
	}
	dir := t.TempDir()
	p := &Pull{Sources: []string{h.dir + "/f"}, Dir: dir, Flat: "a/b/c/d/{{.Host}}", Links: KeepLinks, MaxDepth: 10}
	if err := p.Prepare(list); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	done := make(chan error)
	for _, one := range list {
		go func() {
			_, err := p.Do(testContext(t), h.conn, one.Name, Show{Out: t.Output(), Err: t.Output()})
			done <- err
		}()
	}
	for range list {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	files, err := os.ReadDir(dir + "/a/b/c/d")
	if err != nil || len(files) != len(list) {
		t.Errorf("%v, %v", files, err)
	}
	if info, err := os.Stat(dir + "/a"); err != nil || info.Mode().Perm() != 0o777&^os.FileMode(umask()) {
		t.Errorf("%v, %v", info, err)
	}
}

// TestStoreFolderThere takes a folder that somebody else has just made.
func TestStoreFolderThere(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &store{root: root, mode: folderMode}
	defer s.close()
	errs := make(chan error)
	for range 16 {
		go func() { errs <- s.folder("a/b/c/d/e/f/g/h") }()
	}
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestPullPatternsMeet pulls what several patterns mean in the same folders; a file
// that two of them mean is still an error.
func TestPullPatternsMeet(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"d/a.conf": "1", "d/b.cnf": "2", "d/e/c.cnf": "3", "x.conf": "4"})
		if err := os.Chmod(filepath.Join(src, "d"), 0o555); err != nil {
			t.Fatal(err)
		}
		age(t, src)
		if _, told, err := h.pull(&Pull{Sources: []string{src + "/**/*.conf", src + "/**/*.cnf"}, Dir: h.dir}); err != nil {
			t.Errorf("%v\n%s", err, told)
		}
		h.samePulled(src)
		_, _, err := h.pull(&Pull{Sources: []string{src + "/**/*.conf", src + "/x*"}, Dir: h.dir})
		if err == nil || !strings.Contains(err.Error(), "would both give x.conf") {
			t.Error(err)
		}
	})
}

// TestPullCutShort has the second of two sources fail in the middle: the folders of
// the first, which has come, are as on the host, and not for their owner alone.
func TestPullCutShort(t *testing.T) {
	t.Parallel()
	h, _ := liar(t)
	h.tool("tar", `case $1,$(pwd) in --version,*) ;; *,*/second) echo what is this; exit 0 ;; esac; exec /usr/bin/tar "$@"`)
	src := t.TempDir()
	write(t, src, map[string]string{"first/d/f": "1", "second/e/g": "2"})
	if err := os.Chmod(src+"/first/d", 0o755); err != nil {
		t.Fatal(err)
	}
	_, told, err := h.pull(&Pull{Sources: []string{src + "/first/", src + "/second/"}, Dir: h.dir})
	if err == nil || !strings.Contains(err.Error(), "tar archive") {
		t.Errorf("%v\n%s", err, told)
	}
	info, err := os.Stat(h.dir + "/h/d")
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
}
