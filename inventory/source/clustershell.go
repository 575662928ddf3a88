package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"fleet/inventory"
	"fleet/inventory/clustershell"
)

// Bounds of one upcall of groups.conf. All together have ScriptLimit.
const (
	upcallLimit  = 10 * time.Second
	upcallOutput = 16 << 20 // bytes
)

// isClusterShell takes a groups.conf, or a YAML file of groups.d.
func isClusterShell(it *item) bool {
	if it.info.IsDir() {
		return false
	}
	data, err := it.content()
	if err != nil {
		return false
	}
	switch strings.ToLower(filepath.Ext(it.path)) {
	case ".yaml", ".yml":
		return clustershell.IsYAML(data)
	case ".conf":
		return clustershell.IsConf(data)
	}
	return filepath.Base(it.path) == "groups" && clustershell.IsConf(data)
}

// readClusterShell reads groups.conf, or a file of groups.d; without a path the
// one that ClusterShell reads (groups.conf(5)).
func readClusterShell(l *loader, it *item) error {
	if it.path == "" {
		if it.path = l.groupsConf(); it.path == "" {
			return &Error{Source: it.text, Msg: "no groups.conf of ClusterShell is there", Way: "clustershell:FILE names one"}
		}
	}
	data, err := it.content()
	if err != nil {
		return err
	}
	limit := l.ScriptLimit
	if limit <= 0 {
		limit = DefaultScriptLimit
	}
	ctx, cancel := context.WithTimeoutCause(l.ctx, limit, fmt.Errorf("all upcalls together took longer than %v", limit))
	defer cancel()
	o := clustershell.Options{
		ReadFile: os.ReadFile, Wanted: l.Wanted,
		Glob: func(pattern string) ([]string, error) {
			files, err := filepath.Glob(pattern)
			sort.Strings(files)
			return files, err
		},
		Run: func(ctx context.Context, dir, command string) ([]byte, error) {
			return runUpcall(ctx, it, dir, command)
		},
	}
	read := clustershell.ReadConf
	if ext := strings.ToLower(filepath.Ext(it.path)); ext == ".yaml" || ext == ".yml" {
		read = clustershell.ReadYAML
	}
	groups, err := read(ctx, it.path, data, o)
	if err != nil {
		var broken inventory.Errors
		if ctx.Err() != nil && l.ctx.Err() == nil && !errors.As(err, &broken) {
			return &Error{Source: it.text, Msg: "read groups: " + context.Cause(ctx).Error()}
		}
		return err
	}
	list, err := clusterContents(it.path, groups)
	for _, c := range list {
		if err == nil {
			err = l.add(it, c)
		}
	}
	return err
}

// groupsConf finds the groups.conf that ClusterShell reads.
func (l *loader) groupsConf() string {
	config := l.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(l.Getenv("HOME"), ".config")
	}
	global := l.Getenv("CLUSTERSHELL_CFGDIR")
	if global == "" {
		global = "/etc/clustershell"
	}
	for _, dir := range []string{filepath.Join(config, "clustershell"), filepath.Join(l.Getenv("HOME"), ".local/etc/clustershell"), global} {
		file := filepath.Join(dir, "groups.conf")
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// clusterContents makes groups SOURCE:GROUP of all groups, one content for each
// file; of the default source they have no prefix, though they may be asked for with it.
func clusterContents(file string, groups *clustershell.Groups) ([]*inventory.Content, error) {
	first := inventory.NewContent(file)
	first.GroupPrefix(groups.Default)
	for _, w := range groups.Warnings {
		first.Warn(w)
	}
	list := []*inventory.Content{first}
	of := func(file string) *inventory.Content {
		for _, c := range list {
			if c.File() == file {
				return c
			}
		}
		list = append(list, inventory.NewContent(file))
		return list[len(list)-1]
	}
	mark := func(at inventory.Position) inventory.Mark { return inventory.Mark{Line: at.Line, Column: at.Column} }
	for _, g := range groups.Groups {
		name := g.Source + ":" + g.Name
		if g.Source == groups.Default && g.Name != "all" {
			name = g.Name
		}
		c := of(g.At.File)
		group, err := c.Group(name, mark(g.At))
		if err != nil {
			c.Warn(&inventory.Error{File: g.At.File, Line: g.At.Line, Column: g.At.Column, Word: name, Msg: fmt.Sprintf("group left out: %v", plainMessage(err))})
			continue
		}
		for _, n := range g.Nodes {
			if _, err := group.AddHost(n, mark(g.At)); err != nil {
				return nil, err
			}
		}
	}
	for _, n := range groups.Nodes {
		if _, err := of(n.At.File).Host(n.Name, mark(n.At)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// plainMessage is the message of an inventory.Error without its place.
func plainMessage(err error) string {
	var e *inventory.Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return err.Error()
}

// runUpcall runs one command of groups.conf.
func runUpcall(ctx context.Context, it *item, dir, command string) ([]byte, error) {
	if err := mayRunFrom(it, dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, upcallLimit, fmt.Errorf("no end within %v", upcallLimit))
	defer cancel()
	out, complaint, err := bounded(ctx, upcallOutput, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		cmd.Dir = dir
		return cmd
	})
	if err == nil {
		return out, nil
	}
	if line := lastLine(complaint); line != "" {
		return nil, fmt.Errorf("%w: %s", err, line)
	}
	return nil, err
}

// mayRunFrom refuses commands of a file that anybody may write to, or put
// another in the place of.
func mayRunFrom(it *item, dir string) error {
	for _, path := range []string{it.path, filepath.Dir(it.path), dir} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o002 != 0 && (!info.IsDir() || info.Mode()&os.ModeSticky == 0) {
			return fmt.Errorf("anybody may write to %s", path)
		}
	}
	return nil
}
