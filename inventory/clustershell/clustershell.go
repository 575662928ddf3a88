// Package clustershell reads ClusterShell's node groups: groups.conf(5) with its
// upcalls, and the YAML files of groups.d. It is for people who have these files
// already and want fleet to know the same groups.
//
//	clustershell.go  what is read, and what comes of it
//	conf.go          groups.conf
//	yaml.go          groups.d/*.yaml
//	upcall.go        commands that know the groups
//	nodes.go         from a text such as @racks:rack[1-2]!node3 to nodes
//
// It starts no process and opens no file by itself: [Options] bring that along.
package clustershell

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fleet/inventory"
)

// Options are what reading groups needs of the world around.
type Options struct {
	// ReadFile reads a file.
	ReadFile func(path string) ([]byte, error)
	// Glob lists files, sorted.
	Glob func(pattern string) ([]string, error)
	// Run runs a command line by sh in a folder and gives what it writes to
	// standard output. Its limits are the caller's. It is called by several
	// goroutines at once. Nil: upcalls are an error.
	Run func(ctx context.Context, dir, command string) ([]byte, error)
	// Wanted are groups, SOURCE:GROUP or with wildcards, of sources that are asked
	// only for what is wanted: all upcall sources but the default one.
	Wanted []string
}

// Groups is what was read.
type Groups struct {
	// Default is the name of the source that groups without one are of.
	Default string
	// Groups are in the order of the sources, in each as it lists them.
	Groups []Group
	// Nodes are those of the default source that no group holds.
	Nodes []Node
	// Warnings tell of what was left out.
	Warnings []*inventory.Error
}

// Group is a group with its nodes.
type Group struct {
	Source, Name string
	Nodes        []string
	At           inventory.Position
}

// Node is a node and where it comes from.
type Node struct {
	Name string
	At   inventory.Position
}

// groupSource is a namespace of groups: static ones, or upcalls.
type groupSource struct {
	name   string
	at     inventory.Position
	groups map[string]staticGroup
	order  []string
	calls  *upcalls
}

type staticGroup struct {
	parts []part
	at    inventory.Position
}

// part is a text that means nodes, and where it stands.
type part struct {
	text string
	at   inventory.Position
}

// reader reads one configuration.
type reader struct {
	Options
	ctx     context.Context
	file    string
	sources []*groupSource
	out     Groups
	memo    map[string]*meaning // of SOURCE:GROUP
}

// ReadConf reads a groups.conf, whose text is data, and the files that it names.
// The error is an inventory.Errors or ctx's.
func ReadConf(ctx context.Context, file string, data []byte, o Options) (*Groups, error) {
	r := &reader{Options: o, ctx: ctx, file: file, memo: make(map[string]*meaning)}
	conf, err := parseConf(file, data)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	main := conf.section("Main")
	for _, folder := range main.words("groupsdir", "confdir") {
		if err := r.confFolder(expandDir(folder, dir)); err != nil {
			return nil, err
		}
	}
	for _, folder := range main.words("autodir") {
		if err := r.yamlFolder(expandDir(folder, dir)); err != nil {
			return nil, err
		}
	}
	if err := r.addConf(conf, dir); err != nil {
		return nil, err
	}
	if name, at := main.value("default"); name != "" {
		if r.source(name) == nil {
			return nil, r.fault(at, name, fmt.Sprintf("default group source %q is not there", name), r.sourceNames())
		}
		r.out.Default = name
	}
	return r.resolve()
}

// ReadYAML reads one file of groups.d.
func ReadYAML(ctx context.Context, file string, data []byte, o Options) (*Groups, error) {
	r := &reader{Options: o, ctx: ctx, file: file, memo: make(map[string]*meaning)}
	if err := r.addYAML(file, data); err != nil {
		return nil, err
	}
	return r.resolve()
}

func expandDir(folder, dir string) string {
	return filepath.Clean(strings.NewReplacer("$CFGDIR", dir, "${CFGDIR}", dir).Replace(folder))
}

