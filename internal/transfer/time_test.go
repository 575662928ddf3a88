package transfer

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNanoseconds keeps times to the nanosecond where the host's tools can, and to
// the second elsewhere; what is compared is the second.
func TestNanoseconds(t *testing.T) {
	exact := time.Unix(1_600_000_000, 123_456_789)
	for name, start := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			want := exact
			if h.way == "sftp" || name == "openssh with busybox" {
				want = exact.Truncate(time.Second)
			}
			src, dst := filepath.Join(t.TempDir(), "s"), filepath.Join(h.dir, "s")
			write(t, src, map[string]string{"f": "1", "d/g": "2"})
			set := func(when time.Time) {
				for _, n := range []string{"f", "d/g", "d", "."} {
					if err := os.Chtimes(filepath.Join(src, n), when, when); err != nil {
						t.Fatal(err)
					}
				}
			}
			wants := func(dir, what string, want time.Time) {
				t.Helper()
				for _, n := range []string{"f", "d/g", "d"} {
					if info, err := os.Stat(filepath.Join(dir, n)); err != nil || !info.ModTime().Equal(want) {
						t.Errorf("%s: %s is of %v, %v, want %v", what, n, info.ModTime(), err, want)
					}
				}
			}
			set(exact)
			h.mustPush(&Push{Sources: []string{src}, Dst: h.dir})
			wants(dst, "pushed", want)
			if did := h.mustPush(&Push{Sources: []string{src}, Dst: h.dir}); did.Sent+did.Updated > 0 {
				t.Errorf("again: %+v", did)
			}
			later := exact.Add(time.Hour)
			set(later)
			h.mustPush(&Push{Sources: []string{src}, Dst: h.dir, Checksum: true}) // only times are set
			wants(dst, "updated", want.Add(time.Hour))
			if _, told, err := h.pull(&Pull{Sources: []string{dst}, Dir: h.dir}); err != nil {
				t.Fatal(err, told)
			}
			wants(filepath.Join(h.dir, "h/s"), "pulled", want.Add(time.Hour))
		})
	}
}

// TestPushSync has all on the host's disk in the end, and says so.
func TestPushSync(t *testing.T) {
	for name, start := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			src := sample(t)
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir, Sync: true}); did.NotSynced {
				t.Errorf("%+v", did)
			}
			same(t, src, h.dir)
		})
	}
}
