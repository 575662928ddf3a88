package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// store writes what comes from one host below its folder, and nowhere else.
type store struct {
	root *os.Root
	dir  string   // of the last file
	in   *os.Root // that folder, opened
	buf  []byte
	open bool        // in is open
	mode fs.FileMode // of new folders, until finish
	// owners gives files to whom they belong on the host, by name, as far as there
	// are such users and groups here; nil where they belong to who pulls.
	owners *localOwners
}

// folderMode is that of new folders which get another one in the end.
const folderMode = 0o700

// partPrefix begins the names of files that are not yet whole.
const partPrefix = ".fleet-part."

// partName is the name of a file until it is whole. It is the same each time, so
// that what a run that was killed has left does not stay.
func partName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return partPrefix + hex.EncodeToString(sum[:8])
}

// errNoFolder is for a folder's name that something else has here.
var errNoFolder = errors.New("not a folder here")

// folder makes a folder, with those that hold it. A link is none, wherever it
// leads.
func (s *store) folder(name string) error {
	if name == "." {
		return nil
	}
	info, err := s.root.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: name, Err: errNoFolder}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.folder(path.Dir(name)); err != nil {
		return err
	}
	s.unlock(path.Dir(name))
	err = s.root.Mkdir(name, s.mode)
	if errors.Is(err, fs.ErrExist) { // hosts may share folders that lead to flat names
		if info, err := s.root.Lstat(name); err == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// enter gives the folder that holds name, opened. It was made before.
func (s *store) enter(name string) (*os.Root, string, error) {
	dir := path.Dir(name)
	if s.open && s.dir == dir {
		return s.in, path.Base(name), nil
	}
	s.leave()
	in, err := s.root.OpenRoot(dir)
	if err != nil {
		return nil, "", err
	}
	s.unlock(dir)
	s.dir, s.in, s.open = dir, in, true
	return in, path.Base(name), nil
}

// unlock lets us write to a folder of ours that has come with a mode that does not,
// which finish will give it again. If that cannot be, what is written next tells why.
func (s *store) unlock(dir string) {
	if s.mode != folderMode {
		return
	}
	info, err := s.root.Lstat(dir)
	if err == nil && dir != "." && info.IsDir() && info.Mode()&0o300 != 0o300 {
		s.root.Chmod(dir, info.Mode().Perm()|0o700)
	}
}

func (s *store) leave() {
	if s.open {
		s.in.Close()
		s.open = false
	}
}

// file writes a file whole under another name, then gives it its own.
func (s *store) file(it *item, r io.Reader) (sum digest, err error) {
	in, name, err := s.enter(it.here)
	if err != nil {
		return sum, err
	}
	temp := partName(name)
	create := func() (*os.File, error) { return in.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) }
	f, err := create()
	if errors.Is(err, fs.ErrExist) { // left by a run that was killed
		if err := in.Remove(temp); err != nil {
			return sum, err
		}
		f, err = create()
	}
	if err != nil {
		return sum, err
	}
	defer func() {
		if err != nil {
			in.Remove(temp)
		}
	}()
	sum, err = s.copy(f, it, r)
	if err == nil {
		err = s.own(in, temp, it.Entry)
	}
	if err == nil {
		err = f.Chmod(fs.FileMode(it.Mode & 0o777))
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return sum, err
	}
	when := it.modified()
	if err := in.Chtimes(temp, when, when); err != nil {
		return sum, err
	}
	return sum, in.Rename(temp, name)
}

// copy writes exactly as much as the host said that there is.
func (s *store) copy(f *os.File, it *item, r io.Reader) (sum digest, err error) {
	if s.buf == nil {
		s.buf = make([]byte, bufferSize)
	}
	h := sha256.New()
	for left := it.Size; left > 0; {
		n, err := io.ReadFull(r, s.buf[:min(int64(len(s.buf)), left)])
		if err != nil {
			return sum, err
		}
		p := s.buf[:n]
		h.Write(p)
		left -= int64(n)
		if it.Sparse && len(bytes.Trim(p, "\x00")) == 0 {
			if _, err := f.Seek(int64(n), io.SeekCurrent); err != nil {
				return sum, err
			}
			continue
		}
		if _, err := f.Write(p); err != nil {
			return sum, err
		}
	}
	if it.Sparse {
		if err := f.Truncate(it.Size); err != nil {
			return sum, err
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}

// link makes a link, or another name of a file, in one step.
func (s *store) link(it *item) error {
	in, name, err := s.enter(it.here)
	if err != nil {
		return err
	}
	temp := partName(name)
	in.Remove(temp) // left by a run that was killed
	if it.Kind == Link {
		if err = in.Symlink(it.Target, temp); err == nil {
			err = s.own(in, temp, it.Entry)
		}
	} else {
		s.leave()
		in = s.root
		temp, name = path.Join(path.Dir(it.here), temp), it.here
		err = in.Link(it.same.here, temp)
	}
	if err != nil {
		return err
	}
	if err := in.Rename(temp, name); err != nil {
		in.Remove(temp)
		return err
	}
	if it.Kind == File { // rename does nothing where both names are the same file already
		in.Remove(temp)
	}
	return nil
}

// finish gives a folder its mode and time, once all is in it.
func (s *store) finish(it *item) error {
	if err := s.own(s.root, it.here, it.Entry); err != nil {
		return err
	}
	if err := s.root.Chmod(it.here, fs.FileMode(it.Mode&0o777)); err != nil {
		return err
	}
	when := it.modified()
	return s.root.Chtimes(it.here, when, when)
}

// close lets go of the folders.
func (s *store) close() error {
	s.leave()
	return s.root.Close()
}
