package transfer

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"fleet/internal/event"
	"fleet/scheduler"
)

// pulling is a Pull from one host.
type pulling struct {
	*Pull
	far   far
	host  *pullHost
	show  Show
	did   event.Transfer
	store *store // nil in a dry run
	parts []*pullPart

	seen    *os.Root // the folder of this machine that was looked at last
	seenDir string

	refused []refusal
	missing *Failure // the first of what did not come
	lacking int      // how many files did not come
	bytes   int64    // of all that is to be here
	local   localOwners
	gone    []gone // with Delete, what goes here; sorted by name
}

// pullPart is one source on one host.
type pullPart struct {
	source  string
	base    string // the folder on the host
	pattern string // of what in it is meant; empty for one name
	out     *outlook
	items   []*item
	fetch   []*item // files whose content is needed
	bytes   int64
}

func (d *pulling) do(ctx context.Context) error {
	defer d.unsee()
	for _, source := range d.host.sources {
		part, err := d.look(ctx, source)
		if err != nil {
			return err
		}
		d.parts = append(d.parts, part)
	}
	if err := d.agree(); err != nil {
		return err
	}
	if err := d.mirror(); err != nil {
		return err
	}
	for _, part := range d.parts {
		if err := d.compare(ctx, part); err != nil {
			return err
		}
	}
	d.tell()
	if d.DryRun {
		return d.verdict()
	}
	if err := d.open(); err != nil {
		return err
	}
	defer d.store.close()
	if err := d.makeWay(); err != nil {
		return err
	}
	for _, part := range d.parts {
		if err := d.take(ctx, part); err != nil {
			d.finish() //nolint:errcheck // as far as it has come
			return err
		}
	}
	if err := d.finish(); err != nil {
		return err
	}
	if err := d.deleteGone(); err != nil {
		return err
	}
	return d.verdict()
}

// split takes a source apart: the folder that is looked at, what in it, and the
// pattern, if it is one.
func split(source string) (base, root, pattern string) {
	name := source
	if globbed(name) {
		base, pattern = doublestar.SplitPattern(strings.TrimRight(name, "/"))
		return path.Clean(base), ".", pattern
	}
	clean := path.Clean(name)
	if strings.HasSuffix(name, "/") || clean == "." || clean == "/" || path.Base(clean) == ".." {
		return clean, ".", ""
	}
	return path.Dir(clean), path.Base(clean), ""
}

// look finds out what there is on the host.
func (d *pulling) look(ctx context.Context, source string) (*pullPart, error) {
	p := &pullPart{source: source}
	var root, pattern string
	p.base, root, pattern = split(source)
	out, err := d.far.look(ctx, lookFor{what: "trees", dst: p.base, names: []string{root}, links: d.Links,
		most: bounds{d.MaxEntries, d.MaxDepth}})
	if err != nil {
		return nil, err
	}
	p.out = out
	switch {
	case out.find == "none":
		return nil, &Failure{Kind: scheduler.KindNoShell, Text: "the host has neither GNU find nor stat, and no SFTP"}
	case out.tar == "none":
		return nil, &Failure{Kind: scheduler.KindNoShell, Text: "the host has no tar, and no SFTP"}
	case out.base == "denied":
		return nil, &Failure{Kind: scheduler.KindPermission, Text: shown(p.base) + ": permission denied"}
	case out.dst == "file":
		return nil, &Failure{Kind: scheduler.KindConflict, Text: shown(p.base) + ": not a folder"}
	case out.base == "" || out.there[root] == nil:
		if f := complaint("look", p.base, out.stderr, "not found"); out.base != "" && f.Kind == scheduler.KindPermission {
			return nil, f
		}
		return nil, &Failure{Kind: scheduler.KindNotFound, Text: shown(source) + ": no such file or folder"}
	}
	p.pattern = pattern
	s := &sift{links: d.Links, filter: d.Filter, pattern: pattern, roots: []string{root}, prefix: ".", strip: root}
	s.take(out.there)
	p.items = s.items
	d.refused = append(d.refused, s.refused...)
	if pattern != "" && len(p.items) == 0 && len(s.refused) == 0 {
		return nil, &Failure{Kind: scheduler.KindNotFound, Text: shown(source) + ": nothing matches"}
	}
	if len(out.stderr) > 0 {
		d.lack(complaint("look at files", p.base, out.stderr, "not all can be read"), 1)
	}
	return p, nil
}

// lack notes what did not come.
func (d *pulling) lack(f *Failure, n int) {
	if d.missing == nil {
		d.missing = f
	}
	d.lacking += n
	fmt.Fprintln(d.show.Err, f.Text)
}

