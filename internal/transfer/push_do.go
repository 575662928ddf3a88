package transfer

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"fleet/internal/event"
	"fleet/scheduler"
	"fleet/sshpool"
)

// Do copies to one host. The transfer is what was done by then, also beside an
// error; all of it is counted once it is done.
func (p *Push) Do(ctx context.Context, conn *sshpool.Conn, host string, show Show) (*event.Transfer, error) {
	d := &pushing{Push: p, host: host, far: far{conn: conn, become: show.Become, rates: p.Bandwidth.rates()}, tree: p.hosts[host], show: show}
	d.did.DryRun = p.DryRun
	if d.tree == nil {
		return nil, fmt.Errorf("push: host %q was not prepared", host)
	}
	defer d.far.close()
	return &d.did, outcome(d.do(ctx))
}

// Show is where a transfer on a host tells what it does, and as whom it does it.
type Show struct {
	Out      io.Writer // lines, one for each file; as stdout of the host
	Err      io.Writer // what is refused
	Progress func(event.Progress)
	// Become is whom files are read and written as on the host; nil is the login
	// user.
	Become *sshpool.Become
	// Address is where other hosts reach the host: a name or address with a port.
	// Hold keeps it connected beyond the transfer, until it is released. Both are
	// for Push.Spread.
	Address string
	Hold    func(ctx context.Context) (conn *sshpool.Conn, release func(), err error)
}

// pushing is a Push to one host.
type pushing struct {
	*Push
	host string
	far  far
	tree *tree
	show Show
	out  *outlook
	plan *plan
	did  event.Transfer

	large []*change // files of a tree that go by themselves
}

func (d *pushing) do(ctx context.Context) error {
	if err := d.look(ctx); err != nil {
		return err
	}
	base, want, err := d.place()
	if err != nil {
		return err
	}
	if d.plan, err = d.compare().plan(base, want, d.out.there); err != nil {
		return err
	}
	if err := d.settle(ctx); err != nil {
		return err
	}
	if err := d.wholes(); err != nil {
		return err
	}
	d.offerThere(ctx)
	if d.MaxDelete >= 0 && d.plan.deleted > d.MaxDelete {
		return &Failure{Kind: scheduler.KindMaxDelete, Text: fmt.Sprintf("%d would be deleted, more than --max-delete %d allows", d.plan.deleted, d.MaxDelete)}
	}
	if d.DryRun || d.Diff || d.Verbose {
		if err := d.tell(ctx); err != nil {
			return err
		}
	}
	if d.DryRun || d.plan.empty() {
		d.count()
		return nil
	}
	if done, err := d.alone(ctx); done || err != nil {
		return err
	}
	return d.put(ctx)
}

// look finds out what is on the host, where the tree is to be.
func (d *pushing) look(ctx context.Context) (err error) {
	l := lookFor{what: "names", dst: d.tree.dst, users: d.tree.users, groups: d.tree.groups}
	switch {
	case d.tree.single != nil:
		l.what, l.names = "one", []string{d.tree.single.Path}
	case d.Delete && len(d.tree.mirrors) > 0:
		l.what, l.names = "trees", d.tree.mirrors
	default:
		l.names = d.names(nil)
	}
	l.most.entries = len(l.names) + 1 // 0 is no limit
	if l.what == "trees" {
		l.most.entries = len(d.tree.entries) + maxMore
	}
	if d.out, err = d.far.look(ctx, l); err != nil {
		return err
	}
	if rest := d.names(d.tree.mirrors); l.what == "trees" && len(rest) > 0 {
		l.what, l.names, l.most.entries = "names", rest, len(rest)+1
		more, err := d.far.look(ctx, l)
		if err != nil {
			return err
		}
		for name, e := range more.there {
			d.out.there[name] = e
		}
	}
	return nil
}

// maxMore is how many entries mirrored folders of a host may hold, or a host may
// claim that they hold, beside those that they are to: all are kept in memory.
const maxMore = 1_000_000

// names are the paths of all entries that lie in none of the folders.
func (d *pushing) names(folders []string) []string {
	var list []string
	for _, e := range d.tree.entries {
		inside := false
		for _, f := range folders {
			inside = inside || f == e.Path || below(e.Path, f)
		}
		if !inside {
			list = append(list, e.Path)
		}
	}
	return list
}

