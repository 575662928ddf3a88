package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// MaxHosts is the largest number of hosts in one inventory.
const MaxHosts = 2_000_000

// maxFile bounds the size of one file in bytes.
const maxFile = 512 << 20

// Load reads hosts.yaml files and merges them in order: what a later file says
// of a host or group wins, setting by setting and variable by variable, over
// what an earlier one says of the same. The error is an Errors.
func Load(paths ...string) (*Inventory, error) {
	sources := make([]Source, len(paths))
	for i, path := range paths {
		sources[i].File = path
	}
	return Merge(sources...)
}

// Source is one part of an inventory: a file to read, names of hosts from
// elsewhere, or what another format says.
type Source struct {
	File    string // hosts.yaml, or where Names or Content come from
	Data    []byte // of the file, where it has been read already; nil where not
	Names   []string
	Content *Content
	// Late is asked for more once all other sources are read, and is told which
	// hosts and groups there are. It gives overlays only.
	Late func(Known) []*Content
}

// Known says which hosts and groups there are.
type Known struct{ inv *Inventory }

// Host says whether there is a host of that name.
func (k Known) Host(name string) bool { _, ok := k.inv.byName[name]; return ok }

// Group is Host for groups; All is one.
func (k Known) Group(name string) bool { _, ok := k.inv.byGroup[name]; return ok || name == All }

// Merge is Load for sources of all kinds. Of Names, those that no host can have
// are left out; IsName tells. Contents that are overlays come after all others.
func Merge(sources ...Source) (*Inventory, error) {
	var rep report
	files := make([]string, len(sources))
	docs := make([]*document, 0, len(sources))
	var late []func(Known) []*Content
	for i, s := range sources {
		files[i] = s.File
		if s.Late != nil {
			late = append(late, s.Late)
			continue
		}
		if s.Content != nil {
			files[i] = s.Content.doc.file
			rep.join(&s.Content.rep)
			docs = append(docs, &s.Content.doc)
			continue
		}
		data, failed := s.Data, (*Error)(nil)
		switch {
		case s.Names != nil:
			data = namesDocument(s.Names)
		case data == nil:
			data, failed = readFile(s.File)
		}
		if failed != nil {
			rep.add(failed)
			continue
		}
		docs = append(docs, parseDocument(s.File, data, &rep, MaxHosts))
	}
	return build(files, docs, &rep, MaxHosts, late...)
}

// ReadContent reads the text of one hosts.yaml file for Merge; what is wrong
// with it, Content.Err tells. HasHost knows nothing of it.
func ReadContent(file string, data []byte) *Content {
	c := NewContent(file)
	c.doc = *parseDocument(file, data, &c.rep, MaxHosts)
	for i := range c.doc.groups {
		c.groups[c.doc.groups[i].name] = int32(i)
	}
	return c
}

// IsName says whether a host can have that name.
func IsName(name string) bool { return name != All && checkName(name) == "" }

// namesDocument writes names as a hosts.yaml file.
func namesDocument(names []string) []byte {
	b := []byte("hosts:\n")
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if IsName(name) && !seen[name] {
			seen[name] = true
			b = fmt.Appendf(b, "  %q:\n", name)
		}
	}
	return b
}

// Parse reads the text of one hosts.yaml file; file is its name in errors. The
// error is an Errors.
func Parse(file string, data []byte) (*Inventory, error) {
	var rep report
	return build([]string{file}, []*document{parseDocument(file, data, &rep, MaxHosts)}, &rep, MaxHosts)
}

func readFile(path string) ([]byte, *Error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil, &Error{File: path, Msg: "read inventory: is a directory", Hint: "name the file in it"}
	}
	if err == nil && info.Size() > maxFile {
		return nil, &Error{File: path, Msg: fmt.Sprintf("file of %d bytes, the limit is %d", info.Size(), maxFile)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		cause := err
		var at *fs.PathError
		if errors.As(err, &at) {
			cause = at.Err
		}
		return nil, &Error{File: path, Msg: "read inventory: " + cause.Error(), Err: err}
	}
	return data, nil
}
