package transfer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// bsdTools is a folder with tools that take what those of the BSDs and macOS do
// and nothing of GNU's: no long options, no find -printf, no stat -c, no touch -d,
// no cp --sparse, no mv -T; and that have no sha256sum. sha256 is one of the BSDs,
// else there is shasum, as on macOS. They stand for such hosts as far as this
// machine can.
func bsdTools(t *testing.T, sum string) string {
	t.Helper()
	dir := t.TempDir()
	const refuse = `#!/bin/sh
for a do case $a in
	--) break ;;
	--*) echo "%s: illegal option -- -" >&2; exit 64 ;;
	esac; done
`
	own := map[string]string{
		"find":   `for a do case $a in -printf|-maxdepth) echo "find: $a: unknown primary or operator" >&2; exit 1 ;; esac; done`,
		"touch":  `for a do case $a in --) break ;; -d) echo "touch: illegal option -- d" >&2; exit 1 ;; esac; done`,
		"mv":     `for a do case $a in --) break ;; -*T*) echo "mv: illegal option -- T" >&2; exit 64 ;; esac; done`,
		"sync":   `[ $# = 0 ] || exit 1`,
		"xargs":  `case $1 in -0) ;; *) echo "xargs: illegal option" >&2; exit 1 ;; esac`,
		"sha256": `[ $# -gt 0 ] || { /usr/bin/sha256sum | cut -d' ' -f1; exit; }; [ "$1" = -r ] || exit 64; shift; /usr/bin/sha256sum "$@" | sed 's/  / /'; exit`,
		"tar":    `case $1 in --version) echo "bsdtar 3.5.3 - libarchive 3.5.3"; exit ;; esac`,
		"stat": `[ "$1" = -f ] || { echo "stat: illegal option -- c" >&2; exit 1; }; shift; f=$1; shift
[ "$1" != -- ] || shift
f=$(printf '%s' "$f" | sed 's/%m/%Y/; s/%Xp/%f/; s/%z/%s/; s/%Su/%U/; s/%Sg/%G/; s/%l/%h/; s/%N/%n/')
exec /usr/bin/stat -c "$f" -- "$@"`,
	}
	names := strings.Fields("sh tar find xargs stat readlink id printf mkdir rm mv cp ln chmod chown touch cat grep head cmp sync cut sed " + sum)
	for _, name := range names {
		real, err := exec.LookPath(name)
		if err != nil && own[name] == "" {
			sshtest.Need(t, "/usr/bin/"+name, "coreutils")
		}
		script := strings.ReplaceAll(refuse, "%s", name) + own[name] + "\nexec " + real + " \"$@\"\n"
		if name == "sh" || name == "tar" {
			script = "#!/bin/sh\n" + own[name] + "\nexec " + real + " \"$@\"\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBSDTools pushes to and pulls from hosts whose tools know nothing of GNU.
func TestBSDTools(t *testing.T) {
	for _, sum := range []string{"sha256", "shasum", "cksum"} {
		t.Run(sum, func(t *testing.T) {
			t.Parallel()
			h := dial(t, sshtest.OpenSSH(t, sshtest.Env("PATH="+bsdTools(t, sum))))
			src, dst := sample(t), filepath.Join(h.dir, "dst")
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Sync: true}); did.Way != "tar" || did.Sent != 15 || did.NotSynced {
				t.Errorf("%+v", did)
			}
			same(t, src, dst)
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst}); did.Skipped != 15 {
				t.Errorf("again: %+v", did)
			}
			write(t, src, map[string]string{"a.txt": "other"})
			write(t, dst, map[string]string{"extra/x": "1"})
			if err := os.Chmod(filepath.Join(src, "empty"), 0o640); err != nil {
				t.Fatal(err)
			}
			age(t, src)
			did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Delete: true, Checksum: true, Backup: true})
			if did.Deleted != 2 || did.Sent < 1 {
				t.Errorf("mirror: %+v", did)
			}
			if data, err := os.ReadFile(filepath.Join(dst, "a.txt~")); err != nil || string(data) != "hello" {
				t.Errorf("kept: %q, %v", data, err)
			}
			h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, Delete: true})
			same(t, src, dst)
			write(t, src, map[string]string{"new": "n"})
			if did := h.mustPush(&Push{Sources: []string{src + "/"}, Dst: dst, AtomicDir: true, Delete: true}); !did.NotAtomic {
				t.Errorf("exchanged in one step: %+v", did)
			}
			pulled := plain(t)
			if _, told, err := h.pull(&Pull{Sources: []string{pulled + "/"}, Dir: h.dir, Checksum: true}); err != nil {
				t.Errorf("pull: %v\n%s", err, told)
			}
			h.samePulled(pulled)
		})
	}
}