// agree checks that what comes has a name of its own each, and fits. Folders that
// lead to what patterns mean may be those of several.
func (d *pulling) agree() error {
	type claim struct {
		part  *pullPart
		leads bool // a folder that a pattern has found
	}
	claims := map[string]claim{}
	for _, p := range d.parts {
		for _, it := range p.items {
			if it.here == "." {
				continue
			}
			mine := claim{p, it.Kind == Folder && p.pattern != ""}
			other, twice := claims[it.here]
			if twice && other.part.source != p.source && !(mine.leads && other.leads) {
				return &Failure{Kind: scheduler.KindConflict,
					Text: fmt.Sprintf("%s and %s would both give %s", shown(other.part.source), shown(p.source), shown(it.here))}
			}
			claims[it.here] = mine
			if it.Kind == File && it.same == nil {
				d.bytes += it.Size
			}
		}
	}
	if d.MaxBytes > 0 && d.bytes > d.MaxBytes {
		return &Failure{Kind: scheduler.KindTooLarge, Text: fmt.Sprintf("%d bytes are more than --max-bytes %d allows", d.bytes, d.MaxBytes)}
	}
	return d.flatten()
}

// resized takes note that a file has another size than the host had said.
func (d *pulling) resized(it *item, size int64) error {
	d.bytes += size - it.Size
	it.Size = size
	if d.MaxBytes > 0 && d.bytes > d.MaxBytes {
		return &Failure{Kind: scheduler.KindTooLarge, Text: shown(it.Path) + ": more bytes than --max-bytes allows"}
	}
	return nil
}

// flatten gives the one file that comes its flat name.
func (d *pulling) flatten() error {
	if d.host.flat == "" {
		return nil
	}
	var files []*item
	for _, p := range d.parts {
		p.items = slices.DeleteFunc(p.items, func(it *item) bool { return it.Kind == Folder })
		files = append(files, p.items...)
	}
	if len(files) != 1 || files[0].Kind != File {
		return &Failure{Kind: scheduler.KindConflict, Text: fmt.Sprintf("--flat is for one file from each host, and these are %d", len(files))}
	}
	files[0].here, files[0].same = d.host.flat, nil
	return nil
}

// tell shows what is to be fetched, and what is refused.
func (d *pulling) tell() {
	slices.SortStableFunc(d.refused, func(a, b refusal) int { return strings.Compare(a.why, b.why) })
	for _, r := range d.refused {
		fmt.Fprintf(d.show.Err, "refused, %s: %s\n", r.why, shown(r.name))
	}
	d.did.Refused = len(d.refused)
	d.tellGone()
	if !d.DryRun && !d.Verbose {
		return
	}
	for _, p := range d.parts {
		sent, kept := 0, 0
		for _, it := range p.items {
			_, err := d.lstat(it.here)
			switch {
			case it.Kind == Folder && err == nil:
				continue
			case it.Kind == Folder:
			case it.same != nil && it.kept && it.same.kept:
				kept++
				continue
			default:
				sent++
			}
			fmt.Fprintf(d.show.Out, "fetch %s\n", shown(it.here))
		}
		if d.DryRun {
			d.did.Sent += sent
			d.did.Skipped += kept
			d.did.Bytes += p.bytes
		}
	}
}

// open opens the host's own folder.
func (d *pulling) open() error {
	if err := d.root.MkdirAll(d.host.dir, 0o777); err != nil {
		return err
	}
	root, err := d.root.OpenRoot(d.host.dir)
	d.store = &store{root: root, mode: folderMode}
	if d.host.flat != "" { // nothing says what such a folder is to have
		d.store.mode = 0o777
	}
	if d.Owners {
		d.store.owners = &d.local
	}
	return err
}

// take fetches what a part needs, and puts it in its place.
func (d *pulling) take(ctx context.Context, p *pullPart) error {
	for _, it := range p.items {
		dir := it.here
		if it.Kind != Folder {
			dir = path.Dir(it.here)
		}
		if err := d.store.folder(dir); err != nil {
			return err
		}
	}
	if err := d.fetchFiles(ctx, p); err != nil {
		return err
	}
	for _, it := range p.items {
		again := it.same != nil && (it.same.came || !it.kept && it.same.kept)
		switch {
		case it.Kind == File && it.same != nil && !again && it.kept:
			d.did.Skipped++
			continue
		case it.Kind == Folder || it.Kind == File && !again:
			continue
		}
		if err := d.store.link(it); err != nil {
			return err
		}
		d.did.Sent++
	}
	return nil
}

