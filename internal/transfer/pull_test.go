package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/internal/event"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
)

// pull copies from the host, called h, and returns what it did and told.
func (h *host) pull(p *Pull) (*event.Transfer, string, error) {
	h.t.Helper()
	if p.Links == "" {
		p.Links = KeepLinks
	}
	if p.MaxDepth == 0 {
		p.MaxDepth = 100
	}
	if err := p.Prepare([]*inventory.Host{{Name: "h"}}); err != nil {
		h.t.Fatal(err)
	}
	defer p.Close()
	var out bytes.Buffer
	did, err := p.Do(testContext(h.t), h.conn, "h", Show{Out: &out, Err: &out})
	return did, out.String(), err
}

// plain is sample without what is refused and what is renamed.
func plain(t *testing.T) string {
	t.Helper()
	src := sample(t)
	for _, name := range []string{"sub/out", "we'ird\nna\\me", "raw\xff\xfe"} {
		if err := os.RemoveAll(filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, src, map[string]string{"sub/up": "-> ../a.txt"})
	age(t, src)
	return src
}

// samePulled wants what was pulled to be as src; by SFTP hard links come as files
// of their own.
func (h *host) samePulled(src string) {
	h.t.Helper()
	want := listing(h.t, src)
	for i, line := range want {
		if before, _, linked := strings.Cut(line, " same as "); linked && h.way == "sftp" {
			want[i] = before
		}
	}
	if diff := cmp.Diff(want, listing(h.t, filepath.Join(h.dir, "h"))); diff != "" {
		h.t.Errorf("the copy differs (-source +copy):\n%s", diff)
	}
}

func TestPullTree(t *testing.T) {
	for name, start := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			src := plain(t)
			p := &Pull{Sources: []string{src + "/"}, Dir: h.dir}
			did, told, err := h.pull(p)
			if err != nil || did.Sent != 13 || did.Skipped != 0 || told != "" {
				t.Errorf("first pull: %+v, %v\n%s", did, err, told)
			}
			h.samePulled(src)
			if did, _, err := h.pull(p); err != nil || did.Sent != 0 || did.Skipped != 13 {
				t.Errorf("second pull: %+v, %v", did, err)
			}
			write(t, src, map[string]string{"sub/b": "yy", "sub/fresh/c": "new"})
			age(t, filepath.Join(src, "sub"))
			os.Remove(filepath.Join(h.dir, "h/sub/hard"))
			if did, _, err := h.pull(p); err != nil || did.Sent < 3 {
				t.Errorf("third pull: %+v, %v", did, err)
			}
			h.samePulled(src)
		})
	}
}

// TestOneSession pushes to and pulls from a host that allows one session at a time.
func TestOneSession(t *testing.T) {
	t.Parallel()
	h := dial(t, sshtest.OpenSSH(t, sshtest.Config("MaxSessions 1")))
	src, dst := plain(t), filepath.Join(h.dir, "dst")
	write(t, src, map[string]string{"large": strings.Repeat("0123456", int(largeSize)/7+1), "sub/large": strings.Repeat("abcdefg", int(largeSize)/7+1)})
	age(t, src)
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Owner: "root", Group: "daemon"}); did.Way != "tar and sftp" {
		t.Errorf("push: %+v", did)
	}
	same(t, src, dst)
	for _, checksum := range []bool{false, true} {
		h.dir = t.TempDir()
		for _, sent := range []int{15, 0} {
			did, told, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir, Checksum: checksum})
			if err != nil || did.Sent != sent {
				t.Fatalf("pull: %+v, %v\n%s", did, err, told)
			}
		}
		h.samePulled(src)
	}
}

// TestPullNames makes names safe, in a way that can be undone.
func TestPullNames(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		names := []string{"a\x1b[2J", "new\nline", `back\slash`, "no\xffutf8", "100%", "100%25", "ok", "\u202ertl", "-rf"}
		for _, n := range names {
			write(t, src, map[string]string{n: n})
		}
		did, told, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir})
		if err != nil || did.Sent != len(names) || told != "" {
			t.Fatalf("%+v, %v: %s", did, err, told)
		}
		list, err := os.ReadDir(filepath.Join(h.dir, "h"))
		if err != nil || len(list) != len(names) {
			t.Fatal(list, err)
		}
		for _, d := range list {
			data, err := os.ReadFile(filepath.Join(h.dir, "h", d.Name()))
			if err != nil || string(data) != RawName(d.Name()) {
				t.Errorf("%q holds %q, %v", d.Name(), data, err)
			}
		}
	})
}

