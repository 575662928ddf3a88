package sshconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bounds on what files may do. The depth is OpenSSH's.
const (
	maxDepth = 16
	maxFiles = 4096
	maxBytes = 64 << 20
)

// Config is what files say, for any host. It does not change once made and may
// be used from many goroutines at once.
type Config struct {
	env      Env
	files    []*file
	keywords []keyword
	names    []string // literal names of Host lines, in order
	warnings []Warning
	execs    []From
	final    bool // some Match asks for a second pass
}

// file is a file as a list of blocks.
type file struct {
	blocks  []*block
	literal map[string][]int32 // blocks by the names on their Host lines, where all are literal
	general []int32            // all other blocks
}

// block is a Host or Match line with what follows it. The first of a file has
// no such line and means every host that the file means.
type block struct {
	From
	hosts []hostPattern
	match []criterion
	any   bool // neither Host nor Match
	items []item
}

// item is a directive, or files to be read in its place.
type item struct {
	set   *directive
	files []*file
}

// parser reads files into a Config.
type parser struct {
	*Config
	byName  map[string]*keyword
	ignored []string        // patterns of IgnoreUnknown
	warned  map[string]bool // unknown keywords
	seen    map[string]bool // names
	opened  int
	bytes   int
	errs    []error
}

// origin is what decides on how a file is read.
type origin struct {
	user  bool // relative includes are in ~/.ssh, and ~ is allowed
	check bool // owner and mode are looked at
	depth int
}

func newParser(env *Env) (*parser, error) {
	if env == nil {
		var err error
		if env, err = ThisUser(); err != nil {
			return nil, err
		}
	}
	p := &parser{Config: &Config{env: *env}, warned: make(map[string]bool), seen: make(map[string]bool)}
	p.byName, p.keywords = keywords()
	return p, nil
}

// Load reads the given files as `ssh -F` does, the first having precedence. A
// file that cannot be read is an error. Mistakes in files are reported
// together, as *Error each, joined. A nil env means ThisUser.
func Load(env *Env, files ...string) (*Config, error) {
	p, err := newParser(env)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := p.readTop(name, origin{user: true}); err != nil {
			return nil, err
		}
	}
	return p.finish()
}

