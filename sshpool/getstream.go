package sshpool

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// stream is Get by a shell: cat, and the tools for hashes.
func (g *getting) stream(ctx context.Context) (err error) {
	if err := g.streamLook(ctx); err != nil {
		return streamName(err, g.remote)
	}
	if old, err := g.dir.Lstat(g.name); err == nil {
		g.res.Replaced = true
		if err := replaceable(g.name, old, g.o.NoReplace); err != nil {
			return err
		}
	}
	if err := g.open(); err != nil {
		return err
	}
	defer func() { g.clean(err) }()
	if err := g.streamResume(ctx); err != nil {
		return streamName(err, g.remote)
	}
	if err := g.streamFill(ctx); err != nil {
		return streamName(err, g.remote)
	}
	if err := g.streamCheck(ctx); err != nil {
		return streamName(err, g.remote)
	}
	return g.place()
}

// lookScript describes a file, by stat(1) where there is one.
const lookScript = `f=%s
if [ -d "$f" ]; then echo "fleet-look folder"; exit; fi
if [ ! -f "$f" ] && [ -e "$f" ]; then echo "fleet-look other"; exit; fi
s=$(wc -c <"$f") || exit 1
echo "fleet-look file" $s $(ls -ldnL "$f") '#' $(stat -L -c %%Y "$f" 2>/dev/null)`

func (g *getting) streamLook(ctx context.Context) error {
	out, err := g.f.shell(ctx, nil, nil, lookScript, shellName(g.remote))
	if err != nil {
		return err
	}
	_, line, _ := strings.Cut(out, "fleet-look ")
	line, _, _ = strings.Cut(line, "\n")
	line, when, _ := strings.Cut(line, " #")
	w := strings.Fields(line)
	switch {
	case len(w) == 1 && w[0] == "folder":
		return &Error{Kind: KindIsFolder, Stage: StageTransfer, Text: "is a folder"}
	case len(w) == 1 && w[0] == "other":
		return &Error{Kind: KindUnsupported, Stage: StageTransfer, Err: errNotRegular, Text: "not a regular file"}
	case len(w) < 3 || w[0] != "file" || len(w[2]) < 10:
		return &Error{Kind: KindProtocol, Stage: StageTransfer, Text: "the host's shell answers " + excerpt([]byte(out))}
	}
	size, err := strconv.ParseInt(w[1], 10, 64)
	if err != nil || size < 0 {
		return &Error{Kind: KindProtocol, Stage: StageTransfer, Text: "the host's shell answers " + excerpt([]byte(out))}
	}
	info := &fileInfo{name: path.Base(g.remote), size: size, mtime: time.Unix(0, 0)}
	info.stat.Mode = modeFile | lsMode(w[2])
	if sec, err := strconv.ParseInt(strings.TrimSpace(when), 10, 64); err == nil {
		info.mtime = time.Unix(sec, 0)
	}
	g.info = info
	if g.o.MaxBytes > 0 && size > g.o.MaxBytes {
		return g.tooLarge(size)
	}
	return nil
}

// streamName names the file in an error that does not.
func streamName(err error, name string) error {
	if e, ok := err.(*Error); ok && e.Op == "" && e.Stage == StageTransfer && !strings.Contains(e.Text, ": ") {
		return withName(e, name)
	}
	return err
}

func (g *getting) streamResume(ctx context.Context) error {
	left, err := g.to.Stat()
	if err != nil {
		return localError(g.name, err)
	}
	if size := min(left.Size(), g.info.Size()); !g.o.NoResume && size >= resumeMin {
		there, _, err := g.f.hashThere(ctx, g.remote, size, false, nil)
		if ctx.Err() != nil {
			return err
		}
		if _, err := io.Copy(g.sum, io.NewSectionReader(g.to, 0, size)); err != nil {
			return localError(g.name, err)
		}
		if err == nil && [sha256.Size]byte(g.sum.Sum(nil)) == there {
			g.at, g.done, g.res.Resumed = size, size, size
			g.progress(size)
		} else {
			g.sum.Reset()
		}
	}
	if err := g.to.Truncate(g.at); err != nil {
		return localError(g.name, err)
	}
	return nil
}

// writeFunc is a func as an io.Writer.
type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

func (g *getting) streamFill(ctx context.Context) error {
	size := g.info.Size()
	var failed error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	_, err := g.f.shell(ctx, nil, writeFunc(func(p []byte) (int, error) {
		defer func() {
			if failed != nil {
				stop() // else all the rest would come, to be dropped
			}
		}()
		if failed != nil {
			return 0, failed
		}
		all := len(p)
		if size > 0 {
			p = p[:min(int64(len(p)), size-g.at)] // it may have grown
		}
		if failed = waitRates(ctx, g.o.Rates, len(p)); failed != nil {
			return 0, failed
		}
		if _, err := g.to.WriteAt(p, g.at); err != nil {
			failed = localError(g.name, err)
			return 0, failed
		}
		g.sum.Write(p)
		g.at += int64(len(p))
		g.done = g.at
		g.res.Sent += int64(len(p))
		g.progress(int64(len(p)))
		if g.o.MaxBytes > 0 && g.at > g.o.MaxBytes {
			failed = g.tooLarge(g.at)
			return 0, failed
		}
		return all, nil
	}), `exec tail -c +%d <%s`, g.at+1, shellName(g.remote))
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case size > 0 && g.at < size:
		return &Error{Kind: KindChanged, Stage: StageTransfer, Text: "grew shorter while it was read"}
	}
	g.res.Size = g.at
	return nil
}

func (g *getting) streamCheck(ctx context.Context) error {
	before := g.info
	if before.Size() == 0 {
		return nil
	}
	if err := g.streamLook(ctx); err != nil {
		return err
	}
	after := g.info
	g.info = before
	changed := after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())
	g.res.Grew = after.Size() > before.Size()
	if g.o.Verify == VerifyOff {
		if changed && !g.res.Grew {
			return g.changed()
		}
		return nil
	}
	here := [sha256.Size]byte(g.sum.Sum(nil))
	there, tool, err := g.f.streamHash(ctx, g.remote, before.Size(), g.o.Verify, nil)
	if err != nil {
		return err
	}
	if here != there {
		if changed {
			return g.changed()
		}
		g.keep = false
		return &Error{Kind: KindMismatch, Stage: StageTransfer, Text: fmt.Sprintf("SHA-256 %x arrived, %x is there", here[:8], there[:8])}
	}
	g.res.SHA256, g.res.Verified = here, tool
	return nil
}
