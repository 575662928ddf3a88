package transfer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
)

// rootsFile is a large file that goes to a folder of root's, by a login user who
// may become root.
type rootsFile struct {
	t    *testing.T
	s    *sshtest.Server
	home string // of the login user
	bin  string // tools that the login user finds before the host's, and root does not
	src  string
	dst  string // in a folder of root's; an old file
	data []byte
}

// ann is the number of the first user that sshtest makes.
const ann = 54321

// newRootsFile starts the host, once the home is as it is to be.
func newRootsFile(t *testing.T, home func(home string) error, more ...sshtest.Option) *rootsFile {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := &rootsFile{t: t, home: dir + "/home", bin: dir + "/bin", src: dir + "/src/big", dst: dir + "/dst/big", data: make([]byte, 12<<20)}
	rand.Read(r.data)
	for name, mode := range map[string]os.FileMode{"home": 0o700, "bin": 0o755, "src": 0o755, "dst": 0o700} {
		if err := os.Mkdir(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"src/big": string(r.data), "dst/big": "old"})
	if err := errors.Join(os.Chmod(r.src, 0o640), os.Chown(r.home, ann, ann)); err != nil {
		t.Fatal(err)
	}
	age(t, dir+"/src")
	if home != nil {
		if err := home(r.home); err != nil {
			t.Fatal(err)
		}
	}
	r.s = sshtest.OpenSSH(t, append(more, sshtest.Config("SetEnv HOME="+r.home+" PATH="+r.bin+":/usr/bin:/bin"),
		sshtest.WithAccounts(sshtest.Accounts{Login: "ann", Passwords: map[string]string{"ann": "hunter2-of-ann"},
			Files: map[string]string{"sudoers": "Defaults !lecture\nDefaults secure_path=\"/usr/sbin:/usr/bin:/sbin:/bin\"\nann ALL=(ALL) ALL\n"}}))...)
	return r
}

// push sends it as a user, by a port of the server's.
func (r *rootsFile) push(port int, as string, p *Push) (*event.Transfer, error) {
	r.t.Helper()
	h := dialTrusting(r.t, r.s, port)
	defer h.conn.Close()
	p.Sources, p.Dst, p.Links, p.MaxDelete = []string{r.src}, r.dst, KeepLinks, 10
	p.Warn = func(text string) { r.t.Logf("warning: %s", text) }
	if err := p.Prepare(testContext(r.t), hostNamed("h")); err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	return p.Do(testContext(r.t), h.conn, "h", Show{Out: io.Discard, Err: io.Discard,
		Become: &sshpool.Become{User: as, Password: func() string { return "hunter2-of-ann" }}})
}

// left wants nothing in the folders but these, of which the second is the stage.
func (r *rootsFile) left(there ...string) {
	r.t.Helper()
	var got []string
	for _, dir := range []string{filepath.Dir(r.dst), r.home + "/.cache/fleet/stage"} {
		list, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Error(err)
		}
		for _, e := range list {
			got = append(got, e.Name())
		}
	}
	if strings.Join(got, " ") != strings.Join(there, " ") {
		r.t.Errorf("there is %q, want %q", got, there)
	}
}

func (r *rootsFile) holds(name, want string) {
	r.t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		r.t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(want))
	}
}

// staged are the names of what waits in the login user's folder.
func (r *rootsFile) staged() []string {
	list, _ := filepath.Glob(r.home + "/.cache/fleet/stage/*/.fleet-*.part")
	return list
}

