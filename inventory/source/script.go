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
	// maxComplaint is how much of what it writes to standard error is kept.
	maxComplaint = 4 << 10
)

// maxOutput is the most that a program may write, in bytes. Tests lower it.
var maxOutput = 256 << 20

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
	l.ansibleReader().Sealed = true // what a program writes stands in no file
	defer func() { l.ansibleReader().Sealed = false }()
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
	out, complaint, err := bounded(p.ctx, maxOutput, func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, path, args...) })
	if err == nil {
		return out, nil
	}
	what := p.what
	if len(args) > 0 {
		what += " with " + args[0]
	}
	e := &Error{Source: p.it.text, Msg: fmt.Sprintf("run %s: %v", what, pathCause(err)), Err: err}
	if line := lastLine(complaint); line != "" {
		e.Msg += ": " + line
	}
	if p.err == nil {
		p.err = e
	}
	return nil, e
}

// bounded runs a command until it ends, its context does, or it has written too
// much: then all that it started is ended too. It gives what the command wrote to
// standard output, and the end of what it wrote to standard error.
func bounded(ctx context.Context, most int, command func(context.Context) *exec.Cmd) (out []byte, complaint string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := command(ctx)
	stdout, stderr := &limited{most: most, stop: cancel}, &limited{most: maxComplaint}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	switch err = cmd.Run(); {
	case err == nil:
		return stdout.kept.Bytes(), stderr.kept.String(), nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("ended and left a process behind that holds its output")
	}
	endGroup(cmd)
	return nil, stderr.kept.String(), err
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

// limited keeps a number of bytes: the first, more than which stop the program,
// or without stop the last.
type limited struct {
	kept bytes.Buffer // not embedded: its ReadFrom would pass by Write
	most int
	stop func(error)
}

func (l *limited) Write(b []byte) (int, error) {
	if l.stop != nil && l.kept.Len()+len(b) > l.most {
		err := fmt.Errorf("wrote more than %d bytes", l.most)
		l.stop(err)
		return 0, err
	}
	l.kept.Write(b)
	if more := l.kept.Len() - l.most; more > 0 {
		l.kept.Next(more)
	}
	return len(b), nil
}
