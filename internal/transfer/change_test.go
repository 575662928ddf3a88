package transfer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/scheduler"
)

// TestPushChangedSource notices a source that is not any more what it was when
// the push began, and changes nothing on the host.
func TestPushChangedSource(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src, dst := t.TempDir(), t.TempDir()
		write(t, src, map[string]string{"a": "first", "b": "second"})
		write(t, dst, map[string]string{"a": "old"})
		for name, alter := range map[string]func(string) error{
			"longer":  func(f string) error { return os.WriteFile(f, []byte("second and more"), 0o644) },
			"shorter": func(f string) error { return os.Truncate(f, 2) },
			"gone":    os.Remove,
		} {
			p := &Push{Sources: []string{src + "/"}, Dst: dst, Links: KeepLinks, MaxDelete: 1}
			if err := p.Prepare(testContext(t), hostNamed("h")); err != nil {
				t.Fatal(err)
			}
			if err := alter(filepath.Join(src, "b")); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			_, err := p.Do(testContext(t), h.conn, "h", Show{Out: &out, Err: &out})
			var e *scheduler.Error
			if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindChanged && e.Cause.Kind != scheduler.KindLocal {
				t.Errorf("%s: %v", name, err)
			}
			if list := listing(t, dst); len(list) != 1 || !strings.Contains(list[0], `"old"`) {
				t.Errorf("%s: on the host is %v", name, list)
			}
			p.Close()
			write(t, src, map[string]string{"b": "second"})
		}
	})
}

// TestFollowLinks copies what links lead to, and says where they lead in circles.
func TestFollowLinks(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"d/f": "1", "to-f": "-> d/f", "to-d": "-> d"})
		h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir + "/push", Links: FollowLinks})
		if _, _, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir, Links: FollowLinks}); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"push/to-f", "push/to-d/f", "h/to-f", "h/to-d/f"} {
			info, err := os.Lstat(filepath.Join(h.dir, name))
			if err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		write(t, src, map[string]string{"d/round": "-> .."})
		p := &Push{Sources: []string{src + "/"}, Dst: h.dir, Links: FollowLinks}
		if err := p.Prepare(context.Background(), hostNamed("h")); err == nil || !strings.Contains(err.Error(), "a loop") {
			t.Errorf("push of a loop: %v", err)
		}
		if _, told, err := h.pull(&Pull{Sources: []string{src + "/"}, Dir: h.dir, Links: FollowLinks}); err == nil || !strings.Contains(told, "loop") {
			t.Errorf("pull of a loop: %v\n%s", err, told)
		}
	})
}

// TestPushOddSources leaves links out, or sends one that leads nowhere.
func TestPushOddSources(t *testing.T) {
	bothWays(t, func(t *testing.T, h *host) {
		src := t.TempDir()
		write(t, src, map[string]string{"f": "1", "dangling": "-> nowhere"})
		var warned []string
		did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir, Links: SkipLinks, Warn: func(s string) { warned = append(warned, s) }})
		if did.Sent != 1 || len(warned) != 0 {
			t.Errorf("%+v, %v", did, warned)
		}
		if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: h.dir}); did.Sent != 1 || did.Skipped != 1 {
			t.Errorf("%+v", did)
		}
	})
}