// TestStagedGoesOn cuts a push as root half way, and wants the next to send only
// the rest, and root's file to be as it would be by the stream.
func TestStagedGoesOn(t *testing.T) {
	t.Parallel()
	r := newRootsFile(t, nil)
	c := newCutter(t, r.s.Port)
	c.after.Store(int64(len(r.data)) * 2 / 3)
	if _, err := r.push(c.port, "", &Push{}); err == nil {
		t.Fatal("cut: no error")
	}
	r.s.WaitCommands(0, 30*time.Second)
	r.holds(r.dst, "old")
	left := r.staged()
	if len(left) != 1 {
		t.Fatalf("staged: %q", left)
	}
	if fi, err := os.Stat(filepath.Dir(left[0])); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", fi, err)
	}
	if fi, err := os.Stat(left[0]); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi, err)
	}
	c.after.Store(1 << 40)
	c.sent.Store(0)
	did, err := r.push(c.port, "", &Push{Backup: true, Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	if did.Way != "sftp and a copy by root" || did.Resumed < 4<<20 || did.Sent != 1 || did.NotSynced || did.NotAtomic {
		t.Errorf("%+v", did)
	}
	for ctx := testContext(t); c.sent.Load() == 0 && ctx.Err() == nil; {
		pause(ctx)
	}
	if n := c.sent.Load(); n > int64(len(r.data))*3/4 || n < int64(len(r.data))/4 {
		t.Errorf("%d bytes were sent the second time, of %d", n, len(r.data))
	}
	r.holds(r.dst, string(r.data))
	r.holds(r.dst+"~", "old")
	here, err := os.Stat(r.src)
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.Stat(r.dst)
	if err != nil || there.Mode() != here.Mode() || !there.ModTime().Equal(here.ModTime()) || there.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v %v, want %v %v", there.Mode(), there.ModTime(), here.Mode(), here.ModTime())
	}
	r.left("big", "big~")
}

// TestStagedIsCompared has the login user change the file after its own tool has
// found it right: root's file stays.
func TestStagedIsCompared(t *testing.T) {
	t.Parallel()
	r := newRootsFile(t, nil)
	write(t, r.bin, map[string]string{"sha256sum": "#!/bin/sh\n/usr/bin/sha256sum \"$@\"\nprintf evil >>$HOME/seen\nfor f in $HOME/.cache/fleet/stage/*/.fleet-*.part; do printf evil | dd of=\"$f\" conv=notrunc 2>/dev/null; done\n"})
	if err := os.Chmod(r.bin+"/sha256sum", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := r.push(r.s.Port, "", &Push{Backup: true})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindMismatch || e.Cause.Text != "compare with what was sent: "+r.dst+": content differs" {
		t.Errorf("%v", err)
	}
	r.holds(r.home+"/seen", "evil")
	r.holds(r.dst, "old")
	r.left("big")
}

// TestStagedElseStream sends by the stream where nothing can be staged: another
// user than root could not read it, a home may not be for writing, its disk may be
// too small. A program of SFTP does where there is no subsystem.
func TestStagedElseStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		as   string
		home func(t *testing.T, home string) error
		more []sshtest.Option
		way  string
	}{
		"not root": {as: "ann", way: "tar"},
		"no home":  {way: "tar", home: func(_ *testing.T, home string) error { return os.Chmod(home, 0o500) }},
		"no room": {way: "tar", home: func(t *testing.T, home string) error {
			t.Cleanup(func() { syscall.Unmount(home, 0) })
			return syscall.Mount("tmpfs", home, "tmpfs", 0, "mode=0700,uid=54321,size=16m")
		}},
		"no subsystem": {way: "sftp-server and a copy by root", more: []sshtest.Option{sshtest.NoSFTP()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var home func(string) error
			if c.home != nil {
				home = func(home string) error { return c.home(t, home) }
			}
			r := newRootsFile(t, home, c.more...)
			if c.as != "" {
				if err := os.Chown(filepath.Dir(r.dst), ann, ann); err != nil {
					t.Fatal(err)
				}
			}
			did, err := r.push(r.s.Port, c.as, &Push{})
			if err != nil || did.Way != c.way || did.Sent != 1 {
				t.Errorf("%+v, %v", did, err)
			}
			r.holds(r.dst, string(r.data))
			r.left("big")
		})
	}
}

