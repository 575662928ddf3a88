package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"fleet/inventory"
)

// tree is what one host is to get.
type tree struct {
	dst     string   // the folder on the host, as it was asked for
	entries []*Entry // below dst, sorted
	// single is the only entry, a file, where dst may also be its own name: that
	// depends on whether dst is a folder on the host.
	single  *Entry          // in dst
	alone   *Entry          // as dst
	users   map[string]bool // who the entries belong to
	groups  map[string]bool
	folder  bool                // dst is to be a folder
	mirrors []string            // folders below dst that are to hold nothing else
	spared  map[string][]spared // by mirror: but what these leave out
	bytes   int64               // of all files
	under   string              // what the folder that holds all is called, where that is exchanged
	unnamed bool                // what is sent is standard input, which has no name of its own
}

// spared is what --delete leaves alone below a mirrored folder, as it would not
// have been sent from its source either.
type spared struct {
	root   string // the folder below which the filter's names are
	filter *Filter
}

// mirror notes that a folder is to hold what its source does, and nothing else but
// what the source's filter and the ignore files that were read leave out.
func (t *tree) mirror(name, root string, filter *Filter, rules []filterRule) {
	t.mirrors = append(t.mirrors, name)
	all := &Filter{flags: filter.flags, files: append(filter.files[:len(filter.files):len(filter.files)], rules...)}
	t.spared[name] = append(t.spared[name], spared{root, all})
}

// Stdin is the source that is standard input.
const Stdin = "-"