// confFolder reads the *.conf files of a folder, of which those that may not be
// read are left out, as ClusterShell does.
func (r *reader) confFolder(folder string) error {
	return r.eachFile(folder, "*.conf", func(file string, data []byte) error {
		conf, err := parseConf(file, data)
		if err != nil {
			return err
		}
		return r.addConf(conf, folder)
	})
}

func (r *reader) yamlFolder(folder string) error { return r.eachFile(folder, "*.yaml", r.addYAML) }

func (r *reader) eachFile(folder, pattern string, read func(file string, data []byte) error) error {
	files, err := r.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return inventory.Errors{{File: folder, Msg: "read groups: " + err.Error(), Err: err}}
	}
	for _, file := range files {
		data, err := r.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			r.warn(inventory.Position{File: file}, "groups left out: permission denied")
			continue
		case err != nil:
			return inventory.Errors{{File: file, Msg: "read groups: " + cause(err), Err: err}}
		}
		if err := read(file, data); err != nil {
			return err
		}
	}
	return nil
}

func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

func (r *reader) warn(at inventory.Position, msg string) {
	r.out.Warnings = append(r.out.Warnings, &inventory.Error{File: at.File, Line: at.Line, Column: at.Column, Msg: msg})
}

func (r *reader) fault(at inventory.Position, word, msg, hint string) error {
	return inventory.Errors{{File: at.File, Line: at.Line, Column: at.Column, Word: word, Msg: msg, Hint: hint}}
}

func (r *reader) source(name string) *groupSource {
	for _, s := range r.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (r *reader) sourceNames() string {
	names := make([]string, len(r.sources))
	for i, s := range r.sources {
		names[i] = s.name
	}
	return "sources: " + strings.Join(names, ", ")
}

// add takes a source; two of one name are an error.
func (r *reader) add(s *groupSource) error {
	if first := r.source(s.name); first != nil {
		return r.fault(s.at, s.name, fmt.Sprintf("group source %q is there already", s.name), fmt.Sprintf("first in %s, line %d", first.at.File, first.at.Line))
	}
	r.sources = append(r.sources, s)
	return nil
}

// resolve finds out the nodes of all groups that there are and, of upcalls that
// are not the default source, those that are wanted.
func (r *reader) resolve() (*Groups, error) {
	if r.out.Default == "" && len(r.sources) > 0 {
		r.out.Default = r.sources[0].name
	}
	held := make(map[string]bool)
	for _, s := range r.sources {
		names, err := r.wantedOf(s)
		if err != nil {
			return nil, err
		}
		if err := r.prefetch(s, names); err != nil {
			return nil, err
		}
		for _, name := range names {
			nodes, err := r.group(s, name, part{text: "@" + s.name + ":" + name, at: s.at}, 0)
			if err != nil {
				return nil, err
			}
			at := s.at
			if g, ok := s.groups[name]; ok {
				at = g.at
			}
			r.out.Groups = append(r.out.Groups, Group{Source: s.name, Name: name, Nodes: nodes, At: at})
			for _, n := range nodes {
				held[n] = true
			}
		}
	}
	return &r.out, r.loose(held)
}

// loose adds the nodes that the default source has in no group.
func (r *reader) loose(held map[string]bool) error {
	s := r.source(r.out.Default)
	if s == nil || s.calls == nil || s.calls.all == "" {
		return nil
	}
	nodes, err := r.all(s, part{at: s.at}, 0)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !held[n] {
			r.out.Nodes = append(r.out.Nodes, Node{n, s.at})
		}
	}
	return nil
}

// wantedOf lists the groups of a source that are to be resolved.
func (r *reader) wantedOf(s *groupSource) ([]string, error) {
	if s.calls == nil {
		return s.order, nil
	}
	if s.name == r.out.Default && s.calls.canList() {
		return r.list(s)
	}
	var names []string
	for _, w := range r.Wanted {
		source, name, ok := strings.Cut(w, ":")
		if !ok {
			source, name = r.out.Default, w
		}
		if source != s.name {
			continue
		}
		if !strings.ContainsAny(name, "*?") {
			names = append(names, name)
			continue
		}
		all, err := r.list(s)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if ok, _ := path.Match(name, one); ok {
				names = append(names, one)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
