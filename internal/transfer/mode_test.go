package transfer

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMode holds modes to what chmod(1) makes of the same, on files and folders.
func TestMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(5, 7))
	pick := func(set string, most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteByte(set[r.IntN(len(set))])
		}
		return b.String()
	}
	modes := []string{"u+x,go-w", "a+X", "+x", "=", "u=rwx,go=", "g=u", "o=g-w", "u+s", "g+s,+t", "a=rX", "-w", "go=u-w", "u-s", "=s"}
	for range 150 {
		var clauses []string
		for range 1 + r.IntN(3) {
			c := pick("ugoa", 2)
			for range 1 + r.IntN(2) {
				what := pick("rwxXst", 3)
				if r.IntN(4) == 0 {
					what = string("ugo"[r.IntN(3)])
				}
				c += string("+-="[r.IntN(3)]) + what
			}
			clauses = append(clauses, c)
		}
		modes = append(modes, strings.Join(clauses, ","))
	}
	file, folder := filepath.Join(dir, "f"), filepath.Join(dir, "d")
	write(t, dir, map[string]string{"f": "", "d": "dir"})
	for i, text := range modes {
		old := []uint32{0o644, 0o755, 0o600, 0o4751, 0o2775, 0o1777, 0, 0o111}[i%8]
		m, err := ParseMode(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, name := range []string{file, folder} {
			if out, err := exec.Command("sh", "-c", fmt.Sprintf("chmod 0 %s; chmod u-s,g-s,-t %s; chmod %04o %s && chmod -- '%s' %s", name, name, old, name, text, name)).CombinedOutput(); err != nil {
				t.Fatalf("chmod %s: %v %s", text, err, out)
			}
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := m.of(old, name == folder), modeBits(info.Mode()); got != want {
				t.Errorf("%s on %04o of %s is %04o, chmod has %04o", text, old, filepath.Base(name), got, want)
			}
		}
	}
	for _, text := range []string{"", "8", "77777", "u", "u+", "q+x", "u+q", "u+x,", ",", "a+rg", "0x1", "u x"} {
		if m, err := ParseMode(text); err == nil && text != "u+" {
			t.Errorf("%q is %+v", text, m)
		}
	}
	m, err := ParseMode("0640")
	if err != nil || m.of(0o777, false) != 0o640 || m.of(0o777, true) != 0o750 || m.String() != "0640" {
		t.Errorf("%+v, %v", m, err)
	}
}
