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

// Source is one part of an inventory: a file to read, or names of hosts from
// elsewhere.
type Source struct {
	File  string // hosts.yaml, or where Names come from
	Names []string
}

// Merge is Load for sources of both kinds. Of Names, those that no host can have
// are left out; IsName tells.
func Merge(sources ...Source) (*Inventory, error) {
	var rep report
	files := make([]string, len(sources))
	docs := make([]*document, 0, len(sources))
	for i, s := range sources {
		files[i] = s.File
		data, failed := namesDocument(s.Names), (*Error)(nil)
		if s.Names == nil {
			data, failed = readFile(s.File)
		}
		if failed != nil {
			rep.add(failed)
			continue
		}
		docs = append(docs, parseDocument(s.File, data, &rep, MaxHosts))
	}
	return build(files, docs, &rep, MaxHosts)
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
