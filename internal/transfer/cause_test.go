package transfer

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
	"fleet/scheduler"
)

// causeServer is a server whose sessions have small, full and read-only file
// systems below dir, with an old file in each.
func causeServer(t *testing.T, dir string, more ...sshtest.Option) *sshtest.Server {
	script := fmt.Sprintf(`cd %s
mkdir small inodes readonly
mount -t tmpfs -o size=1m tmpfs small
mount -t tmpfs -o nr_inodes=8 tmpfs inodes
echo old >readonly/f
mount --bind readonly readonly
mount -o remount,ro,bind readonly
echo old >small/f
echo old >inodes/f`, dir)
	return sshtest.OpenSSH(t, append(more, sshtest.Namespace(script))...)
}

// held is what a folder of the host holds, seen by the host.
func held(t *testing.T, h *host, dir string) string {
	t.Helper()
	s, err := h.conn.SFTP(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.ReadDir(testContext(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, info := range list {
		data, _, err := s.ReadSmall(testContext(t), dir+"/"+info.Name(), int(info.Size()), 1<<20)
		fmt.Fprintf(&b, "%s %q %v\n", info.Name(), data, err)
	}
	return b.String()
}

// TestRealCauses meets file systems that are full, without inodes, read-only, and
// names that they cannot have: the cause is typed and says where, the old file
// stays, and nothing is left behind. All ways on which files go are tried.
func TestRealCauses(t *testing.T) {
	src := t.TempDir()
	big := make([]byte, 3<<20)
	rand.Read(big)
	large := bytes.Repeat(big, 3) // goes alone
	files := map[string]string{"tree/f": string(big), "tree/g": "beside it", "many/f": "new", "large/f": string(large), "small/f": "new"}
	for i := range 20 {
		files[fmt.Sprint("many/n", i)] = "x"
	}
	write(t, src, files)
	long := strings.Repeat("n", 300)
	for way, start := range map[string]func(t *testing.T, dir string) *host{
		"shell": func(t *testing.T, dir string) *host { return dial(t, causeServer(t, dir)) },
		"sftp": func(t *testing.T, dir string) *host {
			return dial(t, causeServer(t, dir, sshtest.Config("ForceCommand internal-sftp")))
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := start(t, dir)
			for _, c := range []struct {
				name, sources, dst string
				kind               scheduler.Kind
				text               string
			}{
				{"full", "tree/", "small", scheduler.KindRemoteNoSpace, "no space left on "},
				{"full, one large file", "large/f", "small/f", scheduler.KindRemoteNoSpace, "no space left on "},
				{"no inodes", "many/", "inodes", scheduler.KindRemoteNoSpace, ": no "},
				{"read-only", "tree/", "readonly", scheduler.KindReadOnly, "/readonly: no folder can be made there for what arrives: read-only file system"},
				{"read-only, one large file", "large/f", "readonly/f", scheduler.KindReadOnly, "readonly/f: read-only file system"},
				{"read-only, a new folder", "tree", "readonly/x/y", scheduler.KindReadOnly, "/readonly/x: read-only file system"},
				{"long name", "small/f", "small/" + long, scheduler.KindNameTooLong, "file name too long"},
				{"long name of a large file", "large/f", "small/" + long, scheduler.KindNameTooLong, "file name too long"},
				{"long name of a folder", "tree", "small/" + long + "/", scheduler.KindNameTooLong, "file name too long"},
			} {
				before := held(t, h, dir+"/"+strings.SplitN(c.dst, "/", 2)[0])
				_, _, err := h.push(&Push{Sources: []string{filepath.Join(src, c.sources) + map[bool]string{true: "/"}[strings.HasSuffix(c.sources, "/")]}, Dst: dir + "/" + c.dst})
				var e *scheduler.Error
				if !errors.As(err, &e) || e.Cause.Kind != c.kind || !strings.Contains(e.Cause.Text, c.text) || strings.Contains(e.Cause.Text, stagePrefix) {
					t.Errorf("%s: %v, want %s %q", c.name, err, c.kind, c.text)
				}
				if after := held(t, h, dir+"/"+strings.SplitN(c.dst, "/", 2)[0]); after != before {
					t.Errorf("%s: there was\n%sand is\n%s", c.name, before, after)
				}
			}
			for _, c := range []struct{ dst, text string }{
				{"/proc/x", "/proc: "}, {"/proc/y/", "/proc/y: "}, {"/dev/null/x", "/dev/null: not a folder"}, {"/sys/x", "/sys: "},
			} {
				_, _, err := h.push(&Push{Sources: []string{src + "/small/f"}, Dst: c.dst})
				if err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("to %s: %v, want %q", c.dst, err, c.text)
				}
			}
			var e *scheduler.Error
			_, _, err := h.push(&Push{Sources: []string{src + "/small/f"}, Dst: h.dir + "/f", Owner: "nobody-of-that-name"})
			if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindNotFound || !strings.Contains(e.Cause.Text, "nobody-of-that-name") {
				t.Errorf("an owner that is not there: %v", err)
			}
		})
	}
}

// TestRealFileLimit meets a limit on how long files may be (ulimit -f), which ends
// tools by a signal.
func TestRealFileLimit(t *testing.T) {
	t.Parallel()
	h := dial(t, sshtest.OpenSSH(t, sshtest.Namespace("ulimit -f 200"))) // blocks of 512 bytes
	src := t.TempDir()
	write(t, src, map[string]string{"f": strings.Repeat("long", 100_000), "g": "short"})
	write(t, h.dir, map[string]string{"f": "old"})
	_, _, err := h.push(&Push{Sources: []string{src + "/"}, Dst: h.dir})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindTooLarge || !strings.Contains(e.Cause.Text, h.dir) {
		t.Errorf("%v", err)
	}
	if list := listing(t, h.dir); len(list) != 1 || !strings.Contains(list[0], `"old"`) {
		t.Errorf("there is %v", list)
	}
}

// TestRealPermission meets folders and files that the login user may not write or read.
func TestRealPermission(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"mine/f": "old", "shut/f": "secret"})
	for name, mode := range map[string]os.FileMode{"shut": 0o700, "mine": 0o755} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	src := t.TempDir()
	write(t, src, map[string]string{"f": "newer"})
	accounts := sshtest.WithAccounts(sshtest.Accounts{Login: "ann"})
	for way, start := range map[string]func(t *testing.T) *host{
		"shell": func(t *testing.T) *host { return dial(t, sshtest.OpenSSH(t, accounts)) },
		"sftp": func(t *testing.T) *host {
			return dial(t, sshtest.OpenSSH(t, accounts, sshtest.Config("ForceCommand internal-sftp")))
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			wants := func(what string, err error, text string) {
				t.Helper()
				var e *scheduler.Error
				if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindPermission || !strings.Contains(e.Cause.Text, text) {
					t.Errorf("%s: %v, want %q", what, err, text)
				}
			}
			for dst, text := range map[string]string{"mine": "/mine: no folder can be made there for what arrives: permission denied", "mine/f": "/mine: no folder", "shut/": "/shut: ", "shut/g": "/shut: ", "mine/new/": "/mine/new: permission denied"} {
				_, _, err := h.push(&Push{Sources: []string{src + "/f"}, Dst: dir + "/" + dst})
				wants("push to "+dst, err, text)
			}
			for source, text := range map[string]string{"shut/": "/shut: permission denied", "shut": "shut: permission denied"} {
				_, told, err := h.pull(&Pull{Sources: []string{dir + "/" + source}, Dir: t.TempDir()})
				wants("pull of "+source+"\n"+told, err, text)
			}
		})
	}
}
