package sshpool

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// call runs f, a call of the library that knows no context, for name.
func call[T any](ctx context.Context, s *SFTP, op, name string, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	if ctx.Err() != nil {
		return zero, withName(canceledError(ctx, op, StageTransfer), name)
	}
	got := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if v := recover(); v != nil { // at a malformed answer
				r.err = &Error{Kind: KindProtocol, Text: "malformed answer of the sftp server"}
			}
			got <- r
		}()
		r.v, r.err = f()
	}()
	select {
	case r := <-got:
		if r.err != nil {
			return zero, s.pathError(ctx, op, name, r.err)
		}
		return r.v, nil
	case <-ctx.Done():
		return zero, withName(canceledError(ctx, op, StageTransfer), name)
	}
}

// do is call without a value.
func (s *SFTP) do(ctx context.Context, op, name string, f func() error) error {
	_, err := call(ctx, s, op, name, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// Stat describes a file; where it is a link, what that leads to.
func (s *SFTP) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	return call(ctx, s, "stat", name, func() (fs.FileInfo, error) { return describe(s.paths.Stat(name)) })
}

// Lstat describes a file; where it is a link, the link itself.
func (s *SFTP) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	return call(ctx, s, "lstat", name, func() (fs.FileInfo, error) { return describe(s.paths.Lstat(name)) })
}

// Rename gives a file another name. One that has that name already is an error.
func (s *SFTP) Rename(ctx context.Context, from, to string) error {
	return s.do(ctx, "rename", from, func() error { return s.paths.Rename(from, to) })
}

// PosixRename is Rename that replaces a file at the new name, at once: others
// see the old one or the new. Where the server does not offer
// posix-rename@openssh.com the error is ErrUnsupported.
func (s *SFTP) PosixRename(ctx context.Context, from, to string) error {
	if _, ok := s.Offers(extPosixRename); !ok {
		return unsupported("rename", from, extPosixRename)
	}
	return s.do(ctx, "rename", from, func() error { return s.paths.PosixRename(from, to) })
}

// Extensions of OpenSSH (PROTOCOL, section 4) that are asked for by name.
const (
	extPosixRename = "posix-rename@openssh.com"
	extStatVFS     = "statvfs@openssh.com"
	extHardlink    = "hardlink@openssh.com"
	extFsync       = "fsync@openssh.com"
	extLimits      = "limits@openssh.com"
)

func unsupported(op, name, extension string) *Error {
	return &Error{Op: op, Kind: KindUnsupported, Stage: StageTransfer, Err: errors.ErrUnsupported,
		Text: quoteName(name) + ": the sftp server has no " + extension}
}

// Remove removes a file, a link or an empty folder.
func (s *SFTP) Remove(ctx context.Context, name string) error {
	return s.do(ctx, "remove", name, func() error { return s.paths.Remove(name) })
}

// RemoveDir removes an empty folder.
func (s *SFTP) RemoveDir(ctx context.Context, name string) error {
	return s.do(ctx, "rmdir", name, func() error { return s.paths.RemoveDirectory(name) })
}

// RemoveAll removes name and all below it. It never follows a link. A name that
// does not exist is no error.
func (s *SFTP) RemoveAll(ctx context.Context, name string) error {
	fi, err := s.Lstat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.removeTree(ctx, name, fi, 0, make(chan struct{}, removals))
}

// removals is how many calls a RemoveAll has under way at most.
const removals = 64

// maxDepth bounds how deep a tree is followed: no file system has names longer
// than this, and a hostile server cannot keep us going down.
const maxDepth = 2048

// properName tells whether a file in a folder can have that name.
func properName(name string) bool { return name != "" && !strings.ContainsAny(name, "/\x00") }

