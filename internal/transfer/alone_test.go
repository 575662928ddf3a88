package transfer

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fleet/sshpool"
)

// interrupted begins to put a file, and is stopped.
func interrupted(t *testing.T, h *host, src, dst string) {
	t.Helper()
	files, err := h.conn.Files(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	from, err := sshpool.OpenSource(src)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	sent := int64(0)
	_, err = files.Put(ctx, from, dst, sshpool.PutOptions{Progress: func(n int64) {
		if sent += n; sent > 1<<20 {
			cancel()
		}
	}})
	if err == nil {
		t.Fatal("a put went on after its context had ended")
	}
}

// TestPushAlone sends one large file, stops it half way, and wants the next push
// to send only the rest.
func TestPushAlone(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := filepath.Join(t.TempDir(), "big")
		data := make([]byte, 4*aloneSize)
		rand.Read(data)
		if err := os.WriteFile(src, data, 0o640); err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(h.dir, "big")
		if err := os.WriteFile(dst, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		interrupted(t, h, src, dst)
		if got, _ := os.ReadFile(dst); string(got) != "old" {
			t.Fatalf("the old file is of %d bytes", len(got))
		}
		did, _, err := h.push(&Push{Sources: []string{src}, Dst: dst, Backup: true})
		if err != nil {
			t.Fatal(err)
		}
		if did.Way != "sftp" || did.Resumed == 0 || did.NotSynced || did.NotAtomic || did.Sent != 1 {
			t.Errorf("%+v", did)
		}
		got, err := os.ReadFile(dst)
		if err != nil || string(got) != string(data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if old, _ := os.ReadFile(dst + "~"); string(old) != "old" {
			t.Errorf("kept: %q", old)
		}
		there, err := os.Stat(dst)
		if err != nil {
			t.Fatal(err)
		}
		here, err := os.Stat(src)
		if err != nil || there.Mode() != here.Mode() || there.ModTime().Unix() != here.ModTime().Unix() {
			t.Errorf("%v %v, want %v %v", there.Mode(), there.ModTime(), here.Mode(), here.ModTime())
		}
		if left, _ := filepath.Glob(filepath.Join(h.dir, ".fleet*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		did, _, err = h.push(&Push{Sources: []string{src}, Dst: dst})
		if err != nil || did.Skipped != 1 || did.Sent != 0 {
			t.Errorf("again: %+v, %v", did, err)
		}
	})
}

// TestBandwidth bounds a push and a pull, and wants them to take their time.
func TestBandwidth(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		dir := t.TempDir()
		data := make([]byte, 512<<10)
		rand.Read(data)
		if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		const rate = 512 << 10
		began := time.Now()
		h.mustPush(&Push{Sources: []string{filepath.Join(dir, "f")}, Dst: filepath.Join(h.dir, "f"), Bandwidth: Bandwidth{All: sshpool.NewRate(rate)}})
		if took := time.Since(began); took < 500*time.Millisecond {
			t.Errorf("push took %v", took)
		}
		began = time.Now()
		if _, told, err := h.pull(&Pull{Sources: []string{filepath.Join(h.dir, "f")}, Dir: filepath.Join(t.TempDir(), "to"), Bandwidth: Bandwidth{Host: rate}}); err != nil {
			t.Fatalf("pull: %v\n%s", err, told)
		}
		if took := time.Since(began); took < 500*time.Millisecond {
			t.Errorf("pull took %v", took)
		}
	})
}
