package source

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"fleet/inventory"
	"fleet/inventory/ansible"
)

// ansibleReader is the one reader of all Ansible sources of a load.
func (l *loader) ansibleReader() *ansible.Reader {
	if l.ansible == nil {
		l.ansible = &ansible.Reader{Vault: l.vault, Notes: &ansible.Notes{}, Known: l.hasGroup}
	}
	return l.ansible
}

// hasGroup says whether a source that was read already has a group.
func (l *loader) hasGroup(name string) bool {
	for i := range l.sources {
		if c := l.sources[i].Content; c != nil && c.HasGroup(name) {
			return true
		}
	}
	return false
}

// beside has group_vars and host_vars of a folder read when all hosts are known.
func (l *loader) beside(folder string) {
	for _, have := range l.folders {
		if have == folder {
			return
		}
	}
	l.folders = append(l.folders, folder)
	l.sources = append(l.sources, inventory.Source{File: folder, Late: func(known inventory.Known) []*inventory.Content {
		var out []*inventory.Content
		for _, c := range l.ansibleReader().Overlays(folder, known) {
			if err := c.Err(); err == nil || l.leave(err) != nil {
				out = append(out, c)
			}
		}
		return out
	}})
}

func isShape(want shape) func(*item) bool {
	return func(it *item) bool {
		if !it.shaped {
			data, err := it.content()
			if err != nil {
				return false
			}
			it.shape, it.shaped = shapeOf(it.path, data), true
		}
		return it.shape == want
	}
}

func readAnsibleINI(l *loader, it *item) error {
	return l.readAnsible(it, l.ansibleReader().INI)
}

func readAnsibleYAML(l *loader, it *item) error {
	return l.readAnsible(it, l.ansibleReader().YAML)
}

func readAnsibleJSON(l *loader, it *item) error {
	return l.readAnsible(it, func(name string, data []byte) *inventory.Content {
		return l.ansibleReader().Script(name, data, nil)
	})
}

func (l *loader) readAnsible(it *item, read func(name string, data []byte) *inventory.Content) error {
	data, err := it.content()
	if err != nil {
		return err
	}
	if !it.inFolder {
		l.beside(filepath.Dir(it.path))
	}
	l.ansibleReader().Sealed = it.secret
	defer func() { l.ansibleReader().Sealed = false }()
	return l.add(it, read(it.path, data))
}

// ignored are the files of a folder that are no sources: hidden ones, variables,
// copies that editors and packages leave, and files of other kinds. The
// extensions are those of Ansible (INVENTORY_IGNORE_EXTS).
var ignored = regexp.MustCompile(`^\.|^(host_vars|group_vars|vars_plugins)$|(\.pyc|\.pyo|\.swp|\.bak|~|\.rpm|\.md|\.txt|\.rst|\.orig|\.ini|\.cfg|\.retry)$`)

func isFolder(it *item) bool { return it.info.IsDir() }

// readFolder reads the sources in a folder in the order of their names.
func readFolder(l *loader, it *item) error {
	if strings.Count(it.path, string(filepath.Separator)) > 100 {
		return &Error{Source: it.text, Msg: "folders inside each other more than 100 deep"}
	}
	list, err := os.ReadDir(it.path)
	if err != nil {
		return readError(it.text, it.path, err)
	}
	if !it.inFolder {
		l.beside(it.path)
	}
	read := 0
	for _, entry := range list {
		if ignored.MatchString(entry.Name()) {
			continue
		}
		path := filepath.Join(it.path, entry.Name())
		read++
		if err := l.open(&item{text: path, path: path, inFolder: true}); err != nil {
			if err = l.leave(err); err != nil {
				return err
			}
		}
	}
	if read == 0 && !it.inFolder {
		return &Error{Source: it.text, Msg: "no inventory in the folder", Way: "hidden files, and those that end in .ini, .cfg, .txt, .md, .bak, .orig and ~, are left out as Ansible does"}
	}
	return nil
}

// readList reads a list of hosts, as in web1,web2:2222 or web[01-20],db1.
func readList(l *loader, it *item) error {
	c := inventory.NewContent(it.path)
	c.KeepUngrouped()
	c.SortGroups()
	names := strings.Split(it.path, ",")
	if strings.Contains(it.path, "[") {
		var err error
		if names, err = inventory.ExpandSet(strings.Trim(it.path, ", ")); err != nil {
			return &Error{Source: it.text, Msg: err.Error(), Err: err}
		}
	}
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := ansible.ListedHost(c, name); err != nil {
			return &Error{Source: it.text, Msg: err.Error(), Err: err}
		}
	}
	return l.add(it, c)
}
