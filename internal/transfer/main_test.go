package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"fleet/internal/event"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// TestMain makes large files small, so that the tests move hundreds of MiB less.
func TestMain(m *testing.M) {
	if aloneSize != 8<<20 || largeSize != 64<<20 {
		panic("other sizes than the documentation says")
	}
	aloneSize, largeSize = 1<<20, 4<<20
	sshtest.Leaks(m)
}

// host is a real server, and a connection to it.
type host struct {
	t    *testing.T
	conn *sshpool.Conn
	dir  string // a folder for what comes to it

	tools string // a folder for tools, of a liar
	way   string // how files go
}

// hostNamed is an inventory of one.
func hostNamed(name string) []*inventory.Host {
	return []*inventory.Host{{Name: name, Vars: map[string]any{"role": "web"}}}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, s *sshtest.Server) *host {
	t.Helper()
	known, err := hostkeys.Load(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	auth := &sshpool.Auth{Keys: []string{s.KeyFile}}
	t.Cleanup(func() { auth.Close() })
	conn, err := sshpool.Dial(testContext(t), sshpool.Target{Address: "127.0.0.1", Port: s.Port, User: s.User,
		Auth: auth, HostKeys: &hostkeys.Policy{Index: known}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &host{t: t, conn: conn, dir: t.TempDir(), way: "tar"}
}

// servers are hosts with tools of several makes.
func servers(t *testing.T) map[string]func(*testing.T) *host {
	return map[string]func(*testing.T) *host{
		"openssh with GNU tools": func(t *testing.T) *host { return dial(t, sshtest.OpenSSH(t)) },
		"openssh with busybox":   busybox,
		"dropbear":               func(t *testing.T) *host { return dial(t, sshtest.Dropbear(t)) },
		"openssh with SFTP only": sftpOnly,
		"dropbear with SFTP only": func(t *testing.T) *host {
			return bySFTP(dial(t, sshtest.Dropbear(t, sshtest.Shell(sftpShell(t)))))
		},
		"openssh without tar": func(t *testing.T) *host {
			tools := busyboxTools(t)
			if err := os.Remove(filepath.Join(tools, "tar")); err != nil {
				t.Fatal(err)
			}
			return bySFTP(dial(t, sshtest.OpenSSH(t, sshtest.Env("PATH="+tools))))
		},
	}
}

// bothWays runs a test with a host that has a shell and tar, and one that has SFTP
// alone.
func bothWays(t *testing.T, test func(t *testing.T, h *host)) {
	for name, start := range map[string]func(*testing.T) *host{
		"tar":  func(t *testing.T) *host { return dial(t, sshtest.OpenSSH(t)) },
		"sftp": sftpOnly,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

// sftpOnly is a host that runs no commands.
func sftpOnly(t *testing.T) *host {
	return bySFTP(dial(t, sshtest.OpenSSH(t, sshtest.Config("ForceCommand internal-sftp"))))
}

func bySFTP(h *host) *host {
	h.way = "sftp"
	return h
}

// sftpShell is a login shell that runs an SFTP server and nothing else.
func sftpShell(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sftponly")
	script := "#!/bin/sh\ncase $2 in */sftp-server) exec \"$2\" ;; esac\necho 'files only' >&2\nexit 1\n"
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// busybox is a host that has nothing but busybox, the shell included.
func busybox(t *testing.T) *host {
	return dial(t, sshtest.OpenSSH(t, sshtest.Env("PATH="+busyboxTools(t))))
}

// busyboxTools is a folder with the tools that are needed, all of busybox.
func busyboxTools(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("busybox")
	if err != nil {
		program = "/bin/busybox"
	}
	sshtest.Need(t, program, "busybox")
	dir := t.TempDir()
	for _, name := range strings.Fields("sh tar find xargs stat readlink sha256sum id printf mkdir rm mv cp ln chmod chown touch cat grep head cmp getent kill sync") {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// push copies to the host and returns what it did and what it told.
func (h *host) push(p *Push) (*event.Transfer, string, error) {
	h.t.Helper()
	entry := &inventory.Host{Name: "h", Vars: map[string]any{"role": "web"}}
	if p.Links == "" {
		p.Links = KeepLinks
	}
	if p.Warn == nil {
		p.Warn = func(text string) { h.t.Logf("warning: %s", text) }
	}
	if p.MaxDelete == 0 {
		p.MaxDelete = 1000
	}
	if err := p.Prepare(testContext(h.t), []*inventory.Host{entry}); err != nil {
		h.t.Fatal(err)
	}
	defer p.Close()
	var out bytes.Buffer
	did, err := p.Do(testContext(h.t), h.conn, "h", Show{Out: &out, Err: &out})
	return did, out.String(), err
}

// mustPush is push that has to work.
func (h *host) mustPush(p *Push) *event.Transfer {
	h.t.Helper()
	did, told, err := h.push(p)
	if err != nil {
		h.t.Fatalf("push: %v\n%s", err, told)
	}
	return did
}

// write makes files: a text is a file's content, one that begins with "-> " the
// target of a link, "dir" an empty folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(text, "-> ")
		var err error
		switch {
		case link:
			err = os.Symlink(target, file)
		case text == "dir":
			err = os.MkdirAll(file, 0o755)
		default:
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listing describes all below dir, a line each: kind, mode, time, name, content.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, file)
		info, err := d.Info()
		if err != nil || rel == "." {
			return err
		}
		line := fmt.Sprintf("%s %q", info.Mode(), rel)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			line += " -> " + target
		case info.Mode().IsRegular():
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if len(data) > 40 {
				line += fmt.Sprintf(" %d bytes, %x", len(data), digestOf(data))
			} else {
				line += fmt.Sprintf(" %q", data)
			}
			line += " " + info.ModTime().UTC().Format(time.DateTime)
			if st := info.Sys().(*syscall.Stat_t); st.Nlink > 1 {
				if f, ok := first[st.Ino]; ok {
					line += " same as " + f
				} else {
					first[st.Ino] = rel
				}
			}
		default:
			line += " " + info.ModTime().UTC().Format(time.DateTime)
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(list)
	return list
}

// age sets all times below dir to some of the past, so that equal times mean
// that they were set.
func age(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		n++
		when := time.Unix(1_500_000_000+int64(n)*1000, 0)
		if err == nil && d.Type()&fs.ModeSymlink == 0 {
			err = os.Chtimes(file, when, when)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unordered compares slices as sets.
var unordered = cmpopts.SortSlices(func(a, b string) bool { return a < b })