// treeFor gives the tree of one host: the same for all that name the same
// sources and want them as they are.
func (p *Push) treeFor(ctx context.Context, h *inventory.Host) (*tree, error) {
	expand := func(text string) (string, error) { return expandName(text, h) }
	dst, err := expand(p.Dst)
	if err != nil {
		return nil, fmt.Errorf("destination: %w", err)
	}
	if dst, err = fromHome(dst); err != nil {
		return nil, fmt.Errorf("destination: %w", err)
	}
	if dst == "" {
		return nil, errors.New("the destination is empty")
	}
	sources := make([]string, len(p.Sources))
	for i, s := range p.Sources {
		if sources[i], err = expand(s); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
	// Where the entries go is not theirs to know, but for whether that is a folder,
	// and for the name of one that is exchanged.
	key := strings.Join(append(sources, yes(strings.HasSuffix(dst, "/"))), "\x00")
	if p.AtomicDir {
		key += "\x00" + path.Clean(dst)
	}
	if t := p.trees[key]; t != nil && !p.Template {
		return t.at(dst), nil
	}
	t, err := p.scanTree(ctx, sources, dst)
	if err != nil {
		return nil, err
	}
	if p.Template {
		if err := p.render(t, h); err != nil {
			return nil, err
		}
	}
	for _, e := range t.entries {
		if e.Kind == File && e.Same == "" {
			t.bytes += e.Size
		}
	}
	p.trees[key] = t
	return t.at(dst), nil
}

// at is the tree for a host where it goes to dst, whose entries are the same.
func (t *tree) at(dst string) *tree {
	own := *t
	if own.under == "" {
		own.dst = path.Clean(dst)
	}
	if own.single != nil {
		alone := *own.single
		alone.Path, alone.first = path.Base(own.dst), own.single.original()
		own.alone = &alone
	}
	return &own
}

// fromHome is a name on a host without "~/": names begin at the login user's home.
func fromHome(name string) (string, error) {
	switch {
	case name == "~":
		return ".", nil
	case strings.HasPrefix(name, "~/"):
		return "./" + name[2:], nil
	case strings.HasPrefix(name, "~"):
		return "", fmt.Errorf("%q: homes of other users are not known here", name)
	}
	return name, nil
}

// scanTree reads the sources.
func (p *Push) scanTree(ctx context.Context, sources []string, dst string) (*tree, error) {
	t := &tree{dst: path.Clean(dst), users: map[string]bool{}, groups: map[string]bool{}, spared: map[string][]spared{}}
	s := &scan{ctx: ctx, links: p.Links}
	asFolder := strings.HasSuffix(dst, "/") || len(sources) > 1
	for _, source := range sources {
		folder, err := p.scanSource(s, t, source)
		if err != nil {
			return nil, err
		}
		asFolder = asFolder || folder
	}
	if asFolder && slices.Contains(sources, Stdin) {
		return nil, errors.New("standard input has no name: the destination must be a file, without '/' at its end")
	}
	if p.AtomicDir && slices.Equal(t.mirrors, []string{"."}) && t.dst != "." && t.dst != "/" {
		under(t, s.found, path.Base(t.dst))
	}
	t.entries = sortEntries(s.found)
	if err := clashes(t.entries); err != nil {
		return nil, err
	}
	if !asFolder && len(t.entries) == 1 {
		t.single = t.entries[0]
	}
	t.folder = asFolder
	p.change(t.entries)
	for _, e := range t.entries {
		t.users[e.Owner], t.groups[e.Group] = true, true
	}
	for _, w := range s.warn {
		if !p.warned[w] {
			p.warned[w] = true
			p.Warn(w)
		}
	}
	return t, nil
}

// under makes the tree one that holds a folder of that name, which holds what
// the tree held: to be exchanged, it must have a name.
func under(t *tree, list []*Entry, name string) {
	t.dst, t.mirrors, t.under = path.Dir(t.dst), []string{name}, name
	t.spared[name] = []spared{{name, t.spared["."][0].filter}}
	for _, e := range list {
		e.Path = path.Join(name, e.Path)
		if e.Same != "" {
			e.Same = path.Join(name, e.Same)
		}
	}
}

// scanSource adds one source, and says whether it needs a folder to be put in.
func (p *Push) scanSource(s *scan, t *tree, source string) (folder bool, err error) {
	if source == Stdin {
		e := *p.stdin
		e.Path, e.ModTime, e.rendered, e.first = Stdin, p.began.Unix(), true, p.stdin
		s.found, t.unnamed = append(s.found, &e), true
		return false, nil
	}
	info, err := os.Stat(source)
	if errors.Is(err, fs.ErrNotExist) && globbed(source) {
		return true, p.scanGlob(s, t, source)
	}
	if err != nil {
		return false, err
	}
	name := filepath.Base(source)
	if strings.HasSuffix(source, string(filepath.Separator)) || name == "." || name == ".." {
		name = "."
	}
	if !info.IsDir() && name == "." {
		return false, &fs.PathError{Op: "stat", Path: source, Err: errors.New("not a folder")}
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return false, &fs.PathError{Op: "read", Path: source,
			Err: fmt.Errorf("a %s is neither a file nor a folder; SRC %s is standard input", kindName(info.Mode()), Stdin)}
	}
	s.rules = nil
	if err := s.tree(source, name, ".", p.Filter); err != nil {
		return false, err
	}
	if info.IsDir() {
		t.mirror(name, name, p.Filter, s.rules)
	}
	return info.IsDir(), nil
}

// globbed says that a name has what only patterns have.
func globbed(name string) bool { return strings.ContainsAny(name, "*?[{") }

// scanGlob adds what a pattern means; each keeps its path below the part of the
// pattern that has no wildcards.
func (p *Push) scanGlob(s *scan, t *tree, pattern string) error {
	dir, rest := doublestar.SplitPattern(filepath.ToSlash(pattern))
	names, err := doublestar.Glob(os.DirFS(dir), rest, doublestar.WithNoFollow(), doublestar.WithFailOnIOErrors())
	if err != nil {
		return fmt.Errorf("%s: %w", pattern, err)
	}
	taken := map[string]bool{}
	filters := map[string]*Filter{}
	for _, name := range names {
		inside := name == "." || path.Base(name) == IgnoreFile
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			inside = inside || taken[d]
		}
		if inside {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Lstat(file)
		if err != nil {
			return err
		}
		filter, err := p.filterIn(s, filters, dir, path.Dir(name))
		if err != nil {
			return err
		}
		if filter.out(name, info.IsDir()) {
			continue
		}
		if err := s.parents(dir, name, taken); err != nil {
			return err
		}
		taken[name] = true
		s.rules = nil
		if err := s.tree(file, name, name, filter); err != nil {
			return err
		}
		if info.IsDir() {
			t.mirror(name, ".", filter, s.rules)
		}
	}
	if len(taken) == 0 {
		return &fs.PathError{Op: "match", Path: pattern, Err: errors.New("no such file")}
	}
	return nil
}

// filterIn is the filter with the ignore files of the folder at, below dir, and of
// those that lead to it. It remembers them in known.
func (p *Push) filterIn(s *scan, known map[string]*Filter, dir, at string) (*Filter, error) {
	if f := known[at]; f != nil {
		return f, nil
	}
	above := p.Filter
	if at != "." {
		var err error
		if above, err = p.filterIn(s, known, dir, path.Dir(at)); err != nil {
			return nil, err
		}
	}
	f, err := s.ignoring(above, filepath.Join(dir, filepath.FromSlash(at)), at)
	if err == nil {
		known[at] = f
	}
	return f, err
}

// parents adds the folders that lead to name, once.
func (s *scan) parents(dir, name string, taken map[string]bool) error {
	var missing []string
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		missing = append(missing, d)
	}
	for _, d := range missing {
		if s.led[d] {
			continue
		}
		if s.led == nil {
			s.led = make(map[string]bool)
		}
		s.led[d] = true
		file := filepath.Join(dir, filepath.FromSlash(d))
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		e := &Entry{Path: d, Kind: Folder, Mode: modeBits(info.Mode()), ModTime: info.ModTime().Unix(), Nanos: int64(info.ModTime().Nanosecond()), local: file, through: true}
		s.stat(e, info)
		s.found = append(s.found, e)
	}
	return nil
}

