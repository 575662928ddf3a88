package lab

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
)

// files is an SFTP client of the host.
func (p probe) files() *sftp.Client {
	p.Helper()
	c, err := sftp.NewClient(p.login())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	return c
}

// write writes a file of n bytes in pieces of 4 KiB and gives how far that went.
func (p probe) write(c *sftp.Client, n int) (int, error) {
	p.Helper()
	f, err := c.Create("/f")
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	for wrote := 0; wrote < n; {
		k, err := f.Write(make([]byte, 4<<10))
		if wrote += k; err != nil {
			return wrote, err
		}
	}
	return n, nil
}

// TestSFTP keeps a file in the memory of a host, from one session to the next.
func TestSFTP(t *testing.T) {
	l := start(t, Config{N: 2})
	p := probe{t, l, l.Hosts()[0]}
	c := p.files()
	for _, e := range []string{"posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"} {
		if _, ok := c.HasExtension(e); !ok {
			t.Errorf("no %s", e)
		}
	}
	if n, err := p.write(c, 64<<10); n != 64<<10 || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	f, err := c.OpenFile("/f", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	f.Close()
	f, err = p.files().Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, make([]byte, 64<<10)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if _, err := (probe{t, l, l.Hosts()[1]}).files().Stat("/f"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other host has the file, too: %v", err)
	}
}

// fileProbes says how a client sees the faults of files.
func fileProbes() map[Fault]func(p probe) {
	without := func(extensions ...string) func(p probe) {
		return func(p probe) {
			c := p.files()
			for _, e := range []string{"posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"} {
				if _, ok := c.HasExtension(e); ok == strings.Contains(strings.Join(extensions, " "), e) {
					p.Errorf("%s: %v", e, ok)
				}
			}
		}
	}
	return map[Fault]func(p probe){
		"no-sftp": func(p probe) {
			if err := p.session(p.login()).RequestSubsystem("sftp"); err == nil || !strings.Contains(err.Error(), "failed") {
				p.Errorf("subsystem: %v; want refused", err)
			}
		},
		"mute-sftp": func(p probe) {
			c := p.login()
			p.stuck(c, func() error { _, err := sftp.NewClient(c); return err })
		},
		"noisy-sftp": func(p probe) {
			if _, err := sftp.NewClient(p.login()); err == nil {
				p.Error("a client of a noisy shell")
			}
		},
		"short-reads=100": func(p probe) {
			c := p.files()
			p.write(c, 4096)
			ask := p.raws()
			ask("\x01\x00\x00\x00\x03")
			handle := ask("\x03\x00\x00\x00\x07\x00\x00\x00\x02/f\x00\x00\x00\x01\x00\x00\x00\x00")[5:]
			got := ask("\x05\x00\x00\x00\x08" + handle + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00")
			if len(got) != 9+100 {
				p.Errorf("read %d bytes, want 100", len(got)-9)
			}
		},
		"evil-names": func(p probe) {
			c := p.files()
			list, err := c.ReadDir("/")
			found := false
			for _, info := range list {
				found = found || info.Name() == "/tmp/evil" || info.Name() == "evil" || info.Name() == "../evil"
			}
			if err != nil || !found {
				p.Errorf("%v, %v", list, err)
			}
		},
		"plain-sftp":      without("posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"),
		"no-fsync":        without("fsync@openssh.com"),
		"no-posix-rename": without("posix-rename@openssh.com"),
		"disk-full=64K":   func(p probe) { p.writesUpTo(64 << 10) },
		"cut-files=64K":   func(p probe) { p.writesUpTo(64 << 10) },
	}
}

// dataProbes says how a client sees the faults of what files hold.
func dataProbes() map[Fault]func(p probe) {
	return map[Fault]func(p probe){
		"corrupt-write": func(p probe) {
			c := p.files()
			p.write(c, 4096)
			f, err := c.Open("/f")
			if err != nil {
				p.Fatal(err)
			}
			if got, _ := io.ReadAll(f); len(got) != 4096 || bytes.Equal(got, make([]byte, 4096)) {
				p.Errorf("%d bytes, as they were written", len(got))
			}
		},
		"garbage-files": func(p probe) {
			ask, right := p.raws(), 0
			ask("\x01\x00\x00\x00\x03")
			const want = "\x65\x00\x00\x00\x07\x00\x00\x00\x02"
			for range 20 {
				if strings.HasPrefix(ask("\x11\x00\x00\x00\x07\x00\x00\x00\x05/none"), want) {
					right++
				}
			}
			if right > 10 {
				p.Errorf("%d of 20 answers are right", right)
			}
		},
		"slow-files=50ms": func(p probe) {
			c := p.files()
			p.takes(100*time.Millisecond, func() { p.write(c, 8<<10) })
		},
		"hang-files=64K": func(p probe) {
			c := p.login()
			files, err := sftp.NewClient(c)
			if err != nil {
				p.Fatal(err)
			}
			p.stuck(c, func() error { _, err := p.write(files, 128<<10); return err })
		},
	}
}

// raws asks the sftp subsystem by whole messages.
func (p probe) raws() (ask func(message string) string) {
	p.Helper()
	s := p.session(p.login())
	in, err := s.StdinPipe()
	if err != nil {
		p.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := s.RequestSubsystem("sftp"); err != nil {
		p.Fatal(err)
	}
	return func(message string) string {
		if err := writeMessage(in, []byte(message)); err != nil {
			p.Fatal(err)
		}
		answer, err := readMessage(out)
		if err != nil {
			p.Fatal(err)
		}
		return string(answer)
	}
}

// writesUpTo wants writes to fail after n bytes.
func (p probe) writesUpTo(n int) {
	p.Helper()
	if wrote, err := p.write(p.files(), 2*n); wrote != n || err == nil {
		p.Errorf("wrote %d bytes, %v; want %d and an error", wrote, err, n)
	}
}
