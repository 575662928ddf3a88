package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"strings"
)

// place gives the complete file its owner, its permissions and its name.
func (p *putting) place(ctx context.Context) error {
	if p.o.Move != nil {
		return p.move(ctx)
	}
	file := p.file.WithContext(ctx)
	// The owner first: until then the permissions would be another's.
	if p.o.UID != nil || p.o.GID != nil {
		if err := p.own(file); err != nil {
			return err
		}
	}
	if err := p.dress(file); err != nil {
		return err
	}
	// What is on the disk has nothing to fear from its close any more: the
	// answer to that comes while the file gets its name.
	closed := make(chan error, 1)
	go func() { closed <- file.Close() }()
	if !p.res.Synced || p.o.Backup != "" {
		if err := <-closed; err != nil {
			return err
		}
		closed <- nil
	}
	p.keep = false
	if err := p.backup(ctx); err != nil {
		return err
	}
	err := p.rename(ctx)
	if closeErr := <-closed; err == nil {
		err = closeErr
	}
	if err != nil && p.moved {
		rest, cancel := brief(ctx)
		defer cancel()
		p.s.Rename(rest, p.backupName(), p.name)
	}
	return err
}

// dress gives the file its permissions and its time, by one request.
func (p *putting) dress(file *SFTPFile) error {
	flags := uint32(attrPermissions)
	if !p.o.ModTime.IsZero() {
		flags |= attrTimes
	}
	return file.setstat("chmod", flags, func(m []byte) []byte {
		m = binary.BigEndian.AppendUint32(m, modeBits(p.mode()))
		if flags&attrTimes != 0 {
			when := uint32(p.o.ModTime.Unix())
			m = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, when), when)
		}
		return m
	})
}

func (p *putting) own(file *SFTPFile) error {
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*FileStat)
	if !ok || !st.HasOwner {
		st = &FileStat{}
	}
	uid, gid := int(st.UID), int(st.GID)
	if p.o.UID != nil {
		uid = *p.o.UID
	}
	if p.o.GID != nil {
		gid = *p.o.GID
	}
	if st.HasOwner && uid == int(st.UID) && gid == int(st.GID) {
		return nil
	}
	return file.Chown(uid, gid)
}

// mode is what the file's permissions will be.
func (p *putting) mode() fs.FileMode {
	switch {
	case p.o.Mode != nil:
		return *p.o.Mode
	case p.src.info != nil:
		return p.src.info.Mode()
	case p.old != nil && p.old.Mode().IsRegular():
		return p.old.Mode()
	}
	return 0o644
}

// move leaves the rest to who may do it.
func (p *putting) move(ctx context.Context) error {
	if err := p.file.WithContext(ctx).Close(); err != nil {
		return err
	}
	p.keep = false
	err := p.o.Move(ctx, p.temp, p.name)
	clean, cancel := brief(ctx)
	defer cancel()
	p.s.Remove(clean, p.temp)
	p.res.Atomic = err == nil
	return err
}

// backupName is the name that the old file gets; where it has no folder of its
// own, beside its place.
func (p *putting) backupName() string {
	if to := p.o.Backup; strings.Contains(to, "/") {
		return to
	}
	return path.Join(path.Dir(p.name), p.o.Backup)
}

// backup keeps the old file under its other name, beside the first where the
// host has hard links.
func (p *putting) backup(ctx context.Context) error {
	if p.o.Backup == "" || p.old == nil {
		return nil
	}
	to := p.backupName()
	if _, ok := p.s.Offers(extHardlink); ok {
		temp := path.Join(path.Dir(to), uniquePart(path.Base(to), "backup"))
		if p.s.Link(ctx, p.name, temp) == nil {
			// Where both are the same file already rename(2) does nothing, and the
			// temporary name stays.
			err := p.replace(ctx, temp, to)
			p.s.Remove(ctx, temp)
			return err
		}
	}
	p.moved = true
	return p.replace(ctx, p.name, to)
}

// replace renames a file over another, at once where the host can.
func (p *putting) replace(ctx context.Context, from, to string) error {
	err := p.s.PosixRename(ctx, from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := p.s.Remove(ctx, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.s.Rename(ctx, from, to)
}

// rename puts the file in its place.
func (p *putting) rename(ctx context.Context) error {
	if p.o.NoReplace {
		err := p.s.Rename(ctx, p.temp, p.name)
		if err != nil {
			if _, statErr := p.s.Lstat(ctx, p.name); statErr == nil {
				return &Error{Kind: KindExists, Stage: StageTransfer, Err: fs.ErrExist, Text: quoteName(p.name) + ": file exists"}
			}
		}
		p.res.Atomic = err == nil
		return err
	}
	err := p.s.PosixRename(ctx, p.temp, p.name)
	if !errors.Is(err, errors.ErrUnsupported) {
		p.res.Atomic = err == nil && !p.moved
		return p.renamed(ctx, err)
	}
	// A host without posix-rename replaces nothing by a rename. Where nothing is
	// there that is all, and at once.
	if err = p.s.Rename(ctx, p.temp, p.name); err == nil {
		p.res.Atomic = !p.moved
		return nil
	}
	if _, statErr := p.s.Lstat(ctx, p.name); statErr != nil {
		return p.renamed(ctx, err)
	}
	aside := path.Join(path.Dir(p.name), uniquePart(path.Base(p.name), "old"))
	if err := p.s.Rename(ctx, p.name, aside); err != nil {
		return err
	}
	rest, cancel := brief(ctx) // not to stop between the two
	defer cancel()
	if err := p.s.Rename(rest, p.temp, p.name); err != nil {
		p.s.Rename(rest, aside, p.name)
		return err
	}
	return p.s.Remove(rest, aside)
}

// renamed judges a rename. Where the temporary file is gone, another put of the
// same content has come before this one, and what is there is right; or somebody
// took it away.
func (p *putting) renamed(ctx context.Context, err error) error {
	if !errors.Is(err, fs.ErrNotExist) || p.o.Verify == VerifyOff {
		return err
	}
	sum, _, hashErr := p.f.hashOf(ctx, p.name, p.src.size, true, p.o.Verify, nil)
	if hashErr == nil && sum == p.res.SHA256 {
		p.res.Atomic = true
		return nil
	}
	return &Error{Kind: KindRemote, Stage: StageTransfer, Err: err,
		Text: quoteName(p.name) + ": the temporary file was taken away before it was complete"}
}
