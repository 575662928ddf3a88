package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"fleet/inventory"
	"fleet/inventory/ansible"
)

// kind is one kind of source.
type kind struct {
	name  string // as in NAME:PATH
	place string // what follows the name
	hint  string // where nothing follows it
	bare  bool   // whether the name alone is a source too
	// claims says whether a source, by its text, the file's state or what the
	// file holds, is of this kind; kinds are asked in the order of the table. Nil
	// where a source of this kind is always written with its name.
	claims func(*item) bool
	read   func(*loader, *item) error
}

// kinds is every kind of source. The order is that of asking: what is sure comes
// first, and hosts.yaml last, since its errors are the most telling.
var kinds []kind

func init() { // not in the declaration: reading a folder leads back to the table
	kinds = []kind{
		{name: "ssh_config", place: "file", bare: true, read: readSSHConfig, hint: "'-i ssh_config' takes the Host lines of the usual files"},
		{name: "list", place: "hosts", claims: isList, read: readList},
		{name: "folder", place: "folder", claims: isFolder, read: readFolder},
		{name: "script", place: "program", claims: isScript, read: readScript},
		{name: "genders", place: "file", claims: isGenders, read: readGenders},
		{name: "clustershell", place: "file", bare: true, claims: isClusterShell, read: readClusterShell},
		{name: "hosts.json", place: "file", claims: isHostsJSON, read: readHostsJSON},
		{name: "hostfile", place: "file", claims: isHostList, read: readHostList},
		{name: "ansible-yaml", place: "file", claims: isShape(shapeAnsibleYAML), read: readAnsibleYAML},
		{name: "ansible-json", place: "file", claims: isShape(shapeAnsibleJSON), read: readAnsibleJSON},
		{name: "ansible-ini", place: "file", claims: isShape(shapeINI), read: readAnsibleINI},
		{name: "hosts.yaml", place: "file", claims: isHostsYAML, read: readHostsYAML},
	}
}

func kindByName(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}

// IsKind says whether a word is the name of a kind of source, as in NAME:PATH.
func IsKind(word string) bool { return kindByName(word) != nil }

func kindNames() string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].name
	}
	return strings.Join(names, ", ")
}

// maxFile bounds the size of one file in bytes.
const maxFile = 512 << 20

// item is a source being looked at; the file is read at most once.
type item struct {
	text string // as the user wrote it
	path string
	info fs.FileInfo // nil where there is no such file
	data []byte
	read bool

	vault  *ansible.Vault
	secret bool // the file was encrypted

	shape    shape // where shaped is set
	shaped   bool
	inFolder bool // a folder that is a source has it
}

// isList takes what is no file and has commas.
func isList(it *item) bool { return it.info == nil && strings.Contains(it.path, ",") }

// stat looks for the file.
func (it *item) stat() error {
	info, err := os.Stat(it.path)
	if err != nil {
		return readError(it.text, it.path, err)
	}
	it.info = info
	return nil
}

// content gives what the file holds.
func (it *item) content() ([]byte, error) {
	if it.read {
		return it.data, nil
	}
	if it.info == nil {
		if err := it.stat(); err != nil {
			return nil, err
		}
	}
	if it.info.IsDir() {
		return nil, &Error{Source: it.text, Msg: "read inventory: is a directory", Way: "name the file in it"}
	}
	if it.info.Size() > maxFile {
		return nil, &Error{Source: it.text, Msg: fmt.Sprintf("file of %d bytes, the limit is %d", it.info.Size(), maxFile)}
	}
	f, err := os.Open(it.path)
	if err != nil {
		return nil, readError(it.text, it.path, err)
	}
	defer f.Close() //nolint:errcheck // only read
	data := bytes.NewBuffer(make([]byte, 0, it.info.Size()+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, readError(it.text, it.path, err)
	}
	if data.Len() > maxFile { // a pipe or a device: its size is not known before
		return nil, &Error{Source: it.text, Msg: fmt.Sprintf("more than %d bytes", maxFile)}
	}
	it.data, it.read = data.Bytes(), true
	if ansible.IsVault(it.data) {
		plain, err := it.vault.Decrypt(it.data)
		if err != nil {
			it.data, it.read = nil, false
			e := &Error{Source: it.text, Msg: err.Error(), Err: err}
			var way *ansible.VaultError
			if errors.As(err, &way) {
				e.Way = way.Way
			}
			return nil, e
		}
		it.data, it.secret = plain, true
	}
	return it.data, nil
}

// isHostsYAML takes every file that no other kind did.
func isHostsYAML(it *item) bool { return !it.info.IsDir() }

func readHostsYAML(l *loader, it *item) error {
	data, err := it.content()
	if err != nil {
		return err
	}
	return l.add(it, inventory.ReadContent(it.path, data))
}

func readSSHConfig(l *loader, it *item) error {
	if l.SSHConfigNames == nil {
		return &Error{Source: it.text, Msg: "no source of hosts here"}
	}
	names, err := l.SSHConfigNames(it.path)
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{}
	}
	l.sources = append(l.sources, inventory.Source{File: it.text, Names: names})
	return nil
}
