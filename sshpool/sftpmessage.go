package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"time"

	"github.com/pkg/sftp"
)

// Attributes that a message has (section 5).
const (
	attrSize        = 1
	attrOwner       = 2
	attrPermissions = 4
	attrTimes       = 8
	attrExtended    = 1 << 31
)

// FileStat is what Sys of a fs.FileInfo of an SFTP gives, as *FileStat.
type FileStat struct {
	UID, GID uint32
	Atime    time.Time
	Mode     uint32 // as the host's stat(2) gives it, type and permissions
	// The server need not tell all of them.
	HasSize, HasOwner, HasMode, HasTimes bool
}

// fileInfo is a file as an SFTP server describes it.
type fileInfo struct {
	name  string
	size  int64
	mtime time.Time
	stat  FileStat
}

func (f *fileInfo) Name() string       { return f.name }
func (f *fileInfo) Size() int64        { return f.size }
func (f *fileInfo) Mode() fs.FileMode  { return fileMode(f.stat.Mode) }
func (f *fileInfo) ModTime() time.Time { return f.mtime }
func (f *fileInfo) IsDir() bool        { return f.Mode().IsDir() }
func (f *fileInfo) Sys() any           { return &f.stat }

// describe makes our fs.FileInfo of the library's.
func describe(fi fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	st, ok := fi.Sys().(*sftp.FileStat)
	if !ok {
		return fi, nil
	}
	return &fileInfo{name: path.Base(fi.Name()), size: int64(st.Size), mtime: st.ModTime(), stat: FileStat{
		UID: st.UID, GID: st.GID, Atime: st.AccessTime(), Mode: st.Mode,
		HasSize: true, HasOwner: true, HasMode: true, HasTimes: true}}, nil
}

// Types and further bits of a file's mode; see inode(7).
const (
	modeType   = 0o170000
	modeSocket = 0o140000
	modeLink   = 0o120000
	modeFile   = 0o100000
	modeBlock  = 0o060000
	modeDir    = 0o040000
	modeChar   = 0o020000
	modeFIFO   = 0o010000
	modeSetUID = 0o4000
	modeSetGID = 0o2000
	modeSticky = 0o1000
)