// TestPullRefuses pulls a tree that no host should have: what is safe comes, the
// rest is told, and nothing is written elsewhere.
func TestPullRefuses(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"good": "1", "d/fine": "2", "abs": "-> /etc/passwd", "up": "-> ../../x",
			"d/sly": "-> fine/../../..", "here": "-> good", "loop": "-> loop", "d/back": "-> ../good"})
		if err := syscall.Mkfifo(filepath.Join(src, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		write(t, src, map[string]string{"su": "3"})
		if err := os.Chmod(filepath.Join(src, "su"), 0o4755|os.ModeSetuid); err != nil {
			t.Fatal(err)
		}
		did, told, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir})
		var e *scheduler.Error
		want := "refused: 3 links that lead out of the destination, 1 setuid or setgid files, 1 special files"
		if !errors.As(err, &e) || e.Outcome != scheduler.Failed || e.Cause.Kind != scheduler.KindUnsafe || e.Cause.Text != want {
			t.Errorf("%v", err)
		}
		if did.Refused != 5 || did.Sent != 5 || strings.Count(told, "refused, ") != 5 || !strings.Contains(told, ": d/sly\n") {
			t.Errorf("%+v\n%s", did, told)
		}
		var names []string
		for _, l := range listing(t, h.dir) {
			names = append(names, strings.Split(l, `"`)[1])
		}
		if diff := cmp.Diff([]string{"h/good", "h/d/fine", "h", "h/d", "h/d/back", "h/here", "h/loop"}, names, unordered); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// liar is a host whose find and tar are shell code, which lie sets: the first
// says what is there, the second sends it.
func liar(t *testing.T) (h *host, lie func(find, tar string)) {
	t.Helper()
	dir := t.TempDir()
	lie = func(find, tar string) {
		for name, code := range map[string]string{"find": find, "tar": tar, "sha256sum": "exit 1"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+code+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	h = dial(t, sshtest.OpenSSH(t, sshtest.Env("PATH="+dir+":/usr/bin:/bin")))
	h.tools = dir
	return h, lie
}

// tool makes a tool of the host shell code.
func (h *host) tool(name, code string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.tools, name), []byte("#!/bin/sh\n"+code+"\n"), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// entries is shell code of a find that tells these: kind, mode, size, name.
func entries(list ...string) string {
	var b strings.Builder
	b.WriteString("case \"$*\" in *maxdepth*) exit 0 ;; esac\n")
	for _, l := range append([]string{"d 755 0 ."}, list...) {
		f := strings.SplitN(l, " ", 4)
		name, target, _ := strings.Cut(f[3], " -> ")
		fmt.Fprintf(&b, "printf '%%s\\0%%s\\0' '%s %s %s 1500000000.0 root root 1 1:%d 8 %s' '%s'\n", f[0], f[1], f[2], b.Len(), name, target)
	}
	return b.String()
}

// archive is shell code of a tar that sends these members.
func archive(t *testing.T, members ...*tar.Header) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tar")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
	}
	w.Close()
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return "case $1 in --version) echo GNU; exit 0 ;; esac; cat >/dev/null </dev/null; cat " + file
}

// TestPullHostileLists has hosts tell of names that lead elsewhere.
func TestPullHostileLists(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	h, lie := liar(t)
	for _, c := range []struct{ entry, why string }{
		{"f 644 1 ./../evil", refusedName},
		{"f 644 1 /etc/evil", refusedInside + "|" + refusedName},
		{"f 644 1 ./a/../../evil", refusedName},
		{"f 644 1 ./" + long, refusedLong},
		{"f 644 1 ./" + strings.Repeat("d/", 2000) + "x", "deep"},
		{"f 644 1 ./link/evil", refusedInside},
		{"b 644 1 ./disk", refusedSpecial},
		{"l 777 1 ./l -> /etc/passwd", refusedLink},
		{"f 644 -1 ./neg", "not understood"},
		{"f 644 99999999999999999999 ./big", "not understood"},
		{"f 644 9000000000000000000 ./big", "max-bytes"},
	} {
		lie(entries("l 777 1 ./link -> .", c.entry), archive(t))
		_, told, err := h.pull(&Pull{Sources: []string{"./"}, Dir: filepath.Join(h.dir, "in/out"), MaxBytes: 1 << 40})
		if err == nil {
			t.Errorf("%.60s: no error", c.entry)
			continue
		}
		found := false
		for why := range strings.SplitSeq(c.why, "|") {
			found = found || strings.Contains(told+err.Error(), why)
		}
		if !found {
			t.Errorf("%.60s: %v, want %s\n%s", c.entry, err, c.why, told)
		}
		for _, l := range append(listing(t, h.dir), exists("/etc/evil")...) {
			if !strings.Contains(l, `"in"`) && !strings.Contains(l, `"in/out"`) && !strings.Contains(l, `"in/out/h"`) && !strings.Contains(l, `"in/out/h/link"`) {
				t.Errorf("%.60s: here is %s", c.entry, l)
			}
		}
	}
}

func exists(file string) []string {
	if _, err := os.Lstat(file); err == nil {
		return []string{file}
	}
	return nil
}

