package lab

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// memFS is the files of a simulated host, as SFTP has them: in memory, with
// modes and times, links and further names; nobody is kept from anything.
type memFS struct {
	mu    sync.Mutex
	files map[string]*memFile // by clean, absolute name
}

// memFile is a file, a folder or a link.
type memFile struct {
	fs      *memFS
	mode    fs.FileMode
	modTime time.Time
	data    []byte
	target  string // of a link
}

func newMemFS() *memFS {
	m := &memFS{files: map[string]*memFile{}}
	for _, dir := range []string{"/", "/etc", "/home", "/srv", "/tmp", "/var"} {
		m.files[dir] = m.file(fs.ModeDir | 0o755)
	}
	return m
}

func (m *memFS) file(mode fs.FileMode) *memFile {
	return &memFile{fs: m, mode: mode, modTime: time.Now()}
}

// handlers are what pkg/sftp's server asks.
func (m *memFS) handlers() sftp.Handlers {
	return sftp.Handlers{FileGet: m, FilePut: m, FileCmd: m, FileList: m}
}

// mostLinks is how many links a name may lead over.
const mostLinks = 40

// follow gives the name that a name leads to.
func (m *memFS) follow(name string) string {
	for range mostLinks {
		f := m.files[name]
		if f == nil || f.mode&fs.ModeSymlink == 0 {
			return name
		}
		if name = path.Join(path.Dir(name), f.target); path.IsAbs(f.target) {
			name = path.Clean(f.target)
		}
	}
	return name
}

// place gives the real name of an entry whose folder may be reached by links.
func (m *memFS) place(name string) string {
	name = path.Clean("/" + name)
	if name == "/" {
		return name
	}
	return path.Join(m.follow(m.place(path.Dir(name))), path.Base(name))
}

// entry finds a file, not following a last link.
func (m *memFS) entry(name string) (string, *memFile, error) {
	name = m.place(name)
	if f := m.files[name]; f != nil {
		return name, f, nil
	}
	return name, nil, os.ErrNotExist
}

// makeable says whether there can be something new of that name.
func (m *memFS) makeable(name string) error {
	dir := m.files[path.Dir(name)]
	switch {
	case len(path.Base(name)) > 255:
		return sftp.ErrSSHFxBadMessage
	case dir == nil || !dir.mode.IsDir():
		return os.ErrNotExist
	case m.files[name] != nil:
		return os.ErrExist
	}
	dir.modTime = time.Now()
	return nil
}

// Fileread opens a file for reading.
func (m *memFS) Fileread(r *sftp.Request) (io.ReaderAt, error) { return m.OpenFile(r) }

// Filewrite opens a file for writing.
func (m *memFS) Filewrite(r *sftp.Request) (io.WriterAt, error) { return m.OpenFile(r) }

// OpenFile opens a file as its flags say.
func (m *memFS) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	flags := r.Pflags()
	name := m.follow(m.place(r.Filepath))
	f := m.files[name]
	switch {
	case f == nil && !flags.Creat:
		return nil, os.ErrNotExist
	case f == nil:
		if err := m.makeable(name); err != nil {
			return nil, err
		}
		f = m.file(0o644)
		if r.AttrFlags().Permissions {
			f.mode = r.Attributes().FileMode().Perm()
		}
		m.files[name] = f
	case flags.Excl:
		return nil, os.ErrExist
	case !f.mode.IsRegular():
		return nil, sftp.ErrSSHFxFailure
	case flags.Trunc:
		f.data, f.modTime = nil, time.Now()
	}
	return f, nil
}

