package transfer

import (
	"path"
	"slices"
	"strings"
	"time"
)

// Kind says what an entry is.
type Kind byte

// The kinds of entries. What is none of the others, such as a device, is Other.
const (
	File   Kind = 'f'
	Folder Kind = 'd'
	Link   Kind = 'l'
	Other  Kind = 'o'
)

func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Folder:
		return "folder"
	case Link:
		return "link"
	}
	return "special file"
}

// Entry is one file, folder or link of a tree.
type Entry struct {
	Path    string // below the tree's root, with slashes; "." is the root
	Kind    Kind
	Mode    uint32 // the lower twelve bits of st_mode
	Size    int64  // of a file's content, in bytes
	ModTime int64  // seconds since 1970: what is compared
	Nanos   int64  // of the time, past the second; carried where a way carries them
	Target  string // of a link
	Owner   string // names; empty where not known
	Group   string
	Same    string // path of an entry that comes before it and is the same file: a hard link
	Sparse  bool   // a file that takes less room than its content

	local    string      // where the content is on this machine
	content  *content    // or the content itself
	id       string      // device and inode, for hard links
	links    int         // how many names it has
	seen     fingerprint // of the file on this machine when it was scanned
	rendered bool        // made for one host: its time says nothing
	through  bool        // a folder that only leads to what a pattern means
	first    *Entry      // of which this is a copy with the same content; nil if of none
}

// original is the entry that has the content of this one and all copies of it.
func (e *Entry) original() *Entry {
	if e.first != nil {
		return e.first
	}
	return e
}

// modified is when the content was last changed.
func (e *Entry) modified() time.Time { return time.Unix(e.ModTime, e.Nanos) }

// byPath sorts entries so that folders come before what is in them.
func byPath(a, b *Entry) int { return comparePaths(a.Path, b.Path) }

// comparePaths orders paths part by part: "." comes first, and a slash is less
// than any other byte.
func comparePaths(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return -1
	case b == ".":
		return 1
	}
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		switch {
		case x == '/':
			return -1
		case y == '/':
			return 1
		}
		return int(x) - int(y)
	}
	return len(a) - len(b)
}

// parent is the folder that holds p; "." for what lies at the root.
func parent(p string) string { return path.Dir(p) }

// below says that p lies in the folder dir.
func below(p, dir string) bool {
	return dir == "." && p != "." || strings.HasPrefix(p, dir) && len(p) > len(dir) && p[len(dir)] == '/'
}

// sortEntries sorts and returns the entries.
func sortEntries(list []*Entry) []*Entry {
	slices.SortFunc(list, byPath)
	return list
}
