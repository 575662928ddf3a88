package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"fleet/internal/sshtest"
	"fleet/sshpool"
)

// TestBecomeReal copies to a folder of root's and from it as a login user who may
// become root, and not as one who is none.
func TestBecomeReal(t *testing.T) {
	t.Parallel()
	const password = "hunter2-of-ann"
	h := dial(t, sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1"), sshtest.WithAccounts(sshtest.Accounts{
		Login: "ann", Passwords: map[string]string{"ann": password},
		Files: map[string]string{"sudoers": "Defaults !lecture\nann ALL=(ALL) ALL\n", "doas.conf": "permit ann\n"}})))
	src := sample(t)
	for dir := src; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dst := filepath.Join(filepath.Dir(src), "dst")
	if err := os.Mkdir(dst, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &Push{Sources: []string{src + "/"}, Dst: dst, Links: KeepLinks, MaxDelete: 10}
	if err := p.Prepare(testContext(t), hostNamed("h")); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var out bytes.Buffer
	do := func(become *sshpool.Become) error {
		out.Reset()
		_, err := p.Do(testContext(t), h.conn, "h", Show{Out: &out, Err: &out, Become: become})
		return err
	}
	if err := do(nil); err == nil || len(listing(t, dst)) > 0 {
		t.Errorf("as ann: %v", err)
	}
	root := &sshpool.Become{Password: func() string { return password }}
	if err := do(root); err != nil {
		t.Fatalf("as root: %v\n%s", err, &out)
	}
	same(t, src, dst)
	if err := do(&sshpool.Become{Method: "doas", Password: root.Password}); err == nil {
		t.Error("by doas with a password: no error")
	}
	// What ann may write herself she needs nobody else for; the files are hers.
	own := filepath.Join(filepath.Dir(src), "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(own, 0o777); err != nil {
		t.Fatal(err)
	}
	readable := filepath.Join(src, "sub")
	h.mustPush(&Push{Sources: []string{readable + "/"}, Dst: own + "/copy"})
	same(t, readable, own+"/copy")
	pull := &Pull{Sources: []string{dst + "/sub/b"}, Dir: h.dir, Links: KeepLinks, MaxDepth: 100}
	if err := pull.Prepare(hostNamed("h")); err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	if _, err := pull.Do(testContext(t), h.conn, "h", Show{Out: &out, Err: &out}); err == nil {
		t.Error("pull as ann: no error")
	}
	if _, err := pull.Do(testContext(t), h.conn, "h", Show{Out: &out, Err: &out, Become: root}); err != nil {
		t.Errorf("pull as root: %v\n%s", err, &out)
	}
	if data, err := os.ReadFile(filepath.Join(h.dir, "h/b")); err != nil || string(data) != "x" {
		t.Errorf("%q, %v", data, err)
	}
}
