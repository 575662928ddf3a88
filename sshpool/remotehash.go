package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shellScript has sh read script, whatever the user's shell is.
func shellScript(script string) string { return "exec /bin/sh -c " + shellQuote(script) }

// hashScript writes a line "fleet-sum TOOL HASH" of the first bytes of a file, by
// the first tool that there is, and a line "fleet-left NAME" for each other file
// that a pattern matches.
const hashScript = `f=%s r=97
for t in sha256sum shasum openssl; do
  command -v $t >/dev/null 2>&1 && r=98 || continue
  case $t in
  shasum) set -- shasum -a 256 ;;
  openssl) set -- openssl dgst -sha256 -r ;;
  *) set -- sha256sum ;;
  esac
  s=$(head -c %d <"$f" | "$@") && echo "fleet-sum $t $s" && r=0 && break
done
for l in %s; do [ -f "$l" ] && [ "$l" != "$f" ] && echo "fleet-left ${l##*/}"; done
exit $r`

// wholeScript is hashScript of a file whose size is known to be right.
var wholeScript = strings.Replace(hashScript, `head -c %d <"$f" | "$@"`, `"$@" <"$f"`, 1)

// toolFailed is the exit status of hashScript where there is a tool, and a file
// that it could not read.
const toolFailed = 98

var errNoHash = errors.New("no hash tool on the host")

// hashOutput bounds what is read of the tool.
const hashOutput = 64 << 10

// hashThere has the host hash the first n bytes of a file, or all of it, by
// itself. The error is errNoHash where it cannot. It adds to left, where not nil,
// what else there is of temporary files for base in the same folder.
func (f *Files) hashThere(ctx context.Context, name string, n int64, whole bool, left *leftovers) (sum [sha256.Size]byte, tool string, err error) {
	if f.noShell.Load() {
		return sum, "", errNoHash
	}
	if strings.HasPrefix(name, "~") || strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	script := fmt.Sprintf(hashScript, shellQuote(name), n, left.pattern(name))
	if whole {
		script = fmt.Sprintf(wholeScript, shellQuote(name), left.pattern(name))
	}
	var out bytes.Buffer
	res, err := f.conn.Run(ctx, Command{Text: shellScript(script), Stdout: &atMost{w: &out, n: hashOutput}, noWait: true})
	if err != nil {
		if ctx.Err() != nil {
			return sum, "", inTransfer(err)
		}
		var e *Error
		if errors.As(err, &e) && (e.Kind == KindPermission || e.Kind == KindSessionLimit) {
			f.noShell.Store(true)
		}
		return sum, "", errNoHash
	}
	left.note(out.String())
	for line := range strings.Lines(out.String()) {
		w := strings.Fields(line)
		if len(w) >= 3 && w[0] == "fleet-sum" && len(w[2]) == 2*sha256.Size {
			if b, err := hex.DecodeString(w[2]); err == nil {
				copy(sum[:], b)
				return sum, w[1], nil
			}
		}
	}
	if !res.HasExit || res.ExitCode != toolFailed { // no tool, another kind of shell, or none that listens
		f.noShell.Store(true)
	}
	return sum, "", errNoHash
}

// leftovers are temporary files that puts of other content to the same name have
// left in its folder.
type leftovers struct {
	base  string // of the name
	names []string
}

// pattern is a shell's pattern for them, beside a file.
func (l *leftovers) pattern(name string) string {
	if l == nil {
		return "/dev/null/none"
	}
	folder := "."
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		folder = name[:i]
	}
	return shellQuote(folder) + "/" + partPrefix(l.base) + "*.part"
}

// note takes their names from what hashScript writes.
func (l *leftovers) note(out string) {
	if l == nil {
		return
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "fleet-left "+partPrefix(l.base)); ok && !strings.ContainsAny(name, "/ ") {
			l.names = append(l.names, partPrefix(l.base)+name)
		}
	}
}

// atMost writes the first n bytes and drops the rest.
type atMost struct {
	w io.Writer
	n int
}

func (a *atMost) Write(p []byte) (int, error) {
	k := min(len(p), a.n)
	a.n -= k
	if k > 0 {
		if _, err := a.w.Write(p[:k]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// readBack hashes the first n bytes of a file by reading it over the connection.
func (f *Files) readBack(ctx context.Context, name string, n int64) (sum [sha256.Size]byte, err error) {
	file, err := f.sftp.Open(ctx, name)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	h := sha256.New()
	in := newInOrder(h)
	if _, err := file.read(ctx, 0, n, in.take); err != nil {
		return sum, file.fail("read", err)
	}
	if in.at < n {
		return sum, &Error{Kind: KindMismatch, Stage: StageTransfer, Text: fmt.Sprintf("%s: %d bytes, want %d", quoteName(name), in.at, n)}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// readBackMax is the size up to which a file is read back rather than have the
// host start a process for it.
const readBackMax = 32 << 10

// hashOf hashes the first n bytes of a file on the host; whole says that these
// are all. It tells what did it.
func (f *Files) hashOf(ctx context.Context, name string, n int64, whole bool, by Verify, left *leftovers) (sum [sha256.Size]byte, tool string, err error) {
	if by != VerifyRead && n > readBackMax {
		sum, tool, err = f.hashThere(ctx, name, n, whole, left)
		if !errors.Is(err, errNoHash) {
			return sum, tool, err
		}
	}
	sum, err = f.readBack(ctx, name, n)
	return sum, string(VerifyRead), err
}

// inOrder passes on the pieces of a file in their order; pieces that come early
// are kept.
type inOrder struct {
	w     io.Writer
	at    int64
	early map[int64][]byte
}

func newInOrder(w io.Writer) *inOrder { return &inOrder{w: w, early: map[int64][]byte{}} }

func (o *inOrder) take(at int64, p []byte) error {
	if at != o.at {
		o.early[at] = bytes.Clone(p)
		return nil
	}
	for ok := true; ok; p, ok = o.early[o.at] {
		delete(o.early, o.at)
		n, err := o.w.Write(p)
		o.at += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}
