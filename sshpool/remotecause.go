package sshpool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// causes are the words of strerror(3) by which servers and tools name a cause.
var causes = []struct {
	words string
	kind  Kind
	text  string
}{
	{"no space left", KindNoSpace, "no space left on the host"},
	{"quota exceeded", KindQuota, "disk quota exceeded"},
	{"read-only file system", KindReadOnly, "read-only file system"},
	{"file name too long", KindNameTooLong, "file name too long"},
	{"is a directory", KindIsFolder, "is a folder"},
	{"not a directory", KindNotFolder, "not a folder"},
	{"file exists", KindExists, "file exists"},
	{"permission denied", KindPermission, "permission denied"},
	{"operation not permitted", KindPermission, "operation not permitted"},
	{"no such file", KindNotFound, "no such file or folder"},
	{"file too large", KindTooLarge, "larger than the host allows a file to be"},
	{"input/output error", KindRemote, "input/output error on the host"},
}

// byWords types an error by what was said about it.
func (e *Error) byWords(said string) bool {
	said = strings.ToLower(said)
	for _, c := range causes {
		if strings.Contains(said, c.words) {
			e.Kind, e.Text = c.kind, c.text
			return true
		}
	}
	return false
}

// cause finds out why a put failed of which the host said only that it did.
func (p *putting) cause(ctx context.Context, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return localError(p.src.name, err)
	}
	vague := e.Kind == KindRemote || e.Kind == KindNotFound && p.file == nil
	switch {
	case e.Kind == KindNoSpace, e.Kind == KindQuota, e.Kind == KindReadOnly:
		return p.about(e)
	case !vague || ctx.Err() != nil:
		return p.about(e)
	}
	found := *e
	if !p.byLooking(ctx, &found) && !p.byTrying(ctx, &found) {
		return p.about(e)
	}
	found.Err = err
	found.Text = quoteName(p.name) + ": " + found.Text
	return &found
}

// about names the file that is put where an error names the temporary one.
func (p *putting) about(e *Error) *Error {
	c := *e
	if rest, ok := strings.CutPrefix(c.Text, quoteName(p.temp)+": "); ok && p.temp != "" {
		c.Text = quoteName(p.name) + ": " + rest
	}
	return &c
}

// byLooking asks what is known about the folder and its file system.
func (p *putting) byLooking(ctx context.Context, e *Error) bool {
	folder := p.folder()
	fi, err := p.s.Stat(ctx, folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Text = KindNotFound, "there is no folder "+quoteName(folder)
		return true
	case err == nil && !fi.IsDir():
		e.Kind, e.Text = KindNotFolder, quoteName(folder)+" is not a folder"
		return true
	}
	v, err := p.s.StatVFS(ctx, folder)
	if err != nil {
		return false
	}
	base := path.Base(p.name)
	switch {
	case v.ReadOnly:
		e.Kind, e.Text = KindReadOnly, "read-only file system"
	case v.NameMax > 0 && len(base) > int(v.NameMax):
		e.Kind, e.Text = KindNameTooLong, fmt.Sprintf("file name too long: %d bytes, the host allows %d", len(base), v.NameMax)
	case p.file != nil && int64(v.Avail) < min(p.src.size-p.res.Sent-p.from, maxMessage):
		e.Kind, e.Text = KindNoSpace, "no space left on the host"
	case v.Files > 0 && v.FreeFiles == 0:
		e.Kind, e.Text = KindNoSpace, "no inodes left on the host"
	default:
		return false
	}
	return true
}

// tryScript does by a shell what failed, for the words of its error.
const tryScript = `LC_ALL=C; export LC_ALL; exec 2>&1; t=%s
[ -e "$t" ] || { : > "$t" && rm -f "$t"; exit; }
exec head -c %d /dev/zero >> "$t"`

// byTrying has the host's tools name the cause.
func (p *putting) byTrying(ctx context.Context, e *Error) bool {
	if p.f.noShell.Load() || p.temp == "" {
		return false
	}
	t := p.temp
	if !path.IsAbs(t) {
		t = "./" + t
	}
	var out bytes.Buffer
	_, err := p.f.conn.Run(ctx, Command{noWait: true, Stdout: &atMost{w: &out, n: hashOutput},
		Text: shellScript(fmt.Sprintf(tryScript, shellQuote(t), maxMessage))})
	return err == nil && e.byWords(out.String())
}