// removeTree removes what fi describes; busy has a place for each further
// goroutine.
func (s *SFTP) removeTree(ctx context.Context, name string, fi fs.FileInfo, depth int, busy chan struct{}) error {
	if !fi.IsDir() {
		return s.Remove(ctx, name)
	}
	if depth > maxDepth {
		return &Error{Op: "remove", Kind: KindProtocol, Stage: StageTransfer, Text: "tree deeper than any file system allows"}
	}
	list, err := s.ReadDir(ctx, name)
	if err != nil {
		return err
	}
	inside, stop := context.WithCancel(ctx)
	defer stop()
	var others sync.WaitGroup
	var once sync.Once
	var failed error
	one := func(below fs.FileInfo) {
		err := s.removeTree(inside, path.Join(name, below.Name()), below, depth+1, busy)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			once.Do(func() { failed = err })
			stop()
		}
	}
	for _, below := range list {
		if !properName(below.Name()) {
			continue
		}
		select {
		case busy <- struct{}{}:
			others.Go(func() {
				defer func() { <-busy }()
				one(below)
			})
		default:
			one(below)
		}
	}
	others.Wait()
	if failed != nil {
		return failed
	}
	return s.RemoveDir(ctx, name)
}

// Mkdir makes a folder; the host's umask takes from perm.
func (s *SFTP) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	return s.link.mkdir(ctx, name, perm)
}