// place decides on the folder and on the names in it.
func (d *pushing) place() (base string, want []*Entry, err error) {
	t, o := d.tree, d.out
	switch {
	case o.find == "none":
		return "", nil, &Failure{Kind: scheduler.KindNoShell, Text: "the host has neither GNU find nor stat, and no SFTP"}
	case o.tar == "none":
		return "", nil, &Failure{Kind: scheduler.KindNoShell, Text: "the host has no tar, and no SFTP"}
	case t.unnamed && o.dst == "folder":
		return "", nil, &Failure{Kind: scheduler.KindConflict, Text: quoted([]byte(t.dst)) + ": is a folder, and standard input has no name for a file in it"}
	case t.folder && o.dst == "file":
		return "", nil, &Failure{Kind: scheduler.KindConflict, Text: quoted([]byte(t.dst)) + ": not a folder"}
	}
	base, want = t.dst, t.entries
	if t.single != nil && o.dst != "folder" {
		base, want = path.Dir(t.dst), []*Entry{t.alone}
	}
	switch {
	case o.base == "denied":
		return "", nil, &Failure{Kind: scheduler.KindPermission, Text: quoted([]byte(base)) + ": permission denied"}
	case o.base == "file":
		return "", nil, &Failure{Kind: scheduler.KindConflict, Text: quoted([]byte(base)) + ": not a folder"}
	case o.base == "" && t.single != nil:
		return "", nil, &Failure{Kind: scheduler.KindNotFound, Text: quoted([]byte(base)) + ": no such folder"}
	}
	return base, want, nil
}

func (d *pushing) compare() compare {
	c := compare{checksum: d.Checksum, force: d.Delete, backups: d.Backup}
	if d.Delete {
		c.mirrors, c.spared = d.tree.mirrors, d.tree.spared
	}
	same := func(name string) string { return name }
	switch {
	case d.out.uid == 0:
		c.owner, c.group = d.out.owner, d.out.group
	}
	if d.Owner != "" {
		c.owner = same
	}
	if d.Group != "" {
		c.group = same
	}
	return c
}

// settle compares the digests of files where these decide.
func (d *pushing) settle(ctx context.Context) error {
	if len(d.plan.unsure) == 0 {
		return nil
	}
	var names []string
	for _, ch := range d.plan.unsure {
		names = append(names, ch.Path)
	}
	sums, err := d.far.digests(ctx, d.plan.base, d.out.sum, names)
	if err != nil {
		return err
	}
	same := make(map[*change]bool)
	for _, ch := range d.plan.unsure {
		there, ok := sums[ch.Path]
		if !ok {
			continue
		}
		here, err := d.digest(ch.Entry)
		if err != nil {
			return err
		}
		same[ch] = here == there
	}
	d.plan.settle(same)
	return nil
}

// wholes has folders that are exchanged whole sent with all that is in them, if
// anything in them is to be done. It is not to be where the one that is there holds
// what is to be left alone, as that would go with it.
func (d *pushing) wholes() error {
	if !d.AtomicDir {
		return nil
	}
	pl := d.plan
	for _, m := range d.tree.mirrors {
		touched := false
		for _, ch := range pl.changes {
			touched = touched || ch.Path == m || below(ch.Path, m)
		}
		if !touched && !pl.deletesIn(m) {
			continue
		}
		for _, name := range pl.spared {
			if below(name, m) {
				return &Failure{Kind: scheduler.KindConflict, Text: fmt.Sprintf("%s: holds %s, which is to be left alone, and --atomic-dir would take it away",
					whole(pl.base, m), shown(name))}
			}
		}
		pl.whole(m, d.tree.entries)
	}
	return nil
}

// count takes what the plan says as done.
func (d *pushing) count() {
	for _, ch := range d.plan.changes {
		switch {
		case ch.send && ch.Kind == Folder:
			d.did.Folders++
		case ch.send:
			d.did.Sent++
		case ch.Kind != Folder:
			d.did.Updated++
		}
	}
	d.did.Skipped, d.did.Deleted, d.did.Bytes = len(d.plan.same), d.plan.deleted, d.plan.bytes
}