func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & modeType {
	case modeSocket:
		m |= fs.ModeSocket
	case modeLink:
		m |= fs.ModeSymlink
	case modeBlock:
		m |= fs.ModeDevice
	case modeDir:
		m |= fs.ModeDir
	case modeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case modeFIFO:
		m |= fs.ModeNamedPipe
	case modeFile:
	default:
		m |= fs.ModeIrregular
	}
	for bit, flag := range map[uint32]fs.FileMode{modeSetUID: fs.ModeSetuid, modeSetGID: fs.ModeSetgid, modeSticky: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

// modeBits are the permission bits of a mode as the host has them.
func modeBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for bit, flag := range map[uint32]fs.FileMode{modeSetUID: fs.ModeSetuid, modeSetGID: fs.ModeSetgid, modeSticky: fs.ModeSticky} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

func appendPerm(m []byte, perm fs.FileMode) []byte {
	m = binary.BigEndian.AppendUint32(m, attrPermissions)
	return binary.BigEndian.AppendUint32(m, modeBits(perm))
}

// message is an answer that is being taken apart. What is missing reads as zero
// and is noted.
type message struct {
	b   []byte
	bad bool
}

func (m *message) take(n int) []byte {
	if n < 0 || n > len(m.b) {
		m.bad, m.b = true, nil
		return make([]byte, min(max(n, 0), 8))
	}
	p := m.b[:n]
	m.b = m.b[n:]
	return p
}

func (m *message) uint32() uint32 { return binary.BigEndian.Uint32(m.take(4)) }
func (m *message) uint64() uint64 { return binary.BigEndian.Uint64(m.take(8)) }

func (m *message) bytes() []byte {
	n := m.uint32()
	if int64(n) > int64(len(m.b)) {
		m.bad, m.b = true, nil
		return nil
	}
	return m.take(int(n))
}

// attrs takes a file's attributes.
func (m *message) attrs(name string) *fileInfo {
	fi := &fileInfo{name: name}
	flags := m.uint32()
	if fi.stat.HasSize = flags&attrSize != 0; fi.stat.HasSize {
		fi.size = int64(m.uint64())
	}
	if fi.stat.HasOwner = flags&attrOwner != 0; fi.stat.HasOwner {
		fi.stat.UID, fi.stat.GID = m.uint32(), m.uint32()
	}
	if fi.stat.HasMode = flags&attrPermissions != 0; fi.stat.HasMode {
		fi.stat.Mode = m.uint32()
	}
	if fi.stat.HasTimes = flags&attrTimes != 0; fi.stat.HasTimes {
		fi.stat.Atime = time.Unix(int64(m.uint32()), 0)
		fi.mtime = time.Unix(int64(m.uint32()), 0)
	}
	if flags&attrExtended != 0 {
		for n := m.uint32(); n > 0 && !m.bad; n-- {
			m.bytes()
			m.bytes()
		}
	}
	return fi
}

// statusError is an answer of type fxpStatus other than fxOK.
type statusError struct {
	code uint32
	text string
}

func (e *statusError) Error() string { return e.text }

// Codes of a status (section 7).
const (
	fxOK          = 0
	fxEOF         = 1
	fxNoSuchFile  = 2
	fxPermission  = 3
	fxFailure     = 4
	fxBadMessage  = 5
	fxUnsupported = 8
)

var errMalformed = errors.New("malformed answer of the sftp server")

// expect gives what an answer of the wanted kind holds.
func (a *ask) expect(kind byte, err error) (*message, error) {
	if err != nil {
		return nil, err
	}
	m := &message{b: a.data}
	switch {
	case a.kind == kind:
		return m, nil
	case a.kind == fxpStatus:
		code := m.uint32()
		text := string(m.bytes())
		if m.bad || code == fxOK {
			return nil, errMalformed
		}
		return nil, &statusError{code, text}
	}
	return nil, errMalformed
}

// status reads an answer that is a status alone.
func (a *ask) status(err error) error {
	m, err := a.expect(fxpStatus, err)
	if err != nil {
		return err
	}
	code := m.uint32()
	if m.bad {
		return errMalformed
	}
	if code == fxOK {
		return nil
	}
	return &statusError{code, string(m.bytes())}
}

func (a *ask) handle(err error) (string, error) {
	m, err := a.expect(fxpHandle, err)
	if err != nil {
		return "", err
	}
	h := m.bytes()
	if m.bad || len(h) > 256 { // the longest that section 4 allows
		return "", errMalformed
	}
	return string(h), nil
}

func (a *ask) attrs(name string, err error) (fs.FileInfo, error) {
	m, err := a.expect(fxpAttrs, err)
	if err != nil {
		return nil, err
	}
	fi := m.attrs(path.Base(name))
	if m.bad {
		return nil, errMalformed
	}
	return fi, nil
}

// mkdir is here as the library's has no permissions.
func (l *sftpLink) mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	a, err := l.ask(ctx, fxpMkdir, func(m []byte) []byte { return appendPerm(appendString(m, name), perm) })
	if err = a.status(err); err != nil {
		return pathError(ctx, l, "mkdir", name, err)
	}
	return nil
}

// list reads a folder.
func (l *sftpLink) list(ctx context.Context, name string, yield func(fs.FileInfo, error) bool) {
	a, err := l.ask(ctx, fxpOpendir, func(m []byte) []byte { return appendString(m, name) })
	handle, err := a.handle(err)
	if err != nil {
		yield(nil, pathError(ctx, l, "readdir", name, err))
		return
	}
	defer func() {
		ctx, cancel := brief(ctx)
		defer cancel()
		l.ask(ctx, fxpClose, func(m []byte) []byte { return appendString(m, handle) })
	}()
	for {
		a, err := l.ask(ctx, fxpReaddir, func(m []byte) []byte { return appendString(m, handle) })
		m, err := a.expect(fxpName, err)
		var st *statusError
		if errors.As(err, &st) && st.code == fxEOF {
			return
		}
		if err != nil {
			yield(nil, pathError(ctx, l, "readdir", name, err))
			return
		}
		n := m.uint32()
		if n == 0 && !m.bad { // OpenSSH's client takes that for the end, too
			return
		}
		for ; n > 0 && !m.bad; n-- {
			base := string(m.bytes())
			m.bytes() // as ls -l shows it
			fi := m.attrs(base)
			if m.bad || base == "." || base == ".." {
				continue
			}
			if !yield(fi, nil) {
				return
			}
		}
		if m.bad {
			yield(nil, pathError(ctx, l, "readdir", name, errMalformed))
			return
		}
	}
}