// MkdirAll makes a folder and those above it that are missing. A folder that is
// there, or a link to one, is no error.
func (s *SFTP) MkdirAll(ctx context.Context, name string, perm fs.FileMode) error {
	if fi, err := s.Stat(ctx, name); err == nil {
		if fi.IsDir() {
			return nil
		}
		return &Error{Op: "mkdir", Kind: KindNotFolder, Stage: StageTransfer, Text: quoteName(name) + ": not a folder"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if above := path.Dir(strings.TrimRight(name, "/")); above != "." && above != "/" {
		if err := s.MkdirAll(ctx, above, perm); err != nil {
			return err
		}
	}
	err := s.Mkdir(ctx, name, perm)
	if err != nil { // somebody else made it at the same moment
		if fi, statErr := s.Stat(ctx, name); statErr == nil && fi.IsDir() {
			return nil
		}
	}
	return err
}

// Chmod sets permissions, setuid, setgid and sticky of a file; links are followed.
func (s *SFTP) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	return s.do(ctx, "chmod", name, func() error { return s.paths.Chmod(name, mode) })
}

// Chown sets the owner and the group of a file, by number; links are followed.
func (s *SFTP) Chown(ctx context.Context, name string, uid, gid int) error {
	return s.do(ctx, "chown", name, func() error { return s.paths.Chown(name, uid, gid) })
}

// Chtimes sets when a file was last read and changed, to the second, between
// 1970 and 2106.
func (s *SFTP) Chtimes(ctx context.Context, name string, atime, mtime time.Time) error {
	return s.do(ctx, "chtimes", name, func() error { return s.paths.Chtimes(name, atime, mtime) })
}

// Truncate sets the size of a file in bytes; what is added reads as zeros.
func (s *SFTP) Truncate(ctx context.Context, name string, size int64) error {
	return s.do(ctx, "truncate", name, func() error { return s.paths.Truncate(name, size) })
}

// Symlink makes name a link with the text target.
func (s *SFTP) Symlink(ctx context.Context, target, name string) error {
	return s.do(ctx, "symlink", name, func() error { return s.paths.Symlink(target, name) })
}

// ReadLink gives the text of a link.
func (s *SFTP) ReadLink(ctx context.Context, name string) (string, error) {
	return call(ctx, s, "readlink", name, func() (string, error) { return s.paths.ReadLink(name) })
}

// Link gives an existing file one more name, by hardlink@openssh.com.
func (s *SFTP) Link(ctx context.Context, existing, name string) error {
	if _, ok := s.Offers(extHardlink); !ok {
		return unsupported("link", name, extHardlink)
	}
	return s.do(ctx, "link", name, func() error { return s.paths.Link(existing, name) })
}

// RealPath gives the absolute name of a file without links, ".", "..". Whether
// it has to exist is for the server to say.
func (s *SFTP) RealPath(ctx context.Context, name string) (string, error) {
	return call(ctx, s, "realpath", name, func() (string, error) { return s.paths.RealPath(name) })
}

// Getwd gives the folder that relative names begin at.
func (s *SFTP) Getwd(ctx context.Context) (string, error) { return s.RealPath(ctx, ".") }

// StatVFS is what statvfs@openssh.com tells about the file system of a file.
type StatVFS struct {
	Size, Free, Avail uint64 // bytes; Avail is what others than root may use
	Files, FreeFiles  uint64 // inodes
	NameMax           uint64 // length of the longest name, in bytes
	ReadOnly, NoSUID  bool
}

// StatVFS describes the file system that name is on.
func (s *SFTP) StatVFS(ctx context.Context, name string) (StatVFS, error) {
	if _, ok := s.Offers(extStatVFS); !ok {
		return StatVFS{}, unsupported("statvfs", name, extStatVFS)
	}
	v, err := call(ctx, s, "statvfs", name, func() (*sftp.StatVFS, error) { return s.paths.StatVFS(name) })
	if err != nil {
		return StatVFS{}, err
	}
	const readOnly, noSUID = 1, 2 // SSH_FXE_STATVFS_ST_RDONLY, _NOSUID
	return StatVFS{Size: v.Blocks * v.Frsize, Free: v.Bfree * v.Frsize, Avail: v.Bavail * v.Frsize,
		Files: v.Files, FreeFiles: v.Ffree, NameMax: v.Namemax,
		ReadOnly: v.Flag&readOnly != 0, NoSUID: v.Flag&noSUID != 0}, nil
}

// ReadDir lists a folder, sorted by name, each file as Lstat describes it. All
// of it is in memory: List is for folders that nobody vouches for.
func (s *SFTP) ReadDir(ctx context.Context, name string) ([]fs.FileInfo, error) {
	var all []fs.FileInfo
	for fi, err := range s.List(ctx, name) {
		if err != nil {
			return nil, err
		}
		all = append(all, fi)
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// List gives a folder's files in the server's order, as they come; "." and ".."
// are left out. A name is what the server says, which may be a hostile one: it
// can hold slashes. After an error there is no more.
func (s *SFTP) List(ctx context.Context, name string) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) { s.link.list(ctx, name, yield) }
}

// Walk calls f for root and all below it, each folder before what is in it,
// names in order; see fs.WalkDir, whose SkipDir and SkipAll it knows. It never
// follows a link, and leaves out names that no file can have.
func (s *SFTP) Walk(ctx context.Context, root string, f fs.WalkDirFunc) error {
	fi, err := s.Lstat(ctx, root)
	if err != nil {
		err = f(root, nil, err)
	} else {
		err = s.walk(ctx, root, fs.FileInfoToDirEntry(fi), f, 0)
	}
	if err == fs.SkipDir || err == fs.SkipAll {
		return nil
	}
	return err
}

func (s *SFTP) walk(ctx context.Context, name string, d fs.DirEntry, f fs.WalkDirFunc, depth int) error {
	if err := f(name, d, nil); err != nil || !d.IsDir() {
		if err == fs.SkipDir && d.IsDir() {
			return nil
		}
		return err
	}
	list, err := s.ReadDir(ctx, name)
	if depth > maxDepth {
		err = &Error{Op: "walk", Kind: KindProtocol, Stage: StageTransfer, Text: "tree deeper than any file system allows"}
	}
	if err != nil {
		if err = f(name, d, err); err != nil {
			if err == fs.SkipDir {
				return nil
			}
			return err
		}
	}
	for _, fi := range list {
		if !properName(fi.Name()) {
			continue
		}
		if err := s.walk(ctx, path.Join(name, fi.Name()), fs.FileInfoToDirEntry(fi), f, depth+1); err != nil {
			if err == fs.SkipDir {
				return nil
			}
			return err
		}
	}
	return nil
}