// clashes finds two sources that would have one name on the host.
func clashes(list []*Entry) error {
	for i := 1; i < len(list); i++ {
		if a, b := list[i-1], list[i]; a.Path == b.Path {
			return fmt.Errorf("%s and %s would both be %s on the host", a.local, b.local, b.Path)
		}
	}
	return nil
}

// change gives entries the mode and owner that were asked for.
func (p *Push) change(list []*Entry) {
	for _, e := range list {
		if p.Mode.Given() && e.Kind != Link {
			e.Mode = p.Mode.of(e.Mode, e.Kind == Folder)
		}
		if p.Owner != "" {
			e.Owner = p.Owner
		}
		if p.Group != "" {
			e.Group = p.Group
		}
	}
}

// render makes each file of the tree that of the host.
func (p *Push) render(t *tree, h *inventory.Host) error {
	data := templateData(h)
	for _, e := range t.entries {
		if e.Kind != File {
			continue
		}
		text, err := raw(e)
		if err != nil {
			return err
		}
		tmpl, err := template.New(filepath.Base(e.local)).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return fmt.Errorf("template %s: %w", e.local, templateCause(err))
		}
		var out bytes.Buffer
		if err := tmpl.Execute(&out, data); err != nil {
			return fmt.Errorf("template %s: %s: %w", e.local, h.Name, templateCause(err))
		}
		e.content, e.Size, e.Same, e.Sparse = &content{out.Bytes()}, int64(out.Len()), "", false
		e.rendered, e.first = true, nil // it has nobody else's content any more
	}
	return nil
}

// raw is the content of a source as it is, once.
func raw(e *Entry) ([]byte, error) {
	if e.content != nil {
		return e.content.data, nil
	}
	return os.ReadFile(e.local)
}

// templateCause is err without what its package says before it.
func templateCause(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "template: "))
}

// templateData is what templates know of their host.
func templateData(h *inventory.Host) map[string]any {
	vars := h.Vars
	if vars == nil {
		vars = map[string]any{}
	}
	return map[string]any{"Host": h.Name, "Name": h.Name, "Address": h.Address, "Port": h.Port,
		"User": h.User, "Groups": h.Groups, "Vars": vars}
}

// expandName fills in the host in the name of a file.
func expandName(text string, h *inventory.Host) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	tmpl, err := template.New("name").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", text, templateCause(err))
	}
	var out strings.Builder
	if err := tmpl.Execute(&out, templateData(h)); err != nil {
		return "", fmt.Errorf("%q: %s: %w", text, h.Name, templateCause(err))
	}
	return out.String(), nil
}

// Prepare reads what the Push is about, for all hosts: the trees are scanned,
// and templates rendered. An error is about the sources; no host was touched.
// It is called once, before the first Do.
func (p *Push) Prepare(ctx context.Context, hosts []*inventory.Host) error {
	p.trees, p.warned = make(map[string]*tree), make(map[string]bool)
	p.hosts = make(map[string]*tree, len(hosts))
	p.began = time.Now()
	p.keepsPages = len(hosts) > 1
	p.pages.left.Store(pagesTotal)
	if p.Filter == nil {
		p.Filter = &Filter{}
	}
	if slices.Contains(p.Sources, Stdin) {
		var err error
		if p.stdin, err = p.spool(p.Stdin); err != nil {
			return err
		}
	}
	for _, h := range hosts {
		t, err := p.treeFor(ctx, h)
		if err != nil {
			return err
		}
		p.hosts[h.Name] = t
	}
	return nil
}

// Close removes what Prepare left on disk.
func (p *Push) Close() error {
	p.spread.close()
	return errors.Join(p.sources.close(), p.spooled.close())
}
