package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
)

// shell runs a script on a host without SFTP and gives what it wrote, its
// standard error apart. Where it ends with another status than 0 the error is
// typed by the words on standard error.
func (f *Files) shell(ctx context.Context, stdin io.Reader, stdout io.Writer, script string, args ...any) (string, error) {
	var out, errs bytes.Buffer
	if stdout == nil {
		stdout = &atMost{w: &out, n: hashOutput}
	}
	res, err := f.conn.Run(ctx, Command{Text: shellScript("LC_ALL=C; export LC_ALL; umask 077\n" + fmt.Sprintf(script, args...)),
		Stdin: stdin, Stdout: stdout, Stderr: &atMost{w: &errs, n: hashOutput}})
	if err != nil {
		return "", inTransfer(err)
	}
	if res.HasExit && res.ExitCode == 0 {
		return out.String(), nil
	}
	e := &Error{Kind: KindRemote, Stage: StageTransfer, Text: "refused by the host"}
	if !e.byWords(errs.String()) {
		last := strings.TrimSpace(errs.String())
		e.Text = "the host's shell says " + excerpt([]byte(last[strings.LastIndex(last, "\n")+1:]))
	}
	if e.Kind == KindNotFound {
		e.Err = fs.ErrNotExist
	}
	return "", e
}

// inTransfer makes the error of a command one of the transfer that it was for.
func inTransfer(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Stage != StageCommand {
		return err
	}
	c := *e
	c.Stage, c.Text = StageTransfer, strings.Replace(e.Text, " in command", " in transfer", 1)
	return &c
}

// shellName is a name as a word for a shell, never taken for an option.
func shellName(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = "./" + name
	}
	return shellQuote(name)
}

// stream is Put by a shell: cat, the tools for hashes, chmod, mv.
func (p *putting) stream(ctx context.Context) error {
	err := p.streamLook(ctx)
	if err == nil {
		err = p.streamFill(ctx)
	}
	if err == nil {
		err = p.streamVerify(ctx)
	}
	if err == nil {
		err = p.streamPlace(ctx)
	}
	if err == nil {
		for _, name := range p.left.names {
			p.f.shell(ctx, nil, nil, "rm -f %s", shellName(path.Join(p.folder(), name)))
		}
		return nil
	}
	if !interrupted(err) || p.res.Resumed+p.res.Sent < resumeMin {
		clean, cancel := brief(ctx)
		defer cancel()
		p.f.shell(clean, nil, nil, "rm -f %s", shellName(p.temp))
	}
	return streamName(err, p.name)
}

// streamLook sees what is at the name and what an interrupted put has left.
func (p *putting) streamLook(ctx context.Context) error {
	p.temp = path.Join(p.folder(), partName(path.Base(p.name), p.src.id))
	out, err := p.f.shell(ctx, nil, nil, `n=%s t=%s d=%s
if [ ! -d "$d" ]; then [ -e "$d" ] && echo Not a directory >&2 || echo No such file or directory >&2; exit 1; fi
if [ -d "$n" ] && [ ! -h "$n" ]; then w=folder; elif [ -f "$n" ] || [ -h "$n" ]; then w=file; elif [ -e "$n" ]; then w=other; else w=none; fi
if [ -f "$t" ] && [ ! -h "$t" ] && [ -O "$t" ]; then s=$(wc -c <"$t"); else rm -f "$t"; (set -C; : >"$t") || exit 1; s=0; fi
m=$(ls -ldn "$n" 2>/dev/null)
echo "fleet-look $w" $s $m`, shellName(p.name), shellName(p.temp), shellName(p.folder()))
	if err != nil {
		return err
	}
	_, line, ok := strings.Cut(out, "fleet-look ")
	w := strings.Fields(line)
	if !ok || len(w) < 2 {
		return &Error{Kind: KindProtocol, Stage: StageTransfer, Text: "the host's shell answers " + excerpt([]byte(out))}
	}
	info := &fileInfo{name: path.Base(p.name)}
	switch w[0] {
	case "folder":
		info.stat.Mode = modeDir
	case "other":
		info.stat.Mode = modeChar
	case "file":
		info.stat.Mode = modeFile | 0o644
		if len(w) > 2 && len(w[2]) >= 10 {
			info.stat.Mode = modeFile | lsMode(w[2])
		}
	}
	if w[0] != "none" {
		p.old, p.res.Replaced = info, true
		if err := replaceable(p.name, info, p.o.NoReplace); err != nil {
			return err
		}
	}
	size, _ := strconv.ParseInt(w[1], 10, 64)
	return p.streamResume(ctx, size)
}

// lsMode reads permissions as ls(1) writes them.
func lsMode(s string) (mode uint32) {
	for i, c := range []byte(s[1:10]) {
		bit := uint32(1) << (8 - i)
		special := []uint32{modeSetUID, modeSetGID, modeSticky}[i/3]
		switch c {
		case 'r', 'w', 'x':
			mode |= bit
		case 's', 't':
			mode |= bit | special
		case 'S', 'T':
			mode |= special
		}
	}
	return mode
}

func (p *putting) streamResume(ctx context.Context, size int64) error {
	if p.o.NoResume || size < resumeMin || size > p.src.size {
		return nil
	}
	there, _, err := p.f.hashThere(ctx, p.temp, size, false, nil)
	if err != nil {
		return ctx.Err()
	}
	here, err := p.src.prefix(ctx, size)
	if err == nil && here == there {
		p.from, p.res.Resumed = size, size
		p.progress(size)
	}
	return err
}

