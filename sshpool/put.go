package sshpool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// putting is one Put under way.
type putting struct {
	f    *Files
	s    *SFTP
	src  *Source
	name string
	o    PutOptions
	res  Transfer

	old   fs.FileInfo // what is replaced, or nil
	temp  string
	file  *SFTPFile // open at temp
	from  int64     // where to go on: all before is there and right
	moved bool      // the old file is gone from its place
	left  leftovers // of other content
	keep  bool      // the temporary file may be gone on with
}

func (f *Files) put(ctx context.Context, src *Source, name string, o PutOptions) (Transfer, error) {
	began := time.Now()
	p := &putting{f: f, s: f.sftp, src: src, name: name, o: o, left: leftovers{base: path.Base(name)}}
	p.res.Way, p.res.Size = f.Way(), src.size
	var err error
	if p.s == nil && o.Fill != nil {
		err = &Error{Kind: KindUnsupported, Stage: StageTransfer, Err: errors.ErrUnsupported, Text: "the host has no SFTP"}
	} else if p.s == nil {
		err = p.stream(ctx)
	} else {
		err = p.run(ctx)
	}
	p.res.Took = time.Since(began)
	return p.res, transferError("put", name, err)
}

func (p *putting) run(ctx context.Context) error {
	if p.o.Fill != nil {
		return p.filled(ctx)
	}
	looked := make(chan error, 1)
	go func() { looked <- p.look(ctx) }()
	opened := p.open(ctx)
	err := <-looked
	if err == nil {
		err = opened
	}
	if err != nil && opened != nil {
		return p.cause(ctx, err)
	}
	if err == nil {
		err = p.fill(ctx)
	}
	return p.finish(ctx, err)
}

// finish checks what has arrived and puts it in its place, or clears up after err.
func (p *putting) finish(ctx context.Context, err error) error {
	if err == nil {
		err = p.check(ctx)
	}
	if err == nil {
		err = p.place(ctx)
	}
	if err == nil {
		for _, name := range p.left.names {
			p.s.Remove(ctx, path.Join(p.folder(), name))
		}
		return nil
	}
	err = p.cause(ctx, err)
	p.clean(ctx, err)
	return err
}

// look sees what is replaced.
func (p *putting) look(ctx context.Context) error {
	old, err := p.s.Lstat(ctx, p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if p.o.Move != nil { // who moves it may see it
			return nil
		}
		return err
	}
	p.old, p.res.Replaced = old, true
	return replaceable(p.name, old, p.o.NoReplace)
}

// replaceable tells what may not be replaced by a file.
func replaceable(name string, old fs.FileInfo, no bool) error {
	switch {
	case no:
		return &Error{Kind: KindExists, Stage: StageTransfer, Err: fs.ErrExist, Text: quoteName(name) + ": file exists"}
	case old.IsDir():
		return &Error{Kind: KindIsFolder, Stage: StageTransfer, Text: quoteName(name) + ": is a folder"}
	case !old.Mode().IsRegular() && old.Mode()&fs.ModeSymlink == 0 && old.Mode()&fs.ModeIrregular == 0:
		return &Error{Kind: KindExists, Stage: StageTransfer, Text: quoteName(name) + ": is no regular file, and stays"}
	}
	return nil
}

// partName is the name of a temporary file: of the file it will be and of the
// content it will have, so that whoever goes on with it writes the same bytes to
// the same places, even at the same time.
func partName(base, id string) string { return partPrefix(base) + id + ".part" }

func partPrefix(base string) string { return ".fleet-" + identity(base) + "-" }

// uniquePart is partName that nobody else has.
func uniquePart(base, id string) string {
	var b [8]byte
	rand.Read(b[:])
	return partPrefix(base) + id + "-" + hex.EncodeToString(b[:]) + ".part"
}

// folder is where the temporary file is.
func (p *putting) folder() string {
	if p.o.Stage != "" {
		return p.o.Stage
	}
	return path.Dir(p.name)
}

// open opens the temporary file: a new one that only the user can read, or what
// an interrupted put of the same content has left.
func (p *putting) open(ctx context.Context) (err error) {
	base := path.Base(p.name)
	p.temp, p.keep = path.Join(p.folder(), partName(base, p.src.id)), true
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	p.file, err = p.s.OpenFile(ctx, p.temp, flags, 0o600)
	if err == nil || ctx.Err() != nil {
		return err
	}
	left, statErr := p.s.Lstat(ctx, p.temp)
	if statErr != nil { // it is not there: the trouble is another
		return err
	}
	if p.mine(ctx, left) {
		if p.file, err = p.s.OpenFile(ctx, p.temp, os.O_RDWR, 0); err != nil {
			return err
		}
		return p.resume(ctx, left.Size())
	}
	p.temp, p.keep = path.Join(p.folder(), uniquePart(base, p.src.id)), false
	p.file, err = p.s.OpenFile(ctx, p.temp, flags, 0o600)
	return err
}