// TestStagedInTree has the large file of a tree put by root on its own, or by the
// stream where it cannot be staged.
func TestStagedInTree(t *testing.T) {
	t.Parallel()
	r := newRootsFile(t, nil)
	src, dst := filepath.Dir(r.src), filepath.Dir(r.dst)+"/tree"
	large := make([]byte, largeSize+12345)
	rand.Read(large)
	write(t, src, map[string]string{"d/large": string(large), "d/small": "1"})
	age(t, src)
	h := dialTrusting(t, r.s, r.s.Port)
	push := func(way string, files, size int) {
		t.Helper()
		p := &Push{Sources: []string{src + "/"}, Dst: dst, Links: KeepLinks, MaxDelete: 10}
		if err := p.Prepare(testContext(t), hostNamed("h")); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		did, err := p.Do(testContext(t), h.conn, "h", Show{Out: io.Discard, Err: io.Discard,
			Become: &sshpool.Become{Password: func() string { return "hunter2-of-ann" }}})
		if err != nil || did.Way != way || did.Sent != files || did.Bytes != int64(size) || !did.NotSynced {
			t.Errorf("%+v, %v, want %s", did, err, way)
		}
		same(t, src, dst)
		r.left("big", "tree")
	}
	all := len(large) + len(r.data) + 1
	push("tar and sftp and a copy by root", 3, all)
	write(t, src, map[string]string{"d/large": string(large[1:])})
	age(t, src)
	push("sftp and a copy by root", 1, len(large)-1) // nothing else, and the folder keeps its time
	if err := errors.Join(os.RemoveAll(dst), os.Chmod(r.home+"/.cache", 0)); err != nil {
		t.Fatal(err)
	}
	push("tar", 3, all-1)
}

// TestPlaceScript has shells and tools of two makes place a file over what may be
// there, and leave nothing else.
func TestPlaceScript(t *testing.T) {
	t.Parallel()
	for tools, path := range map[string]string{"busybox": busyboxTools(t), "GNU": "/usr/bin:/bin"} {
		for _, c := range []struct {
			name, old, keep, sum string
			want                 string // what the script writes
			there                []string
		}{
			{name: "f", want: "done", there: []string{"f"}},
			{name: "-n 'x", old: "old", keep: "yes", want: "done", there: []string{"-n 'x", "-n 'x~"}},
			{name: "link", old: "-> folder", want: "done", there: []string{"link"}},
			{name: "d", old: "dir", want: "at move", there: []string{"d"}},
			{name: "f", old: "old", keep: "yes", sum: "e3b0c442", want: "at verify", there: []string{"f"}},
			{name: "pid", old: "old", want: "done", there: []string{"pid"}},
		} {
			dir, aside := t.TempDir(), t.TempDir()
			write(t, aside, map[string]string{"staged": "content", "folder": "dir"})
			if c.old != "" {
				write(t, dir, map[string]string{c.name: strings.Replace(c.old, "folder", aside+"/folder", 1)})
			}
			sum := fmt.Sprintf("%x", digestOf([]byte("content")))
			if c.sum != "" {
				sum = c.sum
			}
			t1, t2, _ := strings.Cut(stamp(time.Unix(1_500_000_000, 0)), " ")
			cmd := exec.Command("/bin/sh", "-c", placeScript, "fleet", nonce(), dir, c.name, aside+"/staged", "7", sum, "sha256sum", "", "4640", t1, t2, c.keep, "", t1, t2)
			if tools == "busybox" {
				cmd.Path = filepath.Join(path, "sh")
			}
			cmd.Env = []string{"PATH=" + path, "LC_ALL=C"}
			said, err := cmd.Output()
			if strings.TrimSpace(string(said)) != c.want || (err == nil) != (c.want == "done") {
				t.Errorf("%s, %s over %q: %q, %v", tools, c.name, c.old, said, err)
			}
			list, err := os.ReadDir(dir)
			var got []string
			for _, e := range list {
				got = append(got, e.Name())
			}
			if err != nil || strings.Join(got, "/") != strings.Join(c.there, "/") {
				t.Errorf("%s, %s over %q: there is %q, %v", tools, c.name, c.old, got, err)
			}
			if inside, _ := os.ReadDir(aside + "/folder"); len(inside) > 0 {
				t.Errorf("%s, %s over %q: written through a link", tools, c.name, c.old)
			}
			if fi, err := os.Stat(dir); err != nil || c.want == "done" && fi.ModTime().Unix() != 1_500_000_000 {
				t.Errorf("%s, %s over %q: the folder is of %v, %v", tools, c.name, c.old, fi.ModTime(), err)
			}
			fi, err := os.Lstat(filepath.Join(dir, c.name))
			if err != nil || c.want == "done" && (fi.Mode() != 0o640|os.ModeSetuid || fi.ModTime().Unix() != 1_500_000_000 || fi.Size() != 7) {
				t.Errorf("%s, %s over %q: %v, %v", tools, c.name, c.old, fi, err)
			}
		}
	}
}
