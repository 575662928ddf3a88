package transfer

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"time"

	"fleet/sshpool"
)

// largeSize is the size from which on the files of a tree go one by one, after
// the stream, so that an interrupted run goes on where it stopped. As aloneSize, it
// is changed only by tests.
var largeSize int64 = 64 << 20

// takeLarge takes the files that go by themselves out of the plan, and says that
// there are some; not where only the stream is to be had.
func (d *pushing) takeLarge(ctx context.Context) bool {
	if d.AtomicDir || d.far.become != nil && !d.canStage() || !slices.ContainsFunc(d.plan.changes, (*change).large) {
		return false
	}
	shared := map[string]bool{} // files with further names in the tree, which go with these
	for _, e := range d.tree.entries {
		if e.Same != "" {
			shared[e.Same] = true
		}
	}
	large := func(ch *change) bool { return ch.large() && !shared[ch.Path] }
	if !slices.ContainsFunc(d.plan.changes, large) {
		return false
	}
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return false // tar may do; what else is wrong shows there
	}
	files.Close() // the stream may need the only session that the host allows
	if files.Way() == sshpool.WayStream {
		return false
	}
	d.plan.changes = slices.DeleteFunc(d.plan.changes, func(ch *change) bool {
		if !large(ch) {
			return false
		}
		d.large = append(d.large, ch)
		d.plan.bytes -= ch.Size
		return true
	})
	return true
}

// large says that a change goes by itself.
func (ch *change) large() bool {
	return ch.send && !ch.removed && ch.Kind == File && ch.Size >= largeSize &&
		ch.local != "" && ch.content == nil && !ch.rendered && !ch.Sparse && ch.Same == ""
}

// putLarge puts the files that go by themselves. The folders that hold them are
// there.
func (d *pushing) putLarge(ctx context.Context, count *counter) error {
	if d.far.become != nil {
		return d.stageLarge(ctx, count)
	}
	type numbers struct{ uid, gid *int }
	owners := make([]numbers, len(d.large)) // asked for first: there may be one session only
	for i, ch := range d.large {
		var err error
		if owners[i].uid, owners[i].gid, err = d.ownerNumbers(ctx, ch.Entry); err != nil {
			return err
		}
	}
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return err
	}
	defer files.Close()
	for i, ch := range d.large {
		o := sshpool.PutOptions{Mode: modeOf(ch.Mode), ModTime: time.Unix(ch.ModTime, 0), Rates: d.far.rates,
			UID: owners[i].uid, GID: owners[i].gid, Progress: func(n int64) { count.add(n, 0) }}
		name := path.Join(d.plan.base, ch.Path)
		if d.Backup && ch.old != nil {
			o.Backup = name + "~"
		}
		if d.NoVerify {
			o.Verify = sshpool.VerifyOff
		}
		src, err := d.sources.source(ch.Entry)
		if err != nil {
			return err
		}
		res, err := d.putFile(ctx, files, src, name, o)
		d.did.Resumed += res.Resumed
		if err != nil {
			return err
		}
		count.add(0, 1)
		d.did.Sent++
		d.did.Bytes += ch.Size
		d.did.NotAtomic = d.did.NotAtomic || !res.Atomic
		d.did.NotSynced = d.did.NotSynced || !res.Synced
		d.went(string(res.Way))
	}
	return d.parentTimes(ctx, files, d.large...)
}

// went notes a way that files went.
func (d *pushing) went(way string) {
	switch d.did.Way {
	case "", way:
		d.did.Way = way
	case "tar":
		d.did.Way += " and " + way
	}
}

// parentTimes gives the folders that hold files that went by themselves their
// times back.
func (d *pushing) parentTimes(ctx context.Context, files *sshpool.Files, large ...*change) error {
	holds := map[string]bool{}
	for _, ch := range large {
		holds[parent(ch.Path)] = true
	}
	for _, e := range d.plan.folders {
		if !holds[e.Path] {
			continue
		}
		when := time.Unix(e.ModTime, 0)
		if err := files.SFTP().Chtimes(ctx, path.Join(d.plan.base, e.Path), when, when); err != nil {
			return err
		}
	}
	return nil
}

// comesAlone says that a file comes by a Get of its own.
func (d *pulling) comesAlone(it *item) bool {
	return it.Size >= aloneSize && it.same == nil && it.links < 2 && !it.Sparse && d.Links != FollowLinks && d.far.become == nil
}

// getLarge fetches large files, and gives those that it could not: the stream
// may.
func (d *pulling) getLarge(ctx context.Context, p *pullPart, want []*item, c *counter) (rest []*item, err error) {
	if len(want) == 0 {
		return nil, nil
	}
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return want, nil
	}
	defer files.Close()
	if files.Way() == sshpool.WayStream {
		return want, nil
	}
	for _, it := range want {
		most := int64(0)
		if d.MaxBytes > 0 {
			most = d.MaxBytes - d.bytes + it.Size
		}
		in, name, err := d.store.enter(it.here)
		if err != nil {
			return nil, err
		}
		mode := fs.FileMode(it.Mode & 0o777)
		o := sshpool.GetOptions{Mode: &mode, Times: true, Rates: d.far.rates, MaxBytes: most,
			Progress: func(n int64) { c.add(n, 0) }}
		if d.NoVerify {
			o.Verify = sshpool.VerifyOff
		}
		res, err := files.Get(ctx, path.Join(p.base, it.Path), in, name, o)
		d.did.Resumed += res.Resumed
		switch {
		case err != nil && elsewhere(err):
			rest = append(rest, it)
			continue
		case err != nil:
			return nil, aloneFailure(err)
		}
		c.add(0, 1)
		if err := d.resized(it, res.Size); err != nil {
			return nil, err
		}
		it.came = true
		if err := d.store.own(in, name, it.Entry); err != nil {
			return nil, err
		}
		if info, err := in.Stat(name); err == nil && info.ModTime().Unix() == it.ModTime && it.Nanos != 0 { // SFTP knew the second
			in.Chtimes(name, it.modified(), it.modified())
		}
		if d.did.Way == "" {
			d.did.Way = string(res.Way)
		}
	}
	return rest, nil
}
