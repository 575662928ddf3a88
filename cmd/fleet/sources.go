package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"fleet/inventory"
	"fleet/inventory/source"
)

// readFlags say how inventories are read.
type readFlags struct {
	ignoreBroken bool
}

func (f *readFlags) declare(c *cobra.Command) {
	c.Flags().BoolVar(&f.ignoreBroken, "ignore-broken-sources", false, "go on without inventories that cannot be read, and name them")
}

// merge makes one inventory of the paths, and tells warnings.
func (f *inventoryFlags) merge(e *env, paths []string) (*inventory.Inventory, error) {
	r, err := source.Load(context.Background(), f.options(e), paths...)
	if err != nil {
		return nil, usage(err)
	}
	for _, broken := range r.Broken {
		for line := range strings.Lines(broken.Error()) {
			tell(e.stderr, "fleet: warning: left out: ", strings.TrimRight(line, "\n"))
		}
	}
	for _, w := range r.Warnings {
		tell(e.stderr, "fleet: warning: ", w.Error())
	}
	r.Inventory.UseFacts(f.choice.facts(e))
	return r.Inventory, nil
}

// options say what sources may use.
func (f *inventoryFlags) options(e *env) source.Options {
	return source.Options{
		Getenv: e.getenv, IgnoreBroken: f.read.ignoreBroken,
		SSHConfigNames: func(file string) ([]string, error) { return f.sshConfigNames(e, file) },
	}
}
