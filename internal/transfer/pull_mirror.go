package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fleet/scheduler"
)

// gone is an entry of this machine that goes, as the host does not have it.
type gone struct {
	name  string // below the host's folder
	inWay bool   // something of another kind is to be there
}

// mirror finds what goes here: what lies in the copies of folders, but is none of
// what comes, or is of another kind. What the filter leaves out is left alone,
// with the folders that hold it, and so is what the host has but was refused. It
// is called before anything is compared.
func (d *pulling) mirror() error {
	if !d.Delete || d.root == nil {
		return nil
	}
	m := &mirroring{d: d, wanted: map[string]Kind{}, seen: map[string]bool{}, kept: map[string]bool{}}
	var roots []string
	for _, p := range d.parts {
		for _, it := range p.items {
			m.wanted[it.here] = it.Kind
		}
		if it := p.root(); it != nil {
			roots = append(roots, it.here)
		}
	}
	for _, r := range d.refused {
		for name := safePath(r.name); name != "." && name != "/"; name = path.Dir(name) {
			m.kept[name] = true
		}
	}
	for _, root := range roots {
		if err := m.walk(root); err != nil {
			return err
		}
	}
	for _, g := range m.found {
		if !m.kept[g.name] {
			d.gone = append(d.gone, g)
		}
	}
	slices.SortFunc(d.gone, func(a, b gone) int { return comparePaths(a.name, b.name) })
	if d.MaxDelete >= 0 && len(d.gone) > d.MaxDelete {
		return &Failure{Kind: scheduler.KindMaxDelete, Text: fmt.Sprintf("%d would be deleted here, more than --max-delete %d allows", len(d.gone), d.MaxDelete)}
	}
	return nil
}

// mirroring is the search for what goes.
type mirroring struct {
	d      *pulling
	wanted map[string]Kind
	seen   map[string]bool
	kept   map[string]bool // left alone, whatever else
	found  []gone
}

// root is the folder that the part's source names; nil where that is a file or a
// pattern.
func (p *pullPart) root() *item {
	_, root, pattern := split(p.source)
	if pattern != "" {
		return nil
	}
	for _, it := range p.items {
		if it.Path == root && it.Kind == Folder {
			return it
		}
	}
	return nil
}

// walk looks through the copy of a folder. It follows no link.
func (m *mirroring) walk(root string) error {
	dir := m.d.host.dir
	return fs.WalkDir(m.d.root.FS(), path.Join(dir, root), func(file string, e fs.DirEntry, err error) error {
		name := file
		if dir != "." {
			name = strings.TrimPrefix(strings.TrimPrefix(file, dir), "/")
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case name == root || name == "" || m.seen[name] || ourPart(path.Base(name)) && m.wanted[path.Dir(name)] == Folder:
			return nil
		}
		m.seen[name] = true
		kind, wanted := m.wanted[name]
		if wanted && e.IsDir() == (kind == Folder) {
			return nil
		}
		rel := name
		if root != "." {
			rel = strings.TrimPrefix(name, root+"/")
		}
		if m.d.Filter.out(rel, e.IsDir()) {
			for up := name; up != "."; up = path.Dir(up) {
				m.kept[up] = true
			}
			return nil
		}
		m.found = append(m.found, gone{name, wanted})
		return nil
	})
}

// ourPart says that a file is one of ours that is not yet whole.
func ourPart(name string) bool {
	return strings.HasPrefix(name, partPrefix) || strings.HasPrefix(name, ".fleet-") && strings.HasSuffix(name, ".part")
}

// tellGone shows what is to be deleted.
func (d *pulling) tellGone() {
	d.did.Deleted = len(d.gone)
	if !d.DryRun && !d.Verbose {
		return
	}
	for _, g := range d.gone {
		fmt.Fprintf(d.show.Out, "delete %s\n", shown(g.name))
	}
}

// leaves says that something of another kind is to take the place of an entry
// here, which goes.
func (d *pulling) leaves(here string) bool {
	return slices.Contains(d.gone, gone{here, true})
}

// makesWay says that something goes with what is in the way, or is that.
func (d *pulling) makesWay(g gone) bool {
	return g.inWay || slices.ContainsFunc(d.gone, func(w gone) bool { return w.inWay && below(g.name, w.name) })
}

// makeWay deletes what is in the way.
func (d *pulling) makeWay() error {
	for _, g := range d.gone { // folders before what they hold
		if d.makesWay(g) {
			d.store.unlock(path.Dir(g.name))
		}
	}
	for _, g := range d.gone {
		if !g.inWay {
			continue
		}
		if err := d.store.root.RemoveAll(g.name); err != nil {
			return err
		}
	}
	return nil
}

// deleteGone deletes what the host does not have, unless something of the host
// could not be read: then nobody knows.
func (d *pulling) deleteGone() error {
	if d.missing != nil && len(d.gone) > 0 {
		fmt.Fprintln(d.show.Err, "nothing is deleted here, as not all of the host could be read")
		d.did.Deleted = 0
		return nil
	}
	for _, g := range slices.Backward(d.gone) { // what is in folders first
		if d.makesWay(g) {
			continue
		}
		d.store.unlock(path.Dir(g.name))
		if err := d.store.root.Remove(g.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.folderTimes()
}

// folderTimes gives the folders that something was deleted from their times back.
func (d *pulling) folderTimes() error {
	held := map[string]bool{}
	for _, g := range d.gone {
		held[path.Dir(g.name)] = true
	}
	for _, p := range d.parts {
		for _, it := range slices.Backward(p.items) {
			if it.Kind != Folder || it.here == "." || !held[it.here] {
				continue
			}
			if err := d.store.finish(it); err != nil {
				return err
			}
		}
	}
	return nil
}
