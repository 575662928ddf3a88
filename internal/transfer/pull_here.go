package transfer

import (
	"context"
	"io/fs"
	"path"
	"slices"
)

// compare finds out whose content is needed.
func (d *pulling) compare(ctx context.Context, p *pullPart) error {
	var unsure []*item
	p.items = slices.DeleteFunc(p.items, func(it *item) bool {
		info, err := d.lstat(it.here)
		switch {
		case it.Kind == Folder:
			if err == nil && !info.IsDir() && d.leaves(it.here) {
				err = fs.ErrNotExist
			}
			if err == nil && !info.IsDir() {
				d.refused = append(d.refused, refusal{it.Path, refusedHere})
				return true
			}
			if err != nil {
				d.did.Folders++
			}
			return false
		case err == nil && info.IsDir() && d.leaves(it.here):
		case err == nil && info.IsDir():
			d.refused = append(d.refused, refusal{it.Path, refusedHere})
			return true
		case err == nil && d.unchanged(it, info):
			if !d.Checksum || it.Kind == Link {
				return d.keep(it)
			}
			unsure = append(unsure, it)
		}
		if it.Kind == File && it.same == nil {
			p.fetch = append(p.fetch, it)
			p.bytes += it.Size
		}
		return false
	})
	return d.settle(ctx, p, unsure)
}

// keep notes that an item is here already, and says whether nothing is left to be
// done with it: a further name of a file may have to become that of a new one.
func (d *pulling) keep(it *item) bool {
	it.kept = true
	if it.same == nil {
		d.did.Skipped++
	}
	return it.same == nil
}

// lstat looks at a file of this machine.
func (d *pulling) lstat(here string) (fs.FileInfo, error) {
	if d.root == nil {
		return nil, fs.ErrNotExist
	}
	dir := path.Dir(path.Join(d.host.dir, here))
	if d.seen == nil || d.seenDir != dir { // most entries lie where the one before them does
		d.unsee()
		in, err := d.root.OpenRoot(dir)
		if err != nil {
			return nil, err
		}
		d.seen, d.seenDir = in, dir
	}
	return d.seen.Lstat(path.Base(path.Join(d.host.dir, here)))
}

// unsee lets go of the folder that was looked at last.
func (d *pulling) unsee() {
	if d.seen != nil {
		d.seen.Close()
		d.seen = nil
	}
}

// unchanged says that a file or link is here as it is on the host, as far as
// size and time tell; with Checksum, that it has the same size.
func (d *pulling) unchanged(it *item, info fs.FileInfo) bool {
	if d.Owners && !d.owns(it.Entry, info) {
		return false
	}
	if it.Kind == Link {
		target, err := d.root.Readlink(path.Join(d.host.dir, it.here))
		return err == nil && target == it.Target
	}
	if !info.Mode().IsRegular() || info.Size() != it.Size || modeBits(info.Mode()) != it.Mode&0o777 {
		return false
	}
	return d.Checksum || info.ModTime().Unix() == it.ModTime
}

// owns says that a file here belongs to whom it is to belong.
func (d *pulling) owns(e *Entry, info fs.FileInfo) bool {
	_, _, _, uid, gid, ok := systemStat(info)
	if !ok {
		return true
	}
	wantUID, wantGID := d.local.of(e)
	return int(uid) == wantUID && int(gid) == wantGID
}

// settle leaves out files whose digests are the same.
func (d *pulling) settle(ctx context.Context, p *pullPart, unsure []*item) error {
	if len(unsure) == 0 {
		return nil
	}
	var names []string
	for _, it := range unsure {
		names = append(names, it.Path)
	}
	sums, err := d.far.digests(ctx, p.base, p.out.sum, names)
	if err != nil {
		return err
	}
	done := make(map[*item]bool)
	for _, it := range unsure {
		there, ok := sums[it.Path]
		here, err := d.digestHere(it.here)
		if !ok || err != nil || here != there {
			continue
		}
		if d.keep(it) {
			done[it] = true
			p.bytes -= it.Size
		}
	}
	p.items = slices.DeleteFunc(p.items, func(it *item) bool { return done[it] })
	p.fetch = slices.DeleteFunc(p.fetch, func(it *item) bool { return done[it] })
	return nil
}
