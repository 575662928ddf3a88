package transfer

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"fleet/internal/sshtest"
)

// TestLargeFiles has a tree with a large file go both ways; a push of it that is cut
// goes on where it was.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t)
	src := filepath.Join(t.TempDir(), "src")
	large := make([]byte, largeSize+12345)
	rand.Read(large)
	write(t, src, map[string]string{"d/small": "1", "top": "2", "d/large": string(large)})
	age(t, src)
	h := dial(t, s)
	dst := filepath.Join(h.dir, "dst")
	did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst})
	if did.Sent != 3 || did.Bytes != int64(len(large))+2 || did.Way != "tar and sftp" {
		t.Errorf("push: %+v", did)
	}
	same(t, src, dst)
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst}); did.Skipped != 3 || did.Sent != 0 {
		t.Errorf("again: %+v", did)
	}
	large = large[1:]
	write(t, src, map[string]string{"d/large": string(large)})
	age(t, src)
	if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst}); did.Sent != 1 || did.Way != "sftp" {
		t.Errorf("alone: %+v", did)
	}
	same(t, src, dst) // also the time of the folder
	back := &host{t: t, conn: h.conn, dir: t.TempDir()}
	if did, told, err := back.pull(&Pull{Sources: []string{dst + "/"}, Dir: back.dir}); err != nil || did.Sent != 3 || did.Bytes != int64(len(large))+2 {
		t.Errorf("pull: %+v, %v\n%s", did, err, told)
	}
	same(t, src, filepath.Join(back.dir, "h"))

	// A pull that is cut goes on where it was.
	os.RemoveAll(back.dir)
	c := newCutter(t, s.Port)
	c.reverse.Store(largeSize * 3 / 4)
	through := dialTrusting(t, s, c.port)
	through.dir = back.dir
	one := func() *Pull { return &Pull{Sources: []string{dst + "/d/large"}, Dir: back.dir} }
	if _, _, err := through.pull(one()); err == nil {
		t.Error("cut: no error")
	}
	through.conn.Close()
	if did, told, err := back.pull(one()); err != nil || did.Resumed < largeSize/8 {
		t.Errorf("resumed: %+v, %v\n%s", did, err, told)
	}
	if data, err := os.ReadFile(filepath.Join(back.dir, "h/large")); err != nil || !bytes.Equal(data, large) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	list, err := os.ReadDir(filepath.Join(back.dir, "h"))
	if err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
}