// finish gives folders their modes and times, once all is in them.
func (d *pulling) finish() error {
	for _, p := range d.parts {
		for _, it := range slices.Backward(p.items) {
			if it.Kind == Folder && it.here != "." {
				if err := d.store.finish(it); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fetchFiles has the host send the files, twice if some had changed meanwhile.
func (d *pulling) fetchFiles(ctx context.Context, p *pullPart) error {
	c := newCounter(d.show.Progress, p.bytes, len(p.fetch))
	defer c.end()
	var want, alone []*item
	for _, it := range p.fetch {
		if d.comesAlone(it) {
			alone = append(alone, it)
		} else {
			want = append(want, it)
		}
	}
	rest, err := d.getLarge(ctx, p, alone, c)
	if err != nil {
		return err
	}
	if want = append(want, rest...); len(want) > 0 {
		d.did.Way = "tar"
		if d.far.sftp != nil {
			d.did.Way = string(d.far.sftp.Way())
		}
	}
	for try := 1; len(want) > 0; try++ {
		bad, err := d.round(ctx, p, want, c)
		if err != nil {
			return err
		}
		if len(bad) > 0 && try == 2 {
			d.lack(&Failure{Kind: scheduler.KindChanged, Text: shown(bad[0].Path) + ": changed while it was read; what came is kept"}, len(bad))
			break
		}
		want = bad
	}
	for _, it := range p.fetch {
		if it.came {
			d.did.Sent++
			d.did.Bytes += it.Size
		}
	}
	return nil
}

// round fetches files once and gives those that are not what the host has.
func (d *pulling) round(ctx context.Context, p *pullPart, want []*item, c *counter) (bad []*item, err error) {
	byName := make(map[string]*item, len(want))
	names := make([]string, 0, len(want))
	var options []string
	for _, it := range want {
		it.came = false
		byName[it.Path] = it
		names = append(names, it.Path)
		if it.Sparse && p.out.tar == "gnu" && len(options) == 0 {
			options = append(options, "-S")
		}
	}
	if d.Links == FollowLinks {
		options = append(options, "-h")
		if p.out.tar == "gnu" { // else it sends what it has sent under another name as a hard link
			options = append(options, "--hard-dereference")
		}
	}
	sums := d.sums(ctx, p, names)
	res, err := d.far.fetch(ctx, p.base, options, names, func(h *tar.Header, r io.Reader) error {
		return d.member(byName, h, r, c)
	})
	there := <-sums
	if err != nil {
		return nil, err
	}
	if there.err != nil {
		return nil, there.err
	}
	lost := 0
	for _, it := range want {
		sum, known := there.sums[it.Path]
		switch {
		case !it.came:
			lost++
		case known && sum != it.sum:
			bad = append(bad, it)
		}
	}
	if lost > 0 {
		first := want[slices.IndexFunc(want, func(it *item) bool { return !it.came })]
		d.lack(complaint("read", p.base, res.stderr, "the host did not send "+shown(first.Path)), lost)
	}
	return bad, nil
}

type sumsResult struct {
	sums map[string]digest
	err  error
}

// sums has the host compute digests while it sends.
func (d *pulling) sums(ctx context.Context, p *pullPart, names []string) <-chan sumsResult {
	got := make(chan sumsResult, 1)
	if d.NoVerify {
		got <- sumsResult{}
		return got
	}
	go func() {
		sums, err := d.far.digests(ctx, p.base, p.out.sum, names)
		got <- sumsResult{sums, err}
	}()
	return got
}

// member takes one member of what the host sends, if it was asked for and is
// what the host had said.
func (d *pulling) member(want map[string]*item, h *tar.Header, r io.Reader, c *counter) error {
	name := strings.TrimPrefix(h.Name, "./")
	it := want[name]
	switch {
	case it == nil:
		return &Failure{Kind: scheduler.KindUnsafe, Text: "the host sends what was not asked for: " + quoted([]byte(h.Name))}
	case it.came:
		return &Failure{Kind: scheduler.KindUnsafe, Text: "the host sends twice: " + quoted([]byte(h.Name))}
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse:
		return nil // no file any more: it does not come
	}
	if err := d.resized(it, h.Size); err != nil {
		return err
	}
	if unix := h.ModTime.Unix(); unix != it.ModTime { // it has changed since it was looked at
		it.ModTime, it.Nanos = unix, 0
	}
	sum, err := d.store.file(it, &ticker{r, c})
	if err != nil {
		return err
	}
	it.sum, it.came = sum, true
	c.add(0, 1)
	return nil
}

// digestHere is the digest of a file of this machine.
func (d *pulling) digestHere(here string) (sum digest, err error) {
	f, err := d.root.Open(path.Join(d.host.dir, here))
	if err != nil {
		return sum, err
	}
	defer f.Close()
	return digestFile(f)
}

// verdict is what the host's pull comes to.
func (d *pulling) verdict() error {
	switch {
	case d.missing != nil:
		f := *d.missing
		if d.lacking > 1 {
			f.Text = fmt.Sprintf("%s, and %d more", f.Text, d.lacking-1)
		}
		return &f
	case len(d.refused) > 0:
		return &Failure{Kind: scheduler.KindUnsafe, Text: sumOfRefusals(d.refused)}
	}
	return nil
}