// TestPullHostileStreams has hosts send what was not asked for.
func TestPullHostileStreams(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	file := func(name string, size int64) *tar.Header { return &tar.Header{Name: name, Size: size, Mode: 0o644} }
	for name, c := range map[string]struct {
		members []*tar.Header
		want    string
	}{
		"elsewhere": {[]*tar.Header{file("../evil", 1)}, "not asked for"},
		"absolute":  {[]*tar.Header{file("/tmp/evil", 1)}, "not asked for"},
		"twice":     {[]*tar.Header{file("./a", 1), file("./a", 1)}, "sends twice"},
		"link":      {[]*tar.Header{{Name: "./a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, "did not send"},
		"nothing":   {nil, "did not send"},
		"more":      {[]*tar.Header{file("./a", 5000)}, "max-bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			lie(entries("f 644 1 ./a"), archive(t, c.members...))
			dir := t.TempDir()
			_, told, err := h.pull(&Pull{Sources: []string{"./"}, Dir: dir, MaxBytes: 1000})
			var e *scheduler.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s\n%s", err, c.want, told)
			}
			for _, l := range listing(t, dir) {
				if name != "twice" && strings.Contains(l, `"h/a"`) || strings.Contains(l, "part") {
					t.Errorf("here is %s", l)
				}
			}
		})
	}
	t.Run("no archive", func(t *testing.T) {
		lie(entries("f 644 1 ./a"), "echo GNU; echo what is this")
		if _, _, err := h.pull(&Pull{Sources: []string{t.TempDir() + "/"}, Dir: h.dir}); err == nil || !strings.Contains(err.Error(), "tar archive") {
			t.Error(err)
		}
	})
	t.Run("endless list", func(t *testing.T) {
		lie("case \"$*\" in *maxdepth*) exit 0 ;; esac; printf 'd 755 0 1.0 r r 1 1:1 8 .\\0\\0'; n=0; while printf 'f 644 1 1.0 r r 1 1:1 8 ./f%s\\0\\0' $n; do n=$((n+1)); done", "echo GNU")
		_, _, err := h.pull(&Pull{Sources: []string{t.TempDir() + "/"}, Dir: h.dir, MaxEntries: 5000})
		if err == nil || !strings.Contains(err.Error(), "more than 5000 entries") {
			t.Error(err)
		}
	})
}

// TestPullInTheWay leaves alone what lies here where something else is to be: a
// link leads nowhere, whatever it leads to.
func TestPullInTheWay(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src, out := t.TempDir(), t.TempDir()
		write(t, src, map[string]string{"d/f": "new", "g": "new"})
		write(t, h.dir, map[string]string{"h/d": "-> " + out, "h/g/x": "mine"})
		_, told, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir})
		if err == nil || !strings.Contains(told+err.Error(), "not a folder here") && !strings.Contains(told, refusedHere) {
			t.Errorf("%v\n%s", err, told)
		}
		if list := listing(t, out); len(list) > 0 {
			t.Errorf("written through a link: %v", list)
		}
	})
}

func TestPullFlatAndPatterns(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"etc/hosts": "1", "log/a/x.err": "2", "log/a/x.log": "3", "log/y.err": "4"})
		if _, _, err := h.pull(&Pull{Sources: []string{src + "/etc/hosts"}, Dir: h.dir, Flat: "hosts-{{.Host}}"}); err != nil {
			t.Error(err)
		}
		if _, _, err := h.pull(&Pull{Sources: []string{src + "/log/**/*.err"}, Dir: h.dir}); err != nil {
			t.Error(err)
		}
		if _, _, err := h.pull(&Pull{Sources: []string{src + "/log"}, Dir: h.dir, Filter: filterOf(t, "*.err")}); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]bool{"hosts-h": true, "h/a/x.err": true, "h/y.err": true, "h/a/x.log": false, "h/log/a/x.log": true, "h/log/y.err": false} {
			if _, err := os.Stat(filepath.Join(h.dir, name)); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
		for source, kind := range map[string]scheduler.Kind{"/nosuch": scheduler.KindNotFound, src + "/*.none": scheduler.KindNotFound, src + "/etc/hosts/": scheduler.KindConflict} {
			_, _, err := h.pull(&Pull{Sources: []string{source}, Dir: h.dir})
			var e *scheduler.Error
			if !errors.As(err, &e) || e.Cause.Kind != kind {
				t.Errorf("%s: %v, want %s", source, err, kind)
			}
		}
	})
}

func TestContained(t *testing.T) {
	for _, c := range []struct {
		name, target string
		want         bool
	}{
		{"l", "a", true}, {"l", "a/b", true}, {"l", ".", true}, {"d/l", "..", true}, {"d/l", "../a/./b", true},
		{"l", "..", false}, {"d/l", "../..", false}, {"l", "/a", false}, {"l", "", false}, {"d/l", "a/..", false},
		{"d/e/l", "../../x", true}, {"d/e/l", ".././../../x", false}, {"l", "a\x00", false},
	} {
		if got := contained(c.name, c.target); got != c.want {
			t.Errorf("contained(%q, %q) = %v", c.name, c.target, got)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"a", "%41", "%", "\xff", "\x1b[m", "\u202e", "%%41", "a%4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		safe := SafeName(name)
		if RawName(safe) != name {
			t.Errorf("%q became %q, and back %q", name, safe, RawName(safe))
		}
		for _, r := range safe {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\\' {
				t.Errorf("%q holds %q", safe, r)
			}
		}
	})
}