// ReadAt reads from the file.
func (f *memFile) ReadAt(p []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes to the file.
func (f *memFile) WriteAt(p []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.resize(max(at+int64(len(p)), int64(len(f.data))))
	f.modTime = time.Now()
	return copy(f.data[at:], p), nil
}

func (f *memFile) resize(n int64) {
	if grow := n - int64(len(f.data)); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	f.data = f.data[:n]
}

// Filecmd does all that needs no open file.
func (m *memFS) Filecmd(r *sftp.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch r.Method {
	case "Mkdir":
		name := m.place(r.Filepath)
		if err := m.makeable(name); err != nil {
			return err
		}
		m.files[name] = m.file(fs.ModeDir | 0o755)
		m.set(m.files[name], r)
		return nil
	case "Symlink": // Filepath is the text, Target the name
		name := m.place(r.Target)
		if err := m.makeable(name); err != nil {
			return err
		}
		m.files[name] = m.file(fs.ModeSymlink | 0o777)
		m.files[name].target = r.Filepath
		return nil
	}
	name, f, err := m.entry(r.Filepath)
	if err != nil {
		return err
	}
	switch r.Method {
	case "Setstat":
		if f = m.files[m.follow(name)]; f == nil {
			return os.ErrNotExist
		}
		m.set(f, r)
		return nil
	case "Link":
		to := m.place(r.Target)
		if err := m.makeable(to); err != nil {
			return err
		}
		m.files[to] = f
		return nil
	case "Rename":
		if m.files[m.place(r.Target)] != nil {
			return os.ErrExist
		}
		return m.move(name, m.place(r.Target))
	case "Remove", "Rmdir":
		return m.remove(name, f, r.Method == "Rmdir")
	}
	return sftp.ErrSSHFxOpUnsupported
}

// set gives a file the attributes that are asked for.
func (m *memFS) set(f *memFile, r *sftp.Request) {
	has, a := r.AttrFlags(), r.Attributes()
	if has.Size && f.mode.IsRegular() {
		f.resize(int64(a.Size))
	}
	if has.Permissions {
		f.mode = f.mode.Type() | a.FileMode()&^fs.ModeType
	}
	if has.Acmodtime {
		f.modTime = time.Unix(int64(a.Mtime), 0)
	}
}

// PosixRename moves a file over another one.
func (m *memFS) PosixRename(r *sftp.Request) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, f, err := m.entry(r.Filepath)
	if err != nil {
		return err
	}
	to := m.place(r.Target)
	if old := m.files[to]; old != nil && (old.mode.IsDir() || f.mode.IsDir()) {
		return sftp.ErrSSHFxFailure
	}
	delete(m.files, to)
	return m.move(from, to)
}

// move gives a file, and all that is in it, another name.
func (m *memFS) move(from, to string) error {
	if err := m.makeable(to); err != nil {
		return err
	}
	var inside []string
	if m.files[from].mode.IsDir() {
		inside = m.below(from)
	}
	for _, name := range inside {
		m.files[to+strings.TrimPrefix(name, from)] = m.files[name]
		delete(m.files, name)
	}
	m.files[path.Dir(from)].modTime = time.Now()
	m.files[to] = m.files[from]
	delete(m.files, from)
	return nil
}

// below lists all in a folder, at any depth.
func (m *memFS) below(dir string) (names []string) {
	for name := range m.files {
		if strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/") && name != dir {
			names = append(names, name)
		}
	}
	return names
}

func (m *memFS) remove(name string, f *memFile, folder bool) error {
	if f.mode.IsDir() != folder || folder && len(m.below(name)) > 0 || name == "/" {
		return sftp.ErrSSHFxFailure
	}
	delete(m.files, name)
	m.files[path.Dir(name)].modTime = time.Now()
	return nil
}

// Filelist lists a folder, or describes a file.
func (m *memFS) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := m.follow(m.place(r.Filepath))
	f := m.files[name]
	if f == nil {
		return nil, os.ErrNotExist
	}
	if r.Method == "Stat" {
		return memList{f.info(name)}, nil
	}
	if !f.mode.IsDir() {
		return nil, sftp.ErrSSHFxFailure
	}
	var list memList
	for _, below := range m.below(name) {
		if path.Dir(below) == name {
			list = append(list, m.files[below].info(below))
		}
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// Lstat describes a file, not following a link.
func (m *memFS) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, f, err := m.entry(r.Filepath)
	if err != nil {
		return nil, err
	}
	return memList{f.info(name)}, nil
}

// Readlink gives the text of a link.
func (m *memFS) Readlink(name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, f, err := m.entry(name)
	switch {
	case err != nil:
		return "", err
	case f.mode&fs.ModeSymlink == 0:
		return "", sftp.ErrSSHFxFailure
	}
	return f.target, nil
}

// memList is a list of files that can be read in pieces.
type memList []fs.FileInfo

// ListAt gives the files from at on.
func (l memList) ListAt(to []fs.FileInfo, at int64) (int, error) {
	if at >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[at:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// memInfo describes a file as it was when it was asked for.
type memInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	modTime time.Time
}

func (f *memFile) info(name string) fs.FileInfo {
	return &memInfo{path.Base(name), int64(len(f.data) + len(f.target)), f.mode, f.modTime}
}

func (i *memInfo) Name() string       { return i.name }
func (i *memInfo) Size() int64        { return i.size }
func (i *memInfo) Mode() fs.FileMode  { return i.mode }
func (i *memInfo) ModTime() time.Time { return i.modTime }
func (i *memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i *memInfo) Sys() any           { return nil }
