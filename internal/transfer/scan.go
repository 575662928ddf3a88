package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Links says what is done with symbolic links.
type Links string

// The ways with links: as they are, what they lead to in their place, not at all.
const (
	KeepLinks   Links = "keep"
	FollowLinks Links = "follow"
	SkipLinks   Links = "skip"
)

// LinkModes lists the ways with links.
var LinkModes = []string{string(KeepLinks), string(FollowLinks), string(SkipLinks)}

// maxDepth is how many folders deep a tree may be, on either side.
const maxDepth = 128

// scan reads trees of this machine.
type scan struct {
	ctx   context.Context
	links Links
	found []*Entry
	warn  []string // what was passed over, and why
	same  map[string]string
	names ownerNames
	led   map[string]bool // folders that lead to what a pattern means
	rules []filterRule    // of the ignore files that were read since this was emptied
}

// tree adds what is at file under the name at, which may be "." for the content
// of a folder alone. The filter calls it rel.
func (s *scan) tree(file, at, rel string, filter *Filter) error {
	info, err := os.Stat(file) // a source is followed, whatever is done with links
	if err != nil {
		return err
	}
	if s.same == nil {
		s.same = make(map[string]string)
	}
	return s.entry(file, info, at, rel, filter, nil, false)
}

// entry adds one file, and what is below it. Its name is at; rel is the same
// below the source, for the filter.
func (s *scan) entry(file string, info fs.FileInfo, at, rel string, filter *Filter, above []string, hidden bool) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	e := &Entry{Path: at, Mode: modeBits(info.Mode()), ModTime: info.ModTime().Unix(), Nanos: int64(info.ModTime().Nanosecond()), local: file}
	s.stat(e, info)
	switch mode := info.Mode(); {
	case mode.IsDir():
		e.Kind, e.Same, e.Sparse = Folder, "", false
		return s.folder(file, e, rel, filter, above, hidden)
	case mode.IsRegular():
		e.Kind, e.Size = File, info.Size()
	case mode&fs.ModeSymlink != 0:
		return s.link(file, e, at, rel, filter, above)
	default:
		s.warn = append(s.warn, fmt.Sprintf("%s: not copied: a %s is no file", file, kindName(mode)))
		return nil
	}
	if !hidden {
		s.found = append(s.found, e)
	}
	return nil
}

// link adds a symbolic link, or what it leads to.
func (s *scan) link(file string, e *Entry, at, rel string, filter *Filter, above []string) error {
	switch s.links {
	case SkipLinks:
		return nil
	case FollowLinks:
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("follow link: %w", err)
		}
		return s.entry(file, info, at, rel, filter, above, false)
	}
	target, err := os.Readlink(file)
	if err != nil {
		return err
	}
	e.Kind, e.Target, e.Mode = Link, target, 0o777
	s.found = append(s.found, e)
	return nil
}

// folder adds a folder and what is in it. One that is hidden is left out, but
// for what is taken in again below it.
func (s *scan) folder(file string, e *Entry, rel string, filter *Filter, above []string, hidden bool) error {
	if e.id != "" && slices.Contains(above, e.id) {
		return &fs.PathError{Op: "follow link", Path: file, Err: errors.New("a loop: the link leads to a folder that holds it")}
	}
	if len(above) >= maxDepth {
		return &fs.PathError{Op: "scan", Path: file, Err: fmt.Errorf("more than %d folders deep", maxDepth)}
	}
	above = append(above[:len(above):len(above)], e.id)
	place := len(s.found)
	s.found = append(s.found, e)
	list, err := os.ReadDir(file)
	if err != nil {
		return err
	}
	if filter, err = s.ignoring(filter, file, rel); err != nil {
		return err
	}
	for _, d := range list {
		name := d.Name()
		below := path.Join(rel, name)
		out := filter.out(below, d.IsDir())
		if name == IgnoreFile || out && !(d.IsDir() && filter.deep()) {
			continue
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return err
		}
		if err := s.entry(filepath.Join(file, name), info, path.Join(e.Path, name), below, filter, above, out); err != nil {
			return err
		}
	}
	if hidden && len(s.found) == place+1 {
		s.found = s.found[:place]
	}
	return nil
}

// ignoring adds the folder's own ignore file, if there is one, to the filter.
func (s *scan) ignoring(filter *Filter, file, rel string) (*Filter, error) {
	name := filepath.Join(file, IgnoreFile)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return filter, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	more, err := filter.with(rel, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.rules = append(s.rules, more.files[len(filter.files):]...)
	return more, nil
}

// modeBits gives the lower twelve bits of st_mode.
func modeBits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, b := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.mode != 0 {
			bits |= b.bit
		}
	}
	return bits
}

func kindName(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// fingerprint tells whether a file has changed.
type fingerprint struct {
	size    int64
	modTime int64 // nanoseconds
}

func fingerprintOf(info fs.FileInfo) fingerprint {
	return fingerprint{info.Size(), info.ModTime().UnixNano()}
}

// stat takes over what only the system's own stat says.
func (s *scan) stat(e *Entry, info fs.FileInfo) {
	e.seen = fingerprintOf(info)
	id, links, blocks, uid, gid, ok := systemStat(info)
	if !ok {
		return
	}
	e.id = id
	e.Owner, e.Group = s.names.user(uid), s.names.group(gid)
	if !info.Mode().IsRegular() {
		return
	}
	e.Sparse = info.Size() >= sparseFrom && blocks*512 < info.Size()-sparseFrom/2
	if links < 2 {
		return
	}
	if first, known := s.same[id]; known {
		e.Same = first
	} else {
		s.same[id] = e.Path
	}
}

// sparseFrom is the size from which on it is worth to look for holes.
const sparseFrom = 64 << 10