// put sends what is to be sent and has it put in its place: first what goes in
// one stream, then the large files of a tree.
func (d *pushing) put(ctx context.Context) error {
	count := d.counter()
	defer count.end()
	large := d.takeLarge(ctx)
	if _, made := d.madeWith(); made || !d.plan.empty() {
		if err := d.most(ctx, count); err != nil {
			return err
		}
		d.did.NotSynced = !d.Sync || d.far.sftp != nil && !d.far.offers("fsync@openssh.com")
	}
	d.count()
	if !large {
		d.unspread()
		return nil
	}
	return d.putLarge(ctx, count)
}

// madeWith says whether DST is to be made, and with which mode. That is at once the
// one that it is to have, but for what keeps us out: if the push ends before all is
// there, the next one takes it for the host's own and leaves it as it is.
func (d *pushing) madeWith() (mode uint32, wanted bool) {
	mode = 0o755
	for _, e := range d.tree.entries {
		if e.Path == "." {
			mode = e.Mode | 0o700
		}
	}
	return mode, d.out.dst == "none" && d.tree.folder
}

// most sends all that is not sent by itself.
func (d *pushing) most(ctx context.Context, count *counter) error {
	if d.far.sftp != nil {
		d.went(string(d.far.sftp.Way()))
		return d.streamBySFTP(ctx, count)
	}
	d.went("tar")
	return d.stream(ctx, count)
}

// stream sends what goes in one stream.
func (d *pushing) stream(ctx context.Context, count *counter) error {
	verify := d.out.sum
	if d.NoVerify {
		verify = ""
	} else if verify == "none" {
		return &Failure{Kind: scheduler.KindNoShell, Text: "the host has no sha256sum, shasum, sha256 or cksum to compare files with; --no-verify does without"}
	}
	mk := ""
	if mode, wanted := d.madeWith(); wanted {
		mk = fmt.Sprintf("%04o", mode)
	}
	r, w := io.Pipe()
	pack := &pack{p: d.Push, plan: d.plan, far: d.out, verify: verify, tick: count.add}
	packed := make(chan error, 1)
	packing, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		err := pack.write(packing, w)
		w.CloseWithError(err) // an error cuts the stream: nothing is applied
		packed <- err
	}()
	said := &lastBytes{most: maxSaid}
	res, err := d.far.script(ctx, nonce(), putScript, []string{d.plan.base, mk, verify, yes(d.Sync)}, r, said)
	r.CloseWithError(io.ErrClosedPipe)
	packErr := <-packed
	switch {
	case err != nil:
		return err
	case packErr != nil && packErr != io.ErrClosedPipe:
		return packErr
	}
	return d.applied(string(said.kept), res)
}

// yes is a flag as an argument of a script.
func yes(on bool) string {
	if on {
		return "yes"
	}
	return ""
}

// stages say what failed where.
var stages = map[string]string{
	"mkdir": "make folder", "cd": "enter folder", "stage": "make a folder for what arrives",
	"unpack": "unpack", "cut": "unpack", "copy": "copy", "verify": "compare with what was sent", "backup": "keep what is replaced",
	"move": "put in place", "delete": "delete", "mode": "set mode", "owner": "set owner", "time": "set time", "sync": "write to disk",
}

// noStage is what stands between the name of a folder and why nothing can be
// made in it.
const noStage = ": no folder can be made there for what arrives"

// applied judges what putScript wrote.
func (d *pushing) applied(said string, res scriptResult) error {
	failed := ""
	for line := range strings.Lines(said) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "done":
			return nil
		case line == "gap":
			d.did.NotAtomic = true
		case strings.HasPrefix(line, "at "):
			failed = line[3:]
		}
	}
	if failed == "verify" {
		f := complaint(stages[failed], d.plan.base, res.stderr, "content differs")
		if f.Kind == scheduler.KindRemote {
			f.Kind = scheduler.KindMismatch
		}
		return f
	}
	what, known := stages[failed]
	if !known {
		what = "put files"
	}
	if failed == "stage" { // its name says nothing to anybody
		f := complaint(what, d.plan.base, res.stderr, ended(res))
		return &Failure{Kind: f.Kind, Text: whole(d.plan.base, "") + noStage + f.Text[strings.LastIndex(f.Text, ": "):]}
	}
	return complaint(what, d.plan.base, res.stderr, ended(res))
}
