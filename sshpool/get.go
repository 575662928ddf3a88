package sshpool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
)

// getting is one Get under way.
type getting struct {
	f      *Files
	remote string
	dir    *os.Root
	name   string
	o      GetOptions
	res    Transfer

	from *SFTPFile
	info fs.FileInfo // of from, when it was opened

	temp string
	to   *os.File
	at   int64     // all before is there and right
	sum  hash.Hash // of all before summed
	done int64     // what sum is of
	sent int64     // what the disk was told to write
	keep bool
}

func (f *Files) get(ctx context.Context, remote string, dir *os.Root, name string, o GetOptions) (Transfer, error) {
	began := time.Now()
	g := &getting{f: f, remote: remote, dir: dir, name: name, o: o, sum: sha256.New()}
	g.res.Way = f.Way()
	err := g.run(ctx)
	g.res.Took = time.Since(began)
	return g.res, transferError("get", name, err)
}

func (g *getting) run(ctx context.Context) (err error) {
	if g.f.sftp == nil {
		return g.stream(ctx)
	}
	if err := g.look(ctx); err != nil {
		return err
	}
	defer g.from.Close()
	if err := g.open(); err != nil {
		return err
	}
	defer func() { g.clean(err) }()
	if err := g.resume(ctx); err != nil {
		return err
	}
	if err := g.fill(ctx); err != nil {
		return err
	}
	if err := g.check(ctx); err != nil {
		return err
	}
	return g.place()
}

// look sees what there is, on both sides.
func (g *getting) look(ctx context.Context) (err error) {
	if old, err := g.dir.Lstat(g.name); err == nil {
		g.res.Replaced = true
		if err := replaceable(g.name, old, g.o.NoReplace); err != nil {
			return err
		}
	}
	// A FIFO would not be opened before somebody writes to it.
	if g.info, err = g.f.sftp.Stat(ctx, g.remote); err != nil {
		return err
	}
	switch mode := g.info.Mode(); {
	case mode.IsDir():
		return &Error{Kind: KindIsFolder, Stage: StageTransfer, Text: quoteName(g.remote) + ": is a folder"}
	case !mode.IsRegular() && mode&fs.ModeIrregular == 0:
		return &Error{Kind: KindUnsupported, Stage: StageTransfer, Err: errNotRegular, Text: quoteName(g.remote) + ": not a regular file"}
	}
	if g.from, err = g.f.sftp.Open(ctx, g.remote); err != nil {
		return err
	}
	if g.info, err = g.from.Stat(); err != nil {
		g.from.Close()
		return err
	}
	if g.o.MaxBytes > 0 && g.info.Size() > g.o.MaxBytes {
		g.from.Close()
		return g.tooLarge(g.info.Size())
	}
	return nil
}

func (g *getting) tooLarge(size int64) error {
	return &Error{Kind: KindTooLarge, Stage: StageTransfer, Text: fmt.Sprintf("%s: %d bytes, allowed are %d", quoteName(g.remote), size, g.o.MaxBytes)}
}

// open opens the temporary file: a new one that only the user can read, or what
// an interrupted get of the same file has left and nobody else goes on with.
func (g *getting) open() (err error) {
	key := ssh.FingerprintSHA256(g.f.conn.HostKey())
	id := identity(fmt.Sprintf("%s\x00%s\x00%d\x00%d", key, g.remote, g.info.Size(), g.info.ModTime().Unix()))
	folder, base := filepath.Dir(g.name), filepath.Base(g.name)
	g.temp, g.keep = filepath.Join(folder, partName(base, id)), true
	const flags = os.O_RDWR | os.O_CREATE
	if left, err := g.dir.Lstat(g.temp); err == nil && (!left.Mode().IsRegular() || left.Mode().Perm() != 0o600 || !owned(left)) {
		g.keep = false
	}
	if g.keep {
		if g.to, err = g.dir.OpenFile(g.temp, flags, 0o600); err != nil {
			return localError(g.name, err)
		}
		if lockFile(g.to) {
			return nil
		}
		g.to.Close()
	}
	g.temp, g.keep = filepath.Join(folder, uniquePart(base, id)), false
	if g.to, err = g.dir.OpenFile(g.temp, flags|os.O_EXCL, 0o600); err != nil {
		return localError(g.name, err)
	}
	return nil
}