// Default reads the user's and then the system's file, where they exist:
// ~/.ssh/config, which must be writable by its owner only, and
// /etc/ssh/ssh_config. A nil env means ThisUser.
func Default(env *Env) (*Config, error) {
	p, err := newParser(env)
	if err != nil {
		return nil, err
	}
	for _, top := range []struct {
		name string
		origin
	}{
		{filepath.Join(p.env.UserDir, "config"), origin{user: true, check: true}},
		{filepath.Join(p.env.SystemDir, "ssh_config"), origin{}},
	} {
		if err := p.readTop(top.name, top.origin); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return p.finish()
}

// Parse reads text as if it were the file of that name given to Load.
func Parse(env *Env, name, text string) (*Config, error) {
	p, err := newParser(env)
	if err != nil {
		return nil, err
	}
	p.files = append(p.files, p.parse(name, text, origin{user: true}))
	return p.finish()
}

func (p *parser) finish() (*Config, error) {
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.Config, nil
}

// Warnings gives what was found in the files that has no effect: each unknown
// keyword once, and criteria of Match that cannot be told.
func (c *Config) Warnings() []Warning { return slices.Clone(c.warnings) }

// MatchExecs gives the places of all "Match exec": lines whose blocks have no
// effect unless the Query says how to run commands.
func (c *Config) MatchExecs() []From { return slices.Clone(c.execs) }

// HostNames gives the names that stand on Host lines without wildcards or
// negation, each once, in the order of the files.
func (c *Config) HostNames() []string { return slices.Clone(c.names) }

func (p *parser) readTop(name string, o origin) error {
	text, err := p.read(name, o)
	if err == nil {
		p.files = append(p.files, p.parse(name, text, o))
	}
	return err
}

// read gives the text of a file, which is not too much and, where it is to be
// checked, is nobody else's to write.
func (p *parser) read(name string, o origin) (string, error) {
	if p.opened++; p.opened > maxFiles {
		return "", fmt.Errorf("read %s: more than %d files", name, maxFiles)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if o.depth > 0 && info.IsDir() {
		return "", nil // a pattern may well match a folder
	}
	if o.check {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && (stat.Uid != 0 && int(stat.Uid) != os.Getuid() || info.Mode()&0o022 != 0) {
			return "", fmt.Errorf("read %s: bad owner or mode %v: others may write to it", name, info.Mode())
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return "", err
	}
	if p.bytes += len(text); p.bytes > maxBytes {
		return "", fmt.Errorf("read %s: more than %d MiB in all", name, maxBytes>>20)
	}
	return string(text), nil
}

// parse makes a file of text.
func (p *parser) parse(name, text string, o origin) *file {
	f := &file{blocks: []*block{{any: true}}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := p.parseLine(f, From{name, n}, line, o); err != nil {
			p.mistake(at(From{name, n}, err))
		}
	}
	f.index()
	return f
}

// mistake keeps an error, once where a file is included many times.
func (p *parser) mistake(err error) {
	same := func(e error) bool { return e.Error() == err.Error() }
	if len(p.errs) < maxErrors && !slices.ContainsFunc(p.errs, same) {
		p.errs = append(p.errs, err)
	}
}

// parseLine reads one line into the last block of f, or begins one.
func (p *parser) parseLine(f *file, from From, line string, o origin) error {
	line = strings.TrimSuffix(line, "\n")
	line, _, _ = strings.Cut(line, "\x00")
	name, rest := splitLine(line)
	if name == "" {
		if _, _, ok := nextDelimited(strings.TrimLeft(line, blanks)); !ok {
			p.warn(from, "quote without an end: the line is ignored")
		}
		return nil
	}
	kw := p.byName[name]
	if kw == nil {
		p.unknown(from, name)
		return nil
	}
	if rest == "" {
		return wrong(name, "%q has no argument")
	}
	words, ok := splitWords(rest)
	if !ok {
		return bad("quote without an end")
	}
	last := f.blocks[len(f.blocks)-1]
	switch kw.kind {
	case isUnused:
		p.unused(from, name, words)
		return nil
	case isIgnoreUnknown:
		p.ignored = append(p.ignored, strings.ToLower(strings.Join(words, ",")))
		return nil
	case isHost:
		b := &block{From: from}
		f.blocks = append(f.blocks, b)
		return p.parseHost(b, words)
	case isMatch:
		b := &block{From: from}
		f.blocks = append(f.blocks, b)
		return p.parseMatch(b, rest)
	case isInclude:
		return p.include(last, from, words, o)
	}
	d, err := readValue(kw, name, words, rest)
	if err == nil {
		d.From = from
		last.items = append(last.items, item{set: d})
		if kw.id == kwCanonicalizeHostname && d.values[0] != "false" {
			p.warn(from, "names are not canonicalized by the resolver")
		}
	}
	return err
}

// unknown warns of an unknown keyword, once.
func (p *parser) unknown(from From, name string) {
	for _, patterns := range p.ignored {
		if matchList(patterns, name, true) {
			return
		}
	}
	if !p.warned[name] {
		p.warned[name] = true
		p.warn(from, fmt.Sprintf("unknown keyword %q is ignored", clip(name)))
	}
}

// unused warns, once, of a keyword that will be missed.
func (p *parser) unused(from From, name string, words []string) {
	off := len(words) == 0 || strings.EqualFold(words[0], "no") || strings.EqualFold(words[0], "none")
	if !off && !p.warned[name] && slices.Contains(strings.Fields(missed), name) {
		p.warned[name] = true
		p.warn(from, fmt.Sprintf("keyword %q has no effect here", name))
	}
}

func (p *parser) warn(from From, text string) {
	if len(p.warnings) < 1000 {
		p.warnings = append(p.warnings, Warning{from, text})
	}
}

// include reads the files that an Include names, in the place of its line.
func (p *parser) include(b *block, from From, words []string, o origin) error {
	if o.depth >= maxDepth {
		return wrong(words[0], fmt.Sprintf("Include of %%q is more than %d deep", maxDepth))
	}
	var list []*file
	for _, word := range words {
		pattern, err := p.includePath(word, o)
		if err != nil {
			return err
		}
		names, err := glob(pattern)
		if err != nil {
			return wrong(word, "%q is not a pattern of files")
		}
		for _, name := range names {
			inner := origin{user: o.user, check: true, depth: o.depth + 1}
			text, err := p.read(name, inner)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return &Error{Word: word, Text: err.Error()}
			}
			list = append(list, p.parse(name, text, inner))
		}
	}
	b.items = append(b.items, item{files: list})
	return nil
}

// glob gives the files that a pattern of glob(7) means, in order. Unlike for
// filepath.Glob, a wildcard does not match the dot of a hidden file, and "[!"
// negates.
func glob(pattern string) ([]string, error) {
	pattern = filepath.Clean(pattern)
	names, err := filepath.Glob(strings.ReplaceAll(pattern, "[!", "[^"))
	parts := strings.Split(pattern, "/")
	return slices.DeleteFunc(names, func(name string) bool {
		for i, part := range strings.Split(name, "/") {
			if strings.HasPrefix(part, ".") && !strings.HasPrefix(parts[i], ".") {
				return true
			}
		}
		return false
	}), err
}

// includePath makes an argument of Include absolute.
func (p *parser) includePath(word string, o origin) (string, error) {
	if word == "" {
		return "", wrong("include", "%q has an empty argument")
	}
	if word[0] == '~' && !o.user {
		return "", wrong(word, "%q: no home folders in the system's file")
	}
	word, err := p.env.expandEnv(word)
	switch {
	case err != nil:
		return "", err
	case word[0] == '~':
		return p.env.expandTilde(word)
	case filepath.IsAbs(word):
		return word, nil
	case o.user:
		return filepath.Join(p.env.UserDir, word), nil
	}
	return filepath.Join(p.env.SystemDir, word), nil
}

// index makes blocks of literal names quick to find.
func (f *file) index() {
	f.literal = make(map[string][]int32)
	for i, b := range f.blocks {
		if b.any && len(b.items) == 0 {
			continue
		}
		if !b.isLiteral() {
			f.general = append(f.general, int32(i))
			continue
		}
		for _, h := range b.hosts {
			if list := f.literal[h.pattern]; !slices.Contains(list, int32(i)) {
				f.literal[h.pattern] = append(list, int32(i))
			}
		}
	}
}