// mine tells whether what was left can be trusted not to be in anybody else's
// hands: a file of the user's own, in a folder where not everybody can have put it.
func (p *putting) mine(ctx context.Context, left fs.FileInfo) bool {
	if !left.Mode().IsRegular() || left.Mode().Perm() != 0o600 || left.Size() > p.src.size {
		return false
	}
	folder, err := p.s.Stat(ctx, p.folder())
	if err != nil || folder.Mode().Perm()&0o002 != 0 {
		return false
	}
	st, ok := left.Sys().(*FileStat)
	uid, known := p.f.user(ctx, p.folder())
	return ok && st.HasOwner && known && st.UID == uid
}

// user is the number of the user that files are made by.
func (f *Files) user(ctx context.Context, folder string) (uid uint32, ok bool) {
	if v := f.uid.Load(); v != nil {
		return *v, true
	}
	probe := path.Join(folder, uniquePart("uid", "uid"))
	file, err := f.sftp.OpenFile(ctx, probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, false
	}
	fi, err := file.Stat()
	file.Close()
	clean, cancel := brief(ctx)
	defer cancel()
	f.sftp.Remove(clean, probe)
	if err != nil {
		return 0, false
	}
	st, ok := fi.Sys().(*FileStat)
	if !ok || !st.HasOwner {
		return 0, false
	}
	f.uid.Store(&st.UID)
	return st.UID, true
}

// resume finds how much of what was left is right.
func (p *putting) resume(ctx context.Context, size int64) error {
	if p.o.NoResume || size < resumeMin {
		return nil
	}
	there, _, err := p.f.hashOf(ctx, p.temp, size, false, p.o.Verify, nil)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Kind == KindMismatch {
			return nil
		}
		return err
	}
	here, err := p.src.prefix(ctx, size)
	if err != nil {
		return err
	}
	if here == there {
		p.from, p.res.Resumed = size, size
		p.progress(size)
	}
	return nil
}

// resumeMin is the size from which an interrupted transfer is worth going on with.
const resumeMin = 64 << 10

func (p *putting) progress(n int64) {
	if p.o.Progress != nil && n > 0 {
		p.o.Progress(n)
	}
}

// fill sends what is missing.
func (p *putting) fill(ctx context.Context) error {
	if p.o.Verify != VerifyOff {
		p.src.hash()
	}
	at, told, piece := p.from, p.from, pieceOf(p.o.Rates)
	full, err := p.file.write(ctx, p.from, func(limit int) ([]byte, func(), error) {
		if at == p.src.size {
			return nil, nil, io.EOF
		}
		if piece > 0 {
			limit = min(limit, piece)
		}
		b, err := p.src.at(at, limit)
		if err != nil {
			return nil, nil, err
		}
		if err := waitRates(ctx, p.o.Rates, len(b)); err != nil {
			return nil, nil, err
		}
		at += int64(len(b))
		return b, nil, nil
	}, func(full int64) {
		p.progress(full - told)
		told = full
	})
	p.res.Sent = full - p.from
	if err != nil {
		return p.file.fail("write", err)
	}
	return p.src.changed()
}

// check compares what is there with the source, and has it on the host's disk.
func (p *putting) check(ctx context.Context) error {
	synced := make(chan error, 1)
	go func() {
		if _, ok := p.s.Offers(extFsync); !ok || p.o.NoSync {
			synced <- errors.ErrUnsupported
			return
		}
		synced <- p.file.Sync()
	}()
	if err := p.verify(ctx); err != nil {
		<-synced
		return err
	}
	err := <-synced
	p.res.Synced = err == nil
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func (p *putting) verify(ctx context.Context) error {
	fi, err := p.file.WithContext(ctx).Stat()
	if err != nil {
		return err
	}
	if fi.Size() != p.src.size {
		return p.mismatch(fmt.Sprintf("%d bytes arrived of %d", fi.Size(), p.src.size))
	}
	if p.o.Verify == VerifyOff {
		return nil
	}
	there, tool, err := p.f.hashOf(ctx, p.temp, p.src.size, true, p.o.Verify, &p.left)
	if err != nil {
		return err
	}
	here, err := p.src.SHA256(ctx)
	if err != nil {
		return err
	}
	if here != there {
		if err := p.src.changed(); err != nil {
			return err
		}
		return p.mismatch(fmt.Sprintf("SHA-256 %x, want %x", there[:8], here[:8]))
	}
	p.res.SHA256, p.res.Verified = here, tool
	return nil
}

func (p *putting) mismatch(what string) error {
	return &Error{Kind: KindMismatch, Stage: StageTransfer, Text: quoteName(p.name) + ": " + what}
}

// clean removes the temporary file of a put that failed; where only the
// connection or the time was at fault, it is kept for the next.
func (p *putting) clean(ctx context.Context, why error) {
	select {
	case <-p.s.Done():
		return
	default:
	}
	if p.file != nil {
		p.file.Close()
	}
	ctx, cancel := brief(ctx)
	defer cancel()
	if !p.keep || !interrupted(why) || p.res.Resumed+p.res.Sent < resumeMin {
		p.s.Remove(ctx, p.temp)
	}
}

// transferError makes an error that of a whole transfer.
func transferError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return localError(name, err)
	}
	c := *e
	c.Op = op
	return &c
}

// interrupted tells whether a transfer ended by what is not its own.
func interrupted(why error) bool {
	var e *Error
	return errors.As(why, &e) && (e.Kind == KindCanceled || e.Kind == KindTimeout || e.Kind == KindConnLost)
}