// resume finds how much of what was left is right.
func (g *getting) resume(ctx context.Context) error {
	left, err := g.to.Stat()
	if err != nil {
		return localError(g.name, err)
	}
	size := min(left.Size(), g.info.Size())
	if !g.o.NoResume && size >= resumeMin {
		there, _, err := g.f.hashOf(ctx, g.remote, size, false, g.o.Verify, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(g.sum, io.NewSectionReader(g.to, 0, size)); err != nil {
			return localError(g.name, err)
		}
		if [sha256.Size]byte(g.sum.Sum(nil)) == there {
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

func (g *getting) progress(n int64) {
	if g.o.Progress != nil && n > 0 {
		g.o.Progress(n)
	}
}

// fill fetches what is missing. Of a file whose size is told as 0, as those of
// /proc, it fetches what there is.
func (g *getting) fill(ctx context.Context) error {
	end := g.info.Size()
	if end == 0 {
		end = 1 << 62
		if g.o.MaxBytes > 0 {
			end = g.o.MaxBytes + 1
		}
	}
	var failed error
	begin, got := g.at, ranges{}
	stop, err := g.from.readPaced(ctx, begin, end, pieceOf(g.o.Rates), func(at int64, p []byte) error {
		if failed = waitRates(ctx, g.o.Rates, len(p)); failed != nil {
			return failed
		}
		if _, err := g.to.WriteAt(p, at); err != nil {
			failed = localError(g.name, err)
			return failed
		}
		if at == g.done && g.o.Verify != VerifyOff {
			g.sum.Write(p)
			g.done += int64(len(p))
		}
		g.res.Sent += int64(len(p))
		g.progress(int64(len(p)))
		got.add(at, int64(len(p)))
		g.at = got.from(g.at)
		g.flush()
		return nil
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return g.from.fail("read", err)
	case g.info.Size() == 0 && g.o.MaxBytes > 0 && stop > g.o.MaxBytes:
		return g.tooLarge(stop)
	case g.info.Size() > 0 && stop < g.info.Size():
		return &Error{Kind: KindChanged, Stage: StageTransfer, Text: quoteName(g.remote) + ": grew shorter while it was read"}
	}
	g.res.Size = stop
	return nil
}

// flushEvery is how much comes before the disk is told to write it.
const flushEvery = 8 << 20

// flush has the disk begin to write what has come, so that the wait for it in
// the end is short.
func (g *getting) flush() {
	if g.o.NoSync || g.at < g.sent+flushEvery {
		return
	}
	from := max(g.sent, g.res.Resumed)
	beginFlush(g.to, from, g.at-from)
	g.sent = g.at
}

// check compares what came with what is there.
func (g *getting) check(ctx context.Context) error {
	after, err := g.from.Stat()
	if err != nil {
		return err
	}
	size := g.info.Size()
	changed := after.Size() != size || !after.ModTime().Equal(g.info.ModTime())
	g.res.Grew = size > 0 && after.Size() > size
	if g.o.Verify == VerifyOff || size == 0 {
		if changed && !g.res.Grew && size > 0 {
			return g.changed()
		}
		return nil
	}
	if g.done < size { // what came out of order
		if _, err := io.Copy(g.sum, io.NewSectionReader(g.to, g.done, size-g.done)); err != nil {
			return localError(g.name, err)
		}
	}
	here := [sha256.Size]byte(g.sum.Sum(nil))
	there, tool, err := g.f.hashOf(ctx, g.remote, size, !g.res.Grew, g.o.Verify, nil)
	if err != nil {
		return err
	}
	if here != there {
		if again, err := g.from.Stat(); err == nil && (changed || again.Size() != size || !again.ModTime().Equal(g.info.ModTime())) {
			return g.changed()
		}
		g.keep = false
		return &Error{Kind: KindMismatch, Stage: StageTransfer,
			Text: fmt.Sprintf("%s: SHA-256 %x arrived, %x is there", quoteName(g.remote), here[:8], there[:8])}
	}
	g.res.SHA256, g.res.Verified = here, tool
	return nil
}

func (g *getting) changed() error {
	return &Error{Kind: KindChanged, Stage: StageTransfer, Text: quoteName(g.remote) + ": changed while it was read"}
}

// place gives the complete file its permissions, its time and its name.
func (g *getting) place() error {
	mode := g.info.Mode().Perm()
	if g.o.Mode != nil {
		mode = *g.o.Mode
	}
	if err := g.to.Chmod(mode); err != nil {
		return localError(g.name, err)
	}
	if !g.o.NoSync {
		if err := g.to.Sync(); err != nil {
			return localError(g.name, err)
		}
		g.res.Synced = true
	}
	if g.o.Times {
		when := g.info.ModTime()
		if err := g.dir.Chtimes(g.temp, when, when); err != nil {
			return localError(g.name, err)
		}
	}
	var err error
	if g.o.NoReplace {
		if err = g.dir.Link(g.temp, g.name); err == nil {
			err = g.dir.Remove(g.temp)
		}
	} else {
		err = g.dir.Rename(g.temp, g.name)
	}
	if errors.Is(err, fs.ErrExist) {
		return &Error{Kind: KindExists, Stage: StageTransfer, Err: fs.ErrExist, Text: quoteName(g.name) + ": file exists"}
	}
	if err != nil {
		return localError(g.name, err)
	}
	g.res.Atomic = true
	return nil
}

// clean closes the temporary file and removes it, unless it may be gone on with.
// What is past a hole is cut off, so that its size is what is right of it.
func (g *getting) clean(why error) {
	if why == nil {
		g.to.Close()
		return
	}
	if g.keep && interrupted(why) && g.at >= resumeMin {
		g.to.Truncate(g.at)
		g.to.Close()
		return
	}
	g.dir.Remove(g.temp)
	g.to.Close()
}
