package ansible

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// maxVarsFile bounds the size of a file of variables in bytes.
const maxVarsFile = 64 << 20

// Overlays reads the folders group_vars and host_vars of dir, as far as they
// speak of hosts and groups that there are.
func (r *Reader) Overlays(dir string, known inventory.Known) []*inventory.Content {
	var out []*inventory.Content
	for _, of := range []struct {
		folder string
		has    func(string) bool
		entry  func(*inventory.Content, string) (inventory.Entry, error)
	}{
		{"group_vars", known.Group, func(c *inventory.Content, name string) (inventory.Entry, error) {
			return c.Group(name, inventory.Mark{})
		}},
		{"host_vars", known.Host, func(c *inventory.Content, name string) (inventory.Entry, error) {
			return c.Host(name, inventory.Mark{})
		}},
	} {
		folder := filepath.Join(dir, of.folder)
		list, err := os.ReadDir(folder)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !isFile(folder) {
				out = append(out, failed(folder, err))
			}
			continue
		}
		for _, found := range varsFiles(folder, list, of.has) {
			for _, path := range found.paths {
				c := r.varsFile(path, func(c *inventory.Content) (inventory.Entry, error) { return of.entry(c, found.name) })
				out = append(out, c)
			}
		}
	}
	return out
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// failed is a Content in which there is nothing but the error.
func failed(path string, err error) *inventory.Content {
	var at *fs.PathError
	cause := err
	if errors.As(err, &at) {
		cause = at.Err
	}
	c := inventory.NewContent(path)
	c.Fail(&inventory.Error{Msg: "read variables: " + cause.Error(), Err: err})
	return c
}

// extensions of files of variables, in the order in which the first that is
// there counts.
var extensions = []string{"", ".yml", ".yaml", ".json"}

// varsOf is the files with variables of one host or group, weakest first.
type varsOf struct {
	name  string
	paths []string
}

// varsFiles finds the files of variables for names that has knows.
func varsFiles(folder string, list []fs.DirEntry, has func(string) bool) []varsOf {
	rank := make(map[string]int) // by name, from 1
	var names []string
	for _, entry := range list {
		for i, ext := range extensions {
			name, ok := strings.CutSuffix(entry.Name(), ext)
			if !ok || !has(name) {
				continue
			}
			if rank[name] == 0 {
				names = append(names, name)
			}
			if rank[name] == 0 || i+1 < rank[name] {
				rank[name] = i + 1
			}
		}
	}
	slices.Sort(names)
	out := make([]varsOf, 0, len(names))
	for _, name := range names {
		path := filepath.Join(folder, name+extensions[rank[name]-1])
		if isFile(path) {
			out = append(out, varsOf{name, []string{path}})
		} else {
			out = append(out, varsOf{name, filesBelow(path, 0)})
		}
	}
	return out
}

// filesBelow gives the files of variables in a folder and in those below it, in
// the order of their names.
func filesBelow(folder string, depth int) []string {
	list, err := os.ReadDir(folder)
	if err != nil || depth > maxDepth {
		return []string{folder} // reading it says what is wrong
	}
	var out []string
	for _, entry := range list { // sorted
		name := entry.Name()
		if name[0] == '.' || strings.HasSuffix(name, "~") {
			continue
		}
		ext := filepath.Ext(name)
		path := filepath.Join(folder, name)
		switch {
		case !isFile(path) && ext == "":
			out = append(out, filesBelow(path, depth+1)...)
		case slices.Contains(extensions, ext):
			out = append(out, path)
		}
	}
	return out
}

// varsFile reads a file of variables of one host or group.
func (r *Reader) varsFile(path string, entry func(*inventory.Content) (inventory.Entry, error)) *inventory.Content {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxVarsFile {
		err = errors.New("the file is too large")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return failed(path, err)
	}
	f := &file{r, inventory.NewContent(path)}
	y := &yamlFile{file: f}
	if IsVault(data) {
		plain, err := r.Vault.Decrypt(data)
		if err != nil {
			y.bad(inventory.Mark{Line: 1, Column: 1}, "", err.Error(), hintOf(err))
			return f.c
		}
		data = plain
		r.Sealed = true
		defer func() {
			r.Sealed = false
			f.c.HideVars()
		}()
	}
	if len(strings.TrimSpace(string(data))) == 0 || onlyComments(data) {
		return f.c
	}
	root := y.parse(data)
	if root == nil {
		return f.c
	}
	if root = deref(root); root.Kind != yaml.MappingNode {
		if !isNull(root) {
			y.wrong(root, "want variables by their names, found "+kindOf(root), "")
		}
		return f.c
	}
	e, err := entry(f.c)
	if err != nil {
		f.fail(err)
		return f.c
	}
	y.pairs(root, func(key, value *yaml.Node) { f.set(e, y.keyText(key), y.value(value, 0), markOf(key)) })
	return f.c
}

// onlyComments says whether there is nothing in a file of YAML.
func onlyComments(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line != "---" && line != "..." {
			return false
		}
	}
	return true
}
