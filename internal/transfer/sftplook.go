package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"fleet/scheduler"
	"fleet/sshpool"
)

// sftpLook is a look at a host by SFTP.
type sftpLook struct {
	f    *far
	l    lookFor
	base string
	out  *outlook

	mu    sync.Mutex
	links []*Entry
	real  map[string]string // what folders are called without links
}

// lookBySFTP looks at a host as lookScript does. Which names are one file, and
// which have holes, SFTP does not tell.
func (f *far) lookBySFTP(ctx context.Context, l lookFor) (*outlook, error) {
	s := &sftpLook{f: f, l: l, base: l.dst, real: map[string]string{}, out: &outlook{tar: "sftp", sum: "sftp", find: "sftp", uid: 1,
		there: map[string]*Entry{}, users: map[string]bool{}, groups: map[string]bool{}, ended: true}}
	if f.conn.User() == "root" {
		s.out.uid = 0
	}
	f.ids.load(ctx)
	for name := range l.users {
		_, s.out.users[name] = f.ids.users.byName[name]
	}
	for name := range l.groups {
		_, s.out.groups[name] = f.ids.groups.byName[name]
	}
	ok, err := s.place(ctx)
	if err != nil || !ok {
		return s.out, err
	}
	switch l.what {
	case "one":
		name := path.Base(l.dst)
		if s.out.dst == "folder" {
			name = l.names[0]
		}
		err = s.names(ctx, []string{name})
	case "names":
		err = s.names(ctx, l.names)
	default:
		err = s.trees(ctx)
	}
	if err == nil {
		err = s.readLinks(ctx)
	}
	return s.out, err
}

// place finds the folder; ok says that it can be looked into.
func (s *sftpLook) place(ctx context.Context) (ok bool, err error) {
	info, err := s.f.sftp.Stat(ctx, s.l.dst)
	switch {
	case err == nil && info.IsDir():
		s.out.dst = "folder"
	case err == nil:
		s.out.dst = "file"
	case errors.Is(err, fs.ErrNotExist):
		s.out.dst = "none"
		if _, err := s.f.sftp.Lstat(ctx, s.l.dst); err == nil { // a link to nowhere
			s.out.dst = "file"
		}
	case absent(err):
		s.out.dst = "none"
	default:
		return false, err
	}
	if s.l.what == "one" && s.out.dst != "folder" {
		s.base = path.Dir(s.l.dst)
		if info, err = s.f.sftp.Stat(ctx, s.base); err != nil && !absent(err) {
			return false, err
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.out.base = "denied"
	case err == nil && info.IsDir():
		s.out.base, s.out.writable = "yes", true
	case err == nil:
		s.out.base = "file"
	}
	return s.out.base == "yes", nil
}

func isKind(err error, kind sshpool.Kind) bool {
	var e *sshpool.Error
	return errors.As(err, &e) && e.Kind == kind
}

// names looks at single names.
func (s *sftpLook) names(ctx context.Context, names []string) error {
	return each(ctx, len(names), func(ctx context.Context, i int) error {
		info, err := s.f.sftp.Lstat(ctx, inFolder(s.base, names[i]))
		switch {
		case err == nil:
			return s.add(names[i], info)
		case absent(err):
			return nil
		}
		return err
	})
}

// absent says of an error that there is no such name, as far as can be seen.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || isKind(err, sshpool.KindRemote) ||
		isKind(err, sshpool.KindNotFolder) || isKind(err, sshpool.KindNameTooLong)
}

