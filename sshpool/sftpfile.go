package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// SFTPFile is an open file on a host. Calls that take no context end with that
// which the file was opened with; WithContext gives the same file with another.
// ReadAt, WriteAt and those that take no place in the file may be called at
// once from many goroutines; Read, Write, Seek, ReadFrom and WriteTo share one
// place and take turns.
//
// Long reads and writes are cut into as many requests as the server takes, with
// as many of them under way as the line needs. Errors are as of SFTP.
type SFTPFile struct {
	*openFile
	ctx context.Context
}

// openFile is what all views of a file share.
type openFile struct {
	s      *SFTP
	name   string
	handle string

	turn sync.Mutex // held while the place is used
	at   int64
	add  bool // opened with O_APPEND

	mu     sync.Mutex
	closed bool
}

// Open opens a file for reading.
func (s *SFTP) Open(ctx context.Context, name string) (*SFTPFile, error) {
	return s.OpenFile(ctx, name, os.O_RDONLY, 0)
}

// Create opens a file for reading and writing, with nothing in it.
func (s *SFTP) Create(ctx context.Context, name string) (*SFTPFile, error) {
	return s.OpenFile(ctx, name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file as os.OpenFile does: flag is of O_RDONLY, O_WRONLY,
// O_RDWR, O_APPEND, O_CREATE, O_EXCL and O_TRUNC, and the host's umask takes from
// the permissions that perm gives a new file. The file is the caller's to close.
func (s *SFTP) OpenFile(ctx context.Context, name string, flag int, perm fs.FileMode) (*SFTPFile, error) {
	const read, write, add, create, trunc, excl = 1, 2, 4, 8, 16, 32 // SSH_FXF_*, section 6.3
	var bits uint32
	switch flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) {
	case os.O_RDONLY:
		bits = read
	case os.O_WRONLY:
		bits = write
	default:
		bits = read | write
	}
	for f, bit := range map[int]uint32{os.O_APPEND: add, os.O_CREATE: create, os.O_TRUNC: trunc, os.O_EXCL: excl} {
		if flag&f != 0 {
			bits |= bit
		}
	}
	a, err := s.link.ask(ctx, fxpOpen, func(m []byte) []byte {
		m = binary.BigEndian.AppendUint32(appendString(m, name), bits)
		if flag&os.O_CREATE == 0 {
			return binary.BigEndian.AppendUint32(m, 0)
		}
		return appendPerm(m, perm)
	})
	handle, err := a.handle(err)
	if err != nil {
		return nil, s.pathError(ctx, "open", name, err)
	}
	return &SFTPFile{&openFile{s: s, name: name, handle: handle, add: flag&os.O_APPEND != 0}, ctx}, nil
}

// WithContext gives the file with another context for the calls that take none.
func (f *SFTPFile) WithContext(ctx context.Context) *SFTPFile { return &SFTPFile{f.openFile, ctx} }

// Name is the name that the file was opened by.
func (f *SFTPFile) Name() string { return f.name }

// Close closes the file. What the server had accepted is written, though not
// for sure on its disk; see Sync. Where the context has ended Close waits a
// second at most.
func (f *SFTPFile) Close() error {
	f.mu.Lock()
	was := f.closed
	f.closed = true
	f.mu.Unlock()
	if was {
		return f.fail("close", fs.ErrClosed)
	}
	ctx, cancel := brief(f.ctx)
	defer cancel()
	return f.status(ctx, "close", fxpClose, func(m []byte) []byte { return appendString(m, f.handle) })
}

// How long the answer to what tidies up is waited for: where there is time, and
// where ctx has ended, which is when somebody waits for the call to return.
const (
	closeLimit = 10 * time.Second
	hasteLimit = time.Second
)

// brief gives a context for what is done even where ctx has ended.
func brief(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := closeLimit
	if ctx.Err() != nil {
		limit = hasteLimit
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

func (f *SFTPFile) fail(op string, err error) error { return f.s.pathError(f.ctx, op, f.name, err) }

// status asks for what is answered by a status alone.
func (f *SFTPFile) status(ctx context.Context, op string, kind byte, put func([]byte) []byte) error {
	a, err := f.s.link.ask(ctx, kind, put)
	if err = a.status(err); err != nil {
		return f.s.pathError(ctx, op, f.name, err)
	}
	return nil
}

// Stat describes the open file.
func (f *SFTPFile) Stat() (fs.FileInfo, error) {
	a, err := f.s.link.ask(f.ctx, fxpFstat, func(m []byte) []byte { return appendString(m, f.handle) })
	fi, err := a.attrs(f.name, err)
	if err != nil {
		return nil, f.fail("stat", err)
	}
	return fi, nil
}

// Truncate sets the size of the file in bytes.
func (f *SFTPFile) Truncate(size int64) error {
	return f.setstat("truncate", attrSize, func(m []byte) []byte { return binary.BigEndian.AppendUint64(m, uint64(size)) })
}

// Chmod sets permissions, setuid, setgid and sticky.
func (f *SFTPFile) Chmod(mode fs.FileMode) error {
	return f.setstat("chmod", attrPermissions, func(m []byte) []byte { return binary.BigEndian.AppendUint32(m, modeBits(mode)) })
}

// Chown sets the owner and the group, by number.
func (f *SFTPFile) Chown(uid, gid int) error {
	return f.setstat("chown", attrOwner, func(m []byte) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, uint32(uid)), uint32(gid))
	})
}

// Chtimes sets when the file was last read and changed, to the second.
func (f *SFTPFile) Chtimes(atime, mtime time.Time) error {
	return f.setstat("chtimes", attrTimes, func(m []byte) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, uint32(atime.Unix())), uint32(mtime.Unix()))
	})
}

func (f *SFTPFile) setstat(op string, flag uint32, put func([]byte) []byte) error {
	return f.status(f.ctx, op, fxpFsetstat, func(m []byte) []byte {
		return put(binary.BigEndian.AppendUint32(appendString(m, f.handle), flag))
	})
}

// Sync has the host write the file to its disk, by fsync@openssh.com; where the
// server does not offer that the error is ErrUnsupported.
func (f *SFTPFile) Sync() error {
	if _, ok := f.s.Offers(extFsync); !ok {
		return unsupported("sync", f.name, extFsync)
	}
	return f.status(f.ctx, "sync", fxpExtended, func(m []byte) []byte { return appendString(appendString(m, extFsync), f.handle) })
}

// Seek sets the place of the next Read or Write; see io.Seeker.
func (f *SFTPFile) Seek(offset int64, whence int) (int64, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		fi, err := f.Stat()
		if err != nil {
			return f.at, err
		}
		offset += fi.Size()
	default:
		return f.at, f.fail("seek", fs.ErrInvalid)
	}
	if offset < 0 {
		return f.at, f.fail("seek", fs.ErrInvalid)
	}
	f.at = offset
	return offset, nil
}

// Read reads from the file's place on; see io.Reader.
func (f *SFTPFile) Read(p []byte) (int, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Write writes at the file's place; see io.Writer.
func (f *SFTPFile) Write(p []byte) (int, error) {
	f.turn.Lock()
	defer f.turn.Unlock()
	n, err := f.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

var errShort = errors.New("sftp server sent a short answer")
