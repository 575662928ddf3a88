package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// TestMirrorBothWays deletes, keeps, exchanges, tells and compares, by either way
// with the same result.
func TestMirrorBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src, dst := filepath.Join(t.TempDir(), "s"), filepath.Join(h.dir, "s")
		write(t, src, map[string]string{"f": "new\n", "same": "1", "d/x": "2", "was-dir": "a file"})
		write(t, dst, map[string]string{"f": "old\n", "same": "1", "gone": "3", "extra/y/z": "4", "d/x": "2", "was-dir/k": "5", "link": "-> f"})
		age(t, src)
		past := time.Unix(1_400_000_000, 0)
		for _, name := range []string{"same", "d/x"} {
			if err := os.Chtimes(filepath.Join(dst, name), past, past); err != nil {
				t.Fatal(err)
			}
		}
		one := func() *Push {
			return &Push{Sources: []string{src}, Dst: h.dir, Delete: true, Checksum: true}
		}
		p := one()
		p.DryRun, p.Diff = true, true
		before := listing(t, h.dir)
		did, told, err := h.push(p)
		for _, want := range []string{"update s/f", "-old\n+new\n", "delete s/gone", "delete s/extra/", "delete s/link", "replace folder by file s/was-dir"} {
			if !strings.Contains(told, want) {
				t.Errorf("not told: %q in\n%s", want, told)
			}
		}
		if err != nil || did.Deleted != 6 || did.Sent != 2 || did.Skipped != 0 || strings.Contains(told, "update s/same") {
			t.Errorf("dry run: %+v, %v", did, err)
		}
		if after := listing(t, h.dir); strings.Join(before, "\n") != strings.Join(after, "\n") {
			t.Errorf("a dry run changed %v to %v", before, after)
		}
		p = one()
		p.MaxDelete = 5
		var e *scheduler.Error
		if _, _, err := h.push(p); !errors.As(err, &e) || e.Cause.Kind != scheduler.KindMaxDelete {
			t.Errorf("more than may be deleted: %v", err)
		}
		p = one()
		p.Backup = true
		if did := h.mustPush(p); did.Deleted != 6 || did.Sent != 2 || did.NotAtomic {
			t.Errorf("%+v", did)
		}
		for name, want := range map[string]string{"f": "new\n", "f~": "old\n", "gone~": "3", "extra~/y/z": "4", "was-dir~/k": "5", "was-dir": "a file"} {
			if data, err := os.ReadFile(filepath.Join(dst, name)); err != nil || string(data) != want {
				t.Errorf("%s is %q, %v", name, data, err)
			}
		}
		h.mustPush(one()) // the copies go
		same(t, src, dst)

		// A folder is exchanged whole, with the links in it.
		write(t, src, map[string]string{"l": "-> d", "d/up": "-> ../f", "f": "newer"})
		write(t, dst, map[string]string{"stray": "6"})
		age(t, src)
		p = one()
		p.AtomicDir = true
		h.mustPush(p)
		same(t, src, dst)
	})
}

// TestSFTPOwner gives files an owner by name where there is no shell to ask.
func TestSFTPOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	h := sftpOnly(t)
	src, dst := t.TempDir(), filepath.Join(h.dir, "dst")
	write(t, src, map[string]string{"f": "1", "d/g": "2"})
	for range 2 {
		h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Owner: "nobody", Group: "daemon"})
		for _, name := range []string{"f", "d", "d/g"} {
			if owner := ownerOf(t, filepath.Join(dst, name)); owner != "nobody:daemon" {
				t.Errorf("%s is of %s", name, owner)
			}
		}
	}
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Owner: "nobody", Group: "daemon"}); did.Sent+did.Updated > 0 {
		t.Errorf("again: %+v", did)
	}
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Owner: "1", Group: "1"}); did.Updated != 2 || ownerOf(t, filepath.Join(dst, "f")) != "daemon:daemon" {
		t.Errorf("by number: %+v", did)
	}
	_, _, err := h.push(&Push{Sources: []string{src + "/"}, Dst: h.dir + "/other", Owner: "nobody-of-that-name"})
	if err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("%v", err)
	}
}

func ownerOf(t *testing.T, file string) string {
	t.Helper()
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, uid, gid, _ := systemStat(info)
	var names ownerNames
	return names.user(uid) + ":" + names.group(gid)
}

// TestSFTPStaleStage removes what this machine has left, and old ones of others,
// but nothing that may be in use.
func TestSFTPStaleStage(t *testing.T) {
	t.Parallel()
	h := sftpOnly(t)
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, map[string]string{"f": "newer"})
	ours.Store("USED", true)
	defer ours.Delete("USED")
	write(t, dst, map[string]string{
		stagePrefix + "CRASHED/owner": "fleet " + thisMachine() + " 999999999\n", stagePrefix + "CRASHED/t/x/y": "1",
		stagePrefix + "LEFT/owner": whoWeAre(),
		stagePrefix + "USED/owner": whoWeAre(),
		stagePrefix + "OLD/owner":  "fleet another 1\n", stagePrefix + "OLD/t/x": "1",
		stagePrefix + "NEW/owner":     "fleet another 1\n",
		stagePrefix + "RUNNING/owner": fmt.Sprintf("fleet %s %d\n", thisMachine(), os.Getppid()),
		stagePrefix + "SHELL/pid":     "1\n",
	})
	past := time.Now().Add(-2 * stageStale)
	if err := os.Chtimes(filepath.Join(dst, stagePrefix+"OLD/owner"), past, past); err != nil {
		t.Fatal(err)
	}
	h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
	left, _ := filepath.Glob(filepath.Join(dst, stagePrefix+"*"))
	var names []string
	for _, l := range left {
		names = append(names, strings.TrimPrefix(filepath.Base(l), stagePrefix))
	}
	if got := strings.Join(names, " "); got != "NEW RUNNING SHELL USED" {
		t.Errorf("left: %s", got)
	}
}

// TestSFTPPlain pushes to a server without extensions: files have no second name,
// and none for a moment when they are replaced, which is said.
func TestSFTPPlain(t *testing.T) {
	t.Parallel()
	h := dial(t, sshtest.OpenSSH(t, sshtest.Config("ForceCommand internal-sftp -P posix-rename,hardlink,fsync,limits,statvfs")))
	src := sample(t)
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir}); did.NotAtomic || did.Sent != 15 {
		t.Errorf("%+v", did)
	}
	write(t, src, map[string]string{"sub/b": "other"})
	did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir})
	if data, err := os.ReadFile(filepath.Join(h.dir, "sub/b")); err != nil || string(data) != "other" || !did.NotAtomic {
		t.Errorf("%+v: %q, %v", did, data, err)
	}
}
