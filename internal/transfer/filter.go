package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// IgnoreFile is the name of files that say what of their folder is left out.
const IgnoreFile = ".fleetignore"

// Filter says which entries of a tree are left out. Patterns are those of
// gitignore(5): one without a slash, but at its end, means names at any depth;
// one with a slash means paths below the folder that it was given for; "**"
// stands for any number of folders; a slash at the end means folders only. The
// last pattern that matches decides. The zero value leaves nothing out.
type Filter struct {
	flags []filterRule // decide before
	files []filterRule // what stands in ignore files
}

type filterRule struct {
	dir     string // the folder below which it holds, "." for the root
	pattern string // for doublestar, below dir
	negate  bool
	folders bool // matches folders only
}

// NewFilter makes a filter of what is left out and what is taken in again.
func NewFilter(exclude, include []string) (*Filter, error) {
	f := &Filter{}
	for _, list := range []struct {
		patterns []string
		negate   bool
		flag     string
	}{{exclude, false, "exclude"}, {include, true, "include"}} {
		for _, p := range list.patterns {
			r, err := parseRule(".", p)
			if err != nil {
				return nil, fmt.Errorf("--%s %q: %w", list.flag, p, err)
			}
			r.negate = list.negate
			f.flags = append(f.flags, r)
		}
	}
	return f, nil
}

func parseRule(dir, p string) (filterRule, error) {
	r := filterRule{dir: dir}
	p, r.folders = strings.CutSuffix(p, "/")
	p = strings.TrimPrefix(p, "./")
	rooted := strings.Contains(p, "/")
	p = strings.TrimPrefix(p, "/")
	if p == "" {
		return r, errors.New("empty pattern")
	}
	if !doublestar.ValidatePattern(p) {
		return r, errors.New("not a valid pattern")
	}
	if !rooted {
		p = "**/" + p
	}
	r.pattern = p
	return r, nil
}

// with adds the lines of an ignore file in the folder dir. The rules of the
// filter itself, given by flags, decide after them.
func (f *Filter) with(dir string, text io.Reader) (*Filter, error) {
	var more []filterRule
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		p, negate := strings.CutPrefix(line, "!")
		r, err := parseRule(dir, strings.TrimPrefix(p, `\`))
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n, line, err)
		}
		r.negate = negate
		more = append(more, r)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return &Filter{flags: f.flags, files: append(f.files[:len(f.files):len(f.files)], more...)}, nil
}

// out says that the entry is left out: by the last pattern that matches it, or
// where none does, with the folder that holds it.
func (f *Filter) out(p string, folder bool) bool {
	for i := len(f.files) + len(f.flags) - 1; i >= 0; i-- {
		r := f.rule(i)
		if r.folders && !folder {
			continue
		}
		rel := p
		if r.dir != "." {
			if !below(p, r.dir) {
				continue
			}
			rel = p[len(r.dir)+1:]
		}
		if ok, _ := doublestar.Match(r.pattern, rel); ok {
			return !r.negate
		}
	}
	if dir := path.Dir(p); dir != "." {
		return f.out(dir, true)
	}
	return false
}

// rule gives the rules in the order of their weight, the strongest last.
func (f *Filter) rule(i int) *filterRule {
	if i < len(f.files) {
		return &f.files[i]
	}
	return &f.flags[i-len(f.files)]
}

// deep says that something in a folder that is left out may be taken in again.
func (f *Filter) deep() bool {
	for i := range len(f.files) + len(f.flags) {
		if f.rule(i).negate {
			return true
		}
	}
	return false
}
