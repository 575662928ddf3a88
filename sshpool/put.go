package sshpool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// putting is one Put under way.
type putting struct {
	f    *Files
	src  *Source
	name string
	o    PutOptions
	temp string
	res  Transfer
}

func (f *Files) put(ctx context.Context, src *Source, name string, o PutOptions) (Transfer, error) {
	began := time.Now()
	p := &putting{f: f, src: src, name: name, o: o}
	p.res.Way, p.res.Size = f.Way(), src.size
	err := p.run(ctx)
	p.res.Took = time.Since(began)
	return p.res, transferError("put", name, err)
}

func (p *putting) run(ctx context.Context) error {
	s := p.f.sftp
	mode := fs.FileMode(0o644)
	old, err := s.Lstat(ctx, p.name)
	switch {
	case err == nil && old.IsDir():
		return &Error{Kind: KindIsFolder, Stage: StageTransfer, Text: quoteName(p.name) + ": is a folder"}
	case err == nil && p.o.NoReplace:
		return &Error{Kind: KindExists, Stage: StageTransfer, Err: fs.ErrExist, Text: quoteName(p.name) + ": file exists"}
	case err == nil:
		p.res.Replaced, mode = true, old.Mode()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if p.src.info != nil {
		mode = p.src.info.Mode()
	}
	if p.o.Mode != nil {
		mode = *p.o.Mode
	}
	var tag [6]byte
	rand.Read(tag[:])
	p.temp = path.Join(path.Dir(p.name), ".fleet-"+hex.EncodeToString(tag[:])+".part")
	file, err := s.OpenFile(ctx, p.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := p.fill(file, mode); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		s.Remove(clean, p.temp)
		return err
	}
	p.res.Atomic = true
	return s.PosixRename(ctx, p.temp, p.name)
}

func (p *putting) fill(file *SFTPFile, mode fs.FileMode) error {
	defer file.Close()
	from := io.NewSectionReader(p.src.r, 0, p.src.size)
	n, err := file.ReadFrom(readFunc(func(b []byte) (int, error) {
		n, err := from.Read(b)
		if waited := waitRates(file.ctx, p.o.Rates, n); waited != nil {
			err = waited
		}
		return n, err
	}))
	p.res.Sent = n
	if err != nil {
		return err
	}
	if p.res.SHA256, err = p.src.SHA256(file.ctx); err != nil {
		return err
	}
	return file.Chmod(mode)
}

// transferError makes an error that of a whole transfer.
func transferError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Op: op, Kind: KindLocal, Stage: StageTransfer, Err: err, Text: excerpt([]byte(err.Error()))}
	}
	c := *e
	c.Op = op
	return &c
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
