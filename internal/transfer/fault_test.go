package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// cutter passes connections on to a server and cuts each when the client has
// sent so many bytes.
type cutter struct {
	port  int
	after atomic.Int64
	// reverse, where not 0, is how much the server may send.
	reverse atomic.Int64
	sent    atomic.Int64 // by the last
}

func newCutter(t *testing.T, to int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{port: l.Addr().(*net.TCPAddr).Port}
	c.after.Store(1 << 40)
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				client.Close()
				return
			}
			back := make(chan struct{})
			go func() {
				defer close(back)
				most := c.reverse.Load()
				if most == 0 {
					most = 1 << 40
				}
				io.Copy(struct{ io.Writer }{client}, io.LimitReader(server, most)) // not by splice, whose pipes stay open
				client.Close()
				server.Close()
			}()
			n, _ := io.Copy(struct{ io.Writer }{server}, io.LimitReader(client, c.after.Load()))
			c.sent.Store(n)
			client.Close()
			server.Close()
			<-back
		}
	}()
	return c
}

// TestPushCut cuts the connection of a push at each tenth of it, or each other one
// where all goes by SFTP: every file is the old one or the new one, and the next
// push mends it. What was begun is removed by the host's script, by SFTP alone by
// the next push.
func TestPushCut(t *testing.T) {
	for name, c := range map[string]struct {
		options  []sshtest.Option
		step     int64
		cleansUp bool
	}{
		"shell": {step: 1, cleansUp: true},
		"sftp":  {options: []sshtest.Option{sshtest.Config("ForceCommand internal-sftp")}, step: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cutPushes(t, sshtest.OpenSSH(t, c.options...), c.step, c.cleansUp)
		})
	}
}

func cutPushes(t *testing.T, s *sshtest.Server, step int64, cleansUp bool) {
	c := newCutter(t, s.Port)
	old, fresh := map[string]string{}, map[string]string{}
	for i := range 40 {
		name := fmt.Sprintf("d%d/f%d", i%4, i)
		old[name] = strings.Repeat(fmt.Sprint("old", i), 1000)
		fresh[name] = strings.Repeat(fmt.Sprint("new!", i), 20_000)
	}
	src, dst := filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "dst")
	write(t, src, fresh)
	push := func() error {
		h := dialTrusting(t, s, c.port)
		_, _, err := h.push(&Push{Sources: []string{src + "/"}, Dst: dst})
		h.conn.Close()
		return err
	}
	write(t, dst, old)
	if err := push(); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	for c.sent.Load() == 0 && ctx.Err() == nil { // until the connection has ended there, too
		pause(ctx)
	}
	whole := c.sent.Load()
	for tenth := int64(1); tenth < 10; tenth += step {
		os.RemoveAll(dst)
		write(t, dst, old)
		c.after.Store(whole * tenth / 10)
		if err := push(); err == nil {
			t.Errorf("cut at %d/10: no error", tenth)
		}
		s.WaitCommands(0, 30*time.Second)
		for name := range fresh {
			data, err := os.ReadFile(filepath.Join(dst, name))
			if err != nil || string(data) != old[name] && string(data) != fresh[name] {
				t.Errorf("cut at %d/10: %s is neither: %d bytes, %v", tenth, name, len(data), err)
			}
		}
		if left, _ := filepath.Glob(dst + "/.fleet*"); cleansUp && len(left) > 0 {
			t.Errorf("cut at %d/10: left %v", tenth, left)
		}
		c.after.Store(1 << 40)
		if err := push(); err != nil {
			t.Error(err)
		}
		same(t, src, dst)
	}
}