// trees looks at folders and all below them, level by level.
func (s *sftpLook) trees(ctx context.Context) error {
	var level []string
	for _, root := range s.l.names {
		info, err := s.f.sftp.Stat(ctx, inFolder(s.base, root)) // followed, whatever is done with links
		if errors.Is(err, fs.ErrNotExist) {
			info, err = s.f.sftp.Lstat(ctx, inFolder(s.base, root))
		}
		switch {
		case err != nil && absent(err):
			s.complain(root, err)
			continue
		case err != nil:
			return err
		}
		if err := s.add(root, info); err != nil {
			return err
		}
		if info.IsDir() {
			level = append(level, root)
		}
	}
	for len(level) > 0 {
		var mu sync.Mutex
		var next []string
		err := each(ctx, len(level), func(ctx context.Context, i int) error {
			more, err := s.folder(ctx, level[i])
			mu.Lock()
			defer mu.Unlock()
			next = append(next, more...)
			return err
		})
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

// complain notes what could not be looked at, as a tool of a host would.
func (s *sftpLook) complain(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		s.out.stderr = append(s.out.stderr, name+": Permission denied\n"...)
	default:
		s.out.stderr = append(s.out.stderr, name+": "+err.Error()+"\n"...)
	}
}

// folder looks into a folder and gives those in it.
func (s *sftpLook) folder(ctx context.Context, name string) (more []string, err error) {
	full := inFolder(s.base, name)
	for info, err := range s.f.sftp.List(ctx, full) {
		if err != nil && absent(err) {
			s.complain(name, err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		below := info.Name()
		if name != "." {
			below = name + "/" + info.Name()
		}
		info, loops, err := s.better(ctx, name, full, info)
		if err != nil {
			return nil, err
		}
		if loops {
			s.complain(below, errors.New("a loop: the link leads to a folder that holds it"))
			continue
		}
		if err := s.add(below, info); err != nil {
			return nil, err
		}
		if info.IsDir() && info.Name() != "" && !strings.ContainsAny(info.Name(), "/\x00") {
			more = append(more, below)
		}
	}
	return more, nil
}

// better describes a file where the server's list says too little, or what a
// link leads to where that counts; loops says that it leads back.
func (s *sftpLook) better(ctx context.Context, folder, full string, info fs.FileInfo) (better fs.FileInfo, loops bool, err error) {
	name := full + "/" + info.Name()
	st, ok := info.Sys().(*sshpool.FileStat)
	if !ok || !st.HasMode || !st.HasSize || !st.HasTimes {
		fresh, err := s.f.sftp.Lstat(ctx, name)
		if err != nil && absent(err) {
			return info, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		info = fresh
	}
	if s.l.links != FollowLinks || info.Mode()&fs.ModeSymlink == 0 {
		return info, false, nil
	}
	to, err := s.f.sftp.Stat(ctx, name)
	if err != nil && absent(err) {
		return info, false, nil
	}
	if err != nil || !to.IsDir() {
		return to, false, err
	}
	real, err := s.f.sftp.RealPath(ctx, name)
	if err != nil {
		return nil, false, err
	}
	return to, s.leadsBack(ctx, folder, real), nil
}

// leadsBack says that a folder, by its name without links, is or holds one of
// those that led to a link in folder.
func (s *sftpLook) leadsBack(ctx context.Context, folder, real string) bool {
	for {
		here, err := s.realPath(ctx, folder)
		if err != nil || here == real || below(here, real) || real == "/" {
			return true
		}
		if folder == "." {
			return false
		}
		folder = parent(folder)
	}
}

// realPath is what a folder is called without links.
func (s *sftpLook) realPath(ctx context.Context, folder string) (string, error) {
	s.mu.Lock()
	real, known := s.real[folder]
	s.mu.Unlock()
	if known {
		return real, nil
	}
	real, err := s.f.sftp.RealPath(ctx, inFolder(s.base, folder))
	if err == nil {
		s.mu.Lock()
		s.real[folder] = real
		s.mu.Unlock()
	}
	return real, err
}

// add takes an entry.
func (s *sftpLook) add(name string, info fs.FileInfo) error {
	e := &Entry{Path: name, Kind: Other, Size: info.Size(), ModTime: info.ModTime().Unix(), links: 1}
	if st, ok := info.Sys().(*sshpool.FileStat); ok {
		e.Kind, e.Mode = kindOf(st.Mode), st.Mode&0o7777
		if st.HasOwner {
			e.Owner, e.Group = s.f.ids.users.name(st.UID), s.f.ids.groups.name(st.GID)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.out.there) >= s.l.most.entries && s.l.most.entries > 0:
		return s.fail("more than %d entries", s.l.most.entries)
	case strings.Count(name, "/") > s.l.most.depth && s.l.most.depth > 0:
		return s.fail("more than %d folders deep", s.l.most.depth)
	case len(name) > maxRecord:
		return s.fail("names are longer than %d bytes", maxRecord)
	}
	s.out.there[name] = e
	if e.Kind == Link {
		s.links = append(s.links, e)
	}
	return nil
}

func (s *sftpLook) fail(format string, args ...any) error {
	return &Failure{Kind: scheduler.KindUnsafe, Text: "look at files: " + fmt.Sprintf(format, args...)}
}

// readLinks finds out where links lead.
func (s *sftpLook) readLinks(ctx context.Context) error {
	return each(ctx, len(s.links), func(ctx context.Context, i int) error {
		target, err := s.f.sftp.ReadLink(ctx, inFolder(s.base, s.links[i].Path))
		if err == nil || !absent(err) {
			s.links[i].Target = target
			return err
		}
		return nil
	})
}
