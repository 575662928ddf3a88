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
	var rep report
	docs := make([]*document, 0, len(paths))
	for _, path := range paths {
		data, failed := readFile(path)
		if failed != nil {
			rep.add(failed)
			continue
		}
		docs = append(docs, parseDocument(path, data, &rep, MaxHosts))
	}
	return build(paths, docs, &rep, MaxHosts)
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
