package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

const (
	// DefaultScriptLimit is how long a program may take to write an inventory,
	// all of its runs together.
	DefaultScriptLimit = time.Minute
	// maxOutput is the most that a program may write, in bytes.
	maxOutput = 256 << 20
	// maxComplaint is how much of what it writes to standard error is kept.
	maxComplaint = 4 << 10
)

// isScript takes programs: files that begin with #!, and those that are
// executable and no text.
func isScript(it *item) bool {
	if !it.info.Mode().IsRegular() {
		return false
	}
	head := it.head()
	return bytes.HasPrefix(head, []byte("#!")) || it.info.Mode()&0o111 != 0 && bytes.IndexByte(head, 0) >= 0
}

// head gives the first bytes of the file, as far as they can be read.
func (it *item) head() []byte {
	f, err := os.Open(it.path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	return head[:n]
}

// readScript runs an inventory script with --list, and with --host for each host
// where it has no _meta.
func readScript(l *loader, it *item) error {
	if it.info == nil {
		if err := it.stat(); err != nil {
			return err
		}
	}
	if err := mayRun(it); err != nil {
		return err
	}
	limit := l.ScriptLimit
	if limit <= 0 {
		limit = DefaultScriptLimit
	}
	ctx, cancel := context.WithTimeoutCause(l.ctx, limit, fmt.Errorf("took longer than %v", limit))
	defer cancel()
	p := &program{it: it, ctx: ctx, what: "inventory script"}
	data, err := p.run("--list")
	if err != nil {
		return err
	}
	c := l.ansibleReader().Script(it.path, data, func(host string) ([]byte, error) { return p.run("--host", host) })
	if p.err != nil {
		return p.err
	}
	if !it.inFolder {
		l.beside(filepath.Dir(it.path))
	}
	return l.add(it, c)
}

// mayRun refuses programs that anybody could have written or replaced.
func mayRun(it *item) error {
	if it.info.Mode()&0o111 == 0 {
		return &Error{Source: it.text, Msg: "run inventory script: it is not executable", Way: "chmod +x, if it is to be run"}
	}
	real, err := filepath.EvalSymlinks(it.path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return readError(it.text, it.path, err)
	}
	for path := real; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return readError(it.text, path, err)
		}
		open := info.Mode().Perm()&0o002 != 0
		if sticky := info.Mode()&fs.ModeSticky != 0; sticky && filepath.Dir(real) != path {
			open = false // nobody can replace what others own there
		}
		if open {
			return &Error{Source: it.text, Msg: fmt.Sprintf("run inventory script: anybody may write to %s", path), Way: "chmod o-w, or move the script"}
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

// program is one that writes an inventory, or a password.
type program struct {
	it   *item
	what string
	ctx  context.Context
	err  error // the first
}

// run gives what the program writes to standard output.
func (p *program) run(args ...string) ([]byte, error) {
	path := p.it.path
	if !strings.ContainsRune(path, filepath.Separator) {
		path = "." + string(filepath.Separator) + path
	}
	cmd := exec.CommandContext(p.ctx, path, args...)
	out, complaint := &limited{most: maxOutput}, &limited{most: maxComplaint, rest: true}
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.WaitDelay = time.Second
	killGroup(cmd)
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case p.ctx.Err() != nil:
		err = context.Cause(p.ctx)
	case out.full:
		err = fmt.Errorf("wrote more than %d bytes", maxOutput)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("ended and left a process behind that holds its output")
	}
	what := p.what
	if len(args) > 0 {
		what += " with " + args[0]
	}
	e := &Error{Source: p.it.text, Msg: fmt.Sprintf("run %s: %v", what, pathCause(err)), Err: err}
	if line := lastLine(complaint.String()); line != "" {
		e.Msg += ": " + line
	}
	if p.err == nil {
		p.err = e
	}
	return nil, e
}

// lastLine is the last line that says anything, made safe to show.
func lastLine(text string) string {
	last := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			last = line
		}
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, last)
}

// limited keeps a number of bytes: the first, and refuses more, or the last.
type limited struct {
	bytes.Buffer
	most int
	rest bool // keep the last
	full bool
}

func (l *limited) Write(b []byte) (int, error) {
	if !l.rest && l.Len()+len(b) > l.most {
		l.full = true
		return 0, errors.New("too much output")
	}
	l.Buffer.Write(b)
	if more := l.Len() - l.most; more > 0 {
		l.Next(more)
	}
	return len(b), nil
}
