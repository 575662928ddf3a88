package transfer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
)

// TestPushUnnamed has standard input become a file, but none in a folder, as it has
// no name.
func TestPushUnnamed(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		h.mustPush(&Push{Sources: []string{Stdin}, Dst: h.dir + "/f", Stdin: strings.NewReader("text")})
		_, _, err := h.push(&Push{Sources: []string{Stdin}, Dst: h.dir, Stdin: strings.NewReader("text")})
		var e *scheduler.Error
		if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindConflict || !strings.Contains(e.Cause.Text, "is a folder, and standard input has no name") {
			t.Errorf("%v", err)
		}
		if list, err := os.ReadDir(h.dir); err != nil || len(list) != 1 {
			t.Errorf("there is %v, %v", list, err)
		}
	})
}

// TestPushTemplateUnnamed has each host fill in standard input for itself, though all
// of it was read once.
func TestPushTemplateUnnamed(t *testing.T) {
	h := dial(t, sshtest.OpenSSH(t))
	for _, want := range []int{1, 0} { // sent by the first push and the second
		p := &Push{Sources: []string{Stdin}, Dst: h.dir + "/{{.Host}}", Links: KeepLinks, Template: true, Stdin: strings.NewReader("I am {{.Host}}")}
		if err := p.Prepare(testContext(t), append(hostNamed("a"), hostNamed("b")...)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			did, err := p.Do(testContext(t), h.conn, name, Show{Out: io.Discard, Err: io.Discard})
			text, _ := os.ReadFile(filepath.Join(h.dir, name)) // empty where it is not there
			if err != nil || did.Sent != want || string(text) != "I am "+name {
				t.Errorf("%s has %q, %+v, %v, want %d sent", name, text, did, err, want)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPushNoFile refuses a source that is no file before any host is touched; one
// in a folder is told and left out.
func TestPushNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	var warned []string
	for source, want := range map[string]string{fifo: "a FIFO is neither a file nor a folder", "/dev/null": "a device is neither", dir: ""} {
		p := &Push{Sources: []string{source}, Dst: "/x", Links: KeepLinks, Warn: func(text string) { warned = append(warned, text) }}
		err := p.Prepare(testContext(t), hostNamed("h"))
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "fifo: not copied") {
		t.Errorf("warned: %q", warned)
	}
}

// TestPushSharesTrees has hosts whose files go to places of their own share what
// was read here, so that memory does not grow with both, and all is hashed once.
func TestPushSharesTrees(t *testing.T) {
	src := t.TempDir()
	write(t, src, map[string]string{"d/f": "1", "d/g": "2", "one": "3"})
	list := []*inventory.Host{{Name: "a"}, {Name: "b"}}
	for _, c := range []struct{ source, dst, of string }{
		{"d", "/srv/{{.Host}}", "d/f"}, {"d/", "/srv/{{.Host}}/", "f"}, {"one", "/srv/{{.Host}}.txt", ""}, {"d/*", "{{.Host}}", "f"},
	} {
		p := &Push{Sources: []string{src + "/" + c.source}, Dst: c.dst, Links: KeepLinks}
		if err := p.Prepare(testContext(t), list); err != nil {
			t.Fatal(err)
		}
		a, b := p.hosts["a"], p.hosts["b"]
		if &a.entries[0] != &b.entries[0] || a.dst == b.dst {
			t.Errorf("%s: nothing is shared: %q %q", c.source, a.dst, b.dst)
		}
		if c.of == "" && (a.alone.Path != "a.txt" || b.alone.Path != "b.txt" || a.alone.original() != b.alone.original()) {
			t.Errorf("%s: %+v %+v", c.source, a.alone, b.alone)
		}
	}
	p := &Push{Sources: []string{src + "/d/"}, Dst: "/srv/{{.Host}}", Links: KeepLinks, AtomicDir: true}
	if err := p.Prepare(testContext(t), list); err != nil {
		t.Fatal(err)
	}
	if a, b := p.hosts["a"], p.hosts["b"]; a.dst != "/srv" || a.mirrors[0] != "a" || b.mirrors[0] != "b" || b.entries[1].Path != "b/f" {
		t.Errorf("exchanged: %+v %+v", a, b)
	}
}

// TestPushClosedEarly leaves no file behind where the push is given up while
// standard input is read.
func TestPushClosedEarly(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	r, w := io.Pipe()
	p := &Push{Sources: []string{Stdin}, Dst: "/x", Links: KeepLinks, Stdin: r}
	prepared := make(chan error, 1)
	go func() { prepared <- p.Prepare(context.Background(), hostNamed("h")) }()
	if _, err := w.Write(make([]byte, spoolMemory-1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	go func() {
		w.Write(make([]byte, 10))
		w.Close()
	}()
	if err := <-prepared; err == nil {
		t.Error("no error")
	}
	r.Close()
	if list, err := os.ReadDir(tmp); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}