// streamFill sends what is missing.
func (p *putting) streamFill(ctx context.Context) error {
	if p.o.Verify != VerifyOff {
		p.src.hash()
	}
	script := `exec cat >>%s`
	if p.from == 0 {
		script = `exec cat >%s`
	}
	feed := &feeding{ctx: ctx, p: p, at: p.from}
	_, err := p.f.shell(ctx, feed, nil, script, shellName(p.temp))
	sent, failed := feed.end()
	p.res.Sent = sent - p.from
	if err == nil {
		err = failed
	}
	if err == nil {
		err = p.src.changed()
	}
	return err
}

// feeding is the source as the input of a command, which may ask for more until
// the moment when nobody waits for it any longer.
type feeding struct {
	ctx context.Context
	p   *putting

	mu  sync.Mutex
	at  int64
	err error
}

func (f *feeding) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || f.at == f.p.src.size {
		return 0, io.EOF
	}
	part, err := f.p.src.at(f.at, len(b))
	if err == nil {
		err = waitRates(f.ctx, f.p.o.Rates, len(part))
	}
	if err != nil {
		f.err = err
		return 0, io.EOF
	}
	n := copy(b, part)
	f.at += int64(n)
	f.p.progress(int64(n))
	return n, nil
}

// end stops it and gives how far it came.
func (f *feeding) end() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	failed := f.err
	f.err = io.EOF
	return f.at, failed
}

func (p *putting) streamVerify(ctx context.Context) error {
	out, err := p.f.shell(ctx, nil, nil, `echo fleet-size $(wc -c <%s)`, shellName(p.temp))
	if err != nil {
		return err
	}
	_, size, _ := strings.Cut(out, "fleet-size ")
	if n, err := strconv.ParseInt(strings.TrimSpace(size), 10, 64); err != nil || n != p.src.size {
		return p.mismatch(fmt.Sprintf("%s bytes arrived of %d", excerpt([]byte(strings.TrimSpace(size))), p.src.size))
	}
	if p.o.Verify == VerifyOff {
		return nil
	}
	here, err := p.src.SHA256(ctx)
	if err != nil {
		return err
	}
	there, tool, err := p.f.streamHash(ctx, p.temp, p.src.size, p.o.Verify, &p.left)
	if err != nil {
		return err
	}
	if here != there {
		return p.mismatch(fmt.Sprintf("SHA-256 %x, want %x", there[:8], here[:8]))
	}
	p.res.SHA256, p.res.Verified = here, tool
	return nil
}

// streamHash is hashOf by a shell.
func (f *Files) streamHash(ctx context.Context, name string, n int64, by Verify, left *leftovers) (sum [sha256.Size]byte, tool string, err error) {
	if by != VerifyRead {
		if sum, tool, err = f.hashThere(ctx, name, n, false, left); !errors.Is(err, errNoHash) {
			return sum, tool, err
		}
	}
	h := sha256.New()
	if _, err := f.shell(ctx, nil, h, `exec head -c %d <%s`, n, shellName(name)); err != nil {
		return sum, "", err
	}
	h.Sum(sum[:0])
	return sum, string(VerifyRead), nil
}

// streamPlace gives the complete file its owner, permissions, time and name.
func (p *putting) streamPlace(ctx context.Context) error {
	if p.o.Move != nil {
		err := p.o.Move(ctx, p.temp, p.name)
		clean, cancel := brief(ctx)
		defer cancel()
		p.f.shell(clean, nil, nil, "rm -f %s", shellName(p.temp))
		p.res.Atomic = err == nil
		return err
	}
	var b strings.Builder
	t, n := shellName(p.temp), shellName(p.name)
	fmt.Fprintf(&b, "set -e; t=%s n=%s\n", t, n)
	if p.o.UID != nil {
		fmt.Fprintf(&b, "chown %d \"$t\"\n", *p.o.UID)
	}
	if p.o.GID != nil {
		fmt.Fprintf(&b, "chgrp %d \"$t\"\n", *p.o.GID)
	}
	fmt.Fprintf(&b, "chmod %04o \"$t\"\n", modeBits(p.mode()))
	if !p.o.ModTime.IsZero() {
		fmt.Fprintf(&b, "TZ=UTC0 touch -t %s \"$t\"\n", p.o.ModTime.UTC().Format("200601021504.05"))
	}
	if p.o.Backup != "" && p.old != nil {
		fmt.Fprintf(&b, "ln -f \"$n\" %[1]s 2>/dev/null || cp -p \"$n\" %[1]s\n", shellName(p.backupName()))
	}
	if p.o.NoReplace {
		b.WriteString("ln \"$t\" \"$n\"; rm -f \"$t\"\n")
	} else {
		b.WriteString("if [ -d \"$n\" ] && [ ! -h \"$n\" ]; then echo 'Is a directory' >&2; exit 1; fi\n" +
			"if [ -h \"$n\" ] && [ -d \"$n\" ]; then rm -f \"$n\"; fi\nmv -f \"$t\" \"$n\"\n")
	}
	_, err := p.f.shell(ctx, nil, nil, "%s", b.String())
	p.res.Atomic = err == nil
	return err
}