// dialTrusting is dial for a server behind another port.
func dialTrusting(t *testing.T, s *sshtest.Server, port int) *host {
	t.Helper()
	known, err := hostkeys.Load(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	auth := &sshpool.Auth{Keys: []string{s.KeyFile}}
	t.Cleanup(func() { auth.Close() })
	ctx := testContext(t)
	target := sshpool.Target{Address: "127.0.0.1", Port: port, User: s.User,
		Auth: auth, HostKeys: &hostkeys.Policy{Mode: hostkeys.InsecureOff, Index: known}}
	conn, err := sshpool.Dial(ctx, target)
	for err != nil && ctx.Err() == nil { // sshd drops some while others end
		pause(ctx)
		conn, err = sshpool.Dial(ctx, target)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &host{t: t, conn: conn, dir: t.TempDir()}
}

// TestPushToolsFail has tools of the host fail: the cause is typed, what was
// there stays, and nothing is left behind.
func TestPushToolsFail(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	src := t.TempDir()
	write(t, src, map[string]string{"f": "newer", "g": "more"})
	for name, c := range map[string]struct {
		tar, sum string
		kind     scheduler.Kind
		text     string
	}{
		"disk full":   {"cat >/dev/null; echo 'tar: t/f: Cannot write: No space left on device' >&2; exit 2", "", scheduler.KindRemoteNoSpace, "/f: no space left on device"},
		"quota":       {"cat >/dev/null; echo 'tar: t/f: Cannot open: Disk quota exceeded' >&2; exit 2", "", scheduler.KindQuota, "/f: disk quota exceeded"},
		"read-only":   {"cat >/dev/null; echo 'tar: t: Cannot mkdir: Read-only file system' >&2; exit 2", "", scheduler.KindReadOnly, "unpack: "},
		"long name":   {"cat >/dev/null; echo 'tar: t/f: Cannot open: File name too long' >&2; exit 2", "", scheduler.KindNameTooLong, "name too long"},
		"dies":        {"kill -9 $$", "", scheduler.KindRemote, "unpack: "},
		"no archive":  {"cat >/dev/null", "", scheduler.KindRemote, "unpack: "},
		"wrong bytes": {`exec /bin/tar "$@"`, "echo 't/f: FAILED'; exit 1", scheduler.KindMismatch, "t/f: FAILED"},
		"other bytes": {`/bin/tar "$@"; echo evil >"$4/t/f"`, `exec /usr/bin/sha256sum "$@"`, scheduler.KindMismatch, "FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			lie(`exec /usr/bin/find "$@"`, `case $1 in --version) echo GNU; exit ;; esac; `+c.tar)
			if c.sum != "" {
				h.tool("sha256sum", c.sum)
			}
			dst := t.TempDir()
			write(t, dst, map[string]string{"f": "old"})
			_, _, err := h.push(&Push{Sources: []string{src + "/"}, Dst: dst})
			var e *scheduler.Error
			if !errors.As(err, &e) || e.Outcome != scheduler.Failed || e.Cause.Kind != c.kind || !strings.Contains(e.Cause.Text, c.text) {
				t.Errorf("%#v, want %s %q", err, c.kind, c.text)
			}
			list, _ := os.ReadDir(dst)
			if data, _ := os.ReadFile(filepath.Join(dst, "f")); string(data) != "old" || len(list) != 1 {
				t.Errorf("f is %q, all is %v", data, list)
			}
		})
	}
}

// TestPushIsNeverWider looks at the stage while files are compared: nobody else
// can enter it, and what is in it has its mode already.
func TestPushIsNeverWider(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	lie(`exec /usr/bin/find "$@"`, `exec /bin/tar "$@"`)
	log := filepath.Join(t.TempDir(), "log")
	h.tool("sha256sum", `[ ! -d t ] || stat -c '%a %n' . t/* >`+log+`; exec /usr/bin/sha256sum "$@"`)
	src, dst := t.TempDir(), t.TempDir()
	modes := map[string]os.FileMode{"a": 0o644, "b": 0o755, "c": 0o600, "d": 0o640}
	for name, mode := range modes {
		write(t, src, map[string]string{name: name})
		if err := os.Chmod(filepath.Join(src, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
	seen, err := os.ReadFile(log)
	if err != nil || string(seen) != "700 .\n644 t/a\n755 t/b\n600 t/c\n640 t/d\n" {
		t.Errorf("%s, %v", seen, err)
	}
	same(t, src, dst)
}

// TestPushCanceled ends in the midst of a push, and the host cleans up.
func TestPushCanceled(t *testing.T) {
	t.Parallel()
	h, lie := liar(t)
	ready := filepath.Join(t.TempDir(), "ready")
	lie(`exec /usr/bin/find "$@"`, `case $1 in --version) echo GNU; exit ;; esac; : >`+ready+`; cat >/dev/null; sleep 60 & wait`)
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, map[string]string{"f": "newer"})
	write(t, dst, map[string]string{"f": "old"})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(ready); err == nil {
				cancel()
			}
			pause(ctx)
		}
	}()
	p := &Push{Sources: []string{src + "/"}, Dst: dst, Links: KeepLinks, MaxDelete: 10}
	if err := p.Prepare(ctx, hostNamed("h")); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Do(ctx, h.conn, "h", Show{Out: io.Discard, Err: io.Discard}); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(filepath.Join(dst, "f")); string(data) != "old" {
		t.Errorf("f is %q", data)
	}
}

// pause waits a moment.
func pause(ctx context.Context) {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// TestStaleStage removes what the host has left when it went down.
func TestStaleStage(t *testing.T) {
	t.Parallel()
	h := dial(t, sshtest.OpenSSH(t))
	src, dst := t.TempDir(), t.TempDir()
	write(t, src, map[string]string{"f": "newer"})
	node, err := exec.Command("uname", "-n").Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dst, map[string]string{stagePrefix + "DEAD/pid": "999999999\n", stagePrefix + "DEAD/t/x": "1",
		stagePrefix + "ALIVE/pid":  fmt.Sprintln(os.Getpid()),
		stagePrefix + "FALLEN/pid": "999999999 " + string(node),
		// Hosts may share a folder: what is there of another one may be in use.
		stagePrefix + "OTHER/pid": "999999999 another-" + string(node)})
	h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
	var left []string
	for _, name := range names(t, dst) {
		if rest, ours := strings.CutPrefix(name, stagePrefix); ours && !strings.Contains(rest, "/") {
			left = append(left, rest)
		}
	}
	if strings.Join(left, " ") != "ALIVE OTHER" {
		t.Errorf("left: %v", left)
	}
}
