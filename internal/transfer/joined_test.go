package transfer

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// joined makes files that are one file each, and none that the others are.
func joined(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names[1:] {
		file := filepath.Join(dir, name)
		os.Remove(file)
		if err := os.Link(filepath.Join(dir, names[0]), file); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJoinedChecksum compares by digest files with several names: what is said of
// their bytes is right, and what differs in one name alone is found.
func TestJoinedChecksum(t *testing.T) {
	t.Parallel()
	h := servers(t)["openssh with GNU tools"](t)
	src, dst := t.TempDir(), filepath.Join(h.dir, "dst")
	write(t, src, map[string]string{"a": "right", "lone": "alone"})
	joined(t, src, "a", "b", "c")
	age(t, src)
	push := func() *Push { return &Push{Sources: []string{src + "/"}, Dst: dst, Checksum: true} }
	if did := h.mustPush(push()); did.Sent != 4 || did.Bytes != 10 {
		t.Errorf("first push: %+v", did)
	}
	if did := h.mustPush(push()); did.Sent != 0 || did.Skipped != 4 || did.Bytes != 0 {
		t.Errorf("second push: %+v", did)
	}
	same(t, src, dst)

	pull := func() *Pull { return &Pull{Sources: []string{src + "/"}, Dir: h.dir, Checksum: true} }
	here := filepath.Join(h.dir, "h")
	for _, dry := range []bool{true, false} {
		p := pull()
		p.DryRun = dry
		if did, told, err := h.pull(p); err != nil || did.Sent != 4 || did.Bytes != 10 || did.Skipped != 0 || dry && strings.Count(told, "fetch ") != 5 {
			t.Errorf("first pull: %+v, %v\n%s", did, err, told)
		}
	}
	for _, checksum := range []bool{true, false} {
		for _, dry := range []bool{true, false} {
			p := pull()
			p.DryRun, p.Checksum = dry, checksum
			if did, told, err := h.pull(p); err != nil || did.Sent != 0 || did.Bytes != 0 || did.Skipped != 4 || told != "" {
				t.Errorf("second pull, checksum %v, dry %v: %+v, %v\n%s", checksum, dry, did, err, told)
			}
		}
	}
	h.samePulled(src)

	// One name is a file of its own here, with other content of the same size.
	info, err := os.Stat(filepath.Join(here, "b"))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(here, "b"))
	write(t, here, map[string]string{"b": "wrong"})
	if err := os.Chtimes(filepath.Join(here, "b"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if did, told, err := h.pull(pull()); err != nil || did.Sent != 1 || did.Skipped != 3 {
		t.Errorf("pull over a wrong name: %+v, %v\n%s", did, err, told)
	}
	if data, err := os.ReadFile(filepath.Join(here, "b")); err != nil || string(data) != "right" {
		t.Errorf("b is %q, %v", data, err)
	}

	// All are new, under each of their names.
	os.Remove(filepath.Join(src, "a"))
	write(t, src, map[string]string{"a": "fresh"})
	joined(t, src, "a", "b", "c")
	age(t, src)
	if did, told, err := h.pull(pull()); err != nil || did.Sent != 3 || did.Skipped != 1 || did.Bytes != 5 {
		t.Errorf("third pull: %+v, %v\n%s", did, err, told)
	}
	h.samePulled(src)
	if did := h.mustPush(push()); did.Sent != 3 || did.Skipped != 1 || did.Bytes != 5 {
		t.Errorf("third push: %+v", did)
	}
	same(t, src, dst)
}

// TestJoinedLarge sends a large file with two names once, as one file.
func TestJoinedLarge(t *testing.T) {
	t.Parallel()
	h := servers(t)["openssh with GNU tools"](t)
	src, dst := t.TempDir(), filepath.Join(h.dir, "dst")
	data := make([]byte, largeSize)
	rand.Read(data)
	write(t, src, map[string]string{"a": string(data), "z": string(data[1:]) + "z"})
	joined(t, src, "a", "b")
	age(t, src)
	did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
	if did.Sent != 3 || did.Bytes != 2*largeSize || did.Way != "tar and sftp" {
		t.Errorf("%+v", did)
	}
	same(t, src, dst)
}
