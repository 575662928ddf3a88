package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fleet/inventory"
)

// inventoryFlags say where the inventory is.
type inventoryFlags struct{ paths []string }

func (f *inventoryFlags) declare(c *cobra.Command) {
	c.Flags().StringArrayVarP(&f.paths, "inventory", "i", nil,
		"inventory `PATH`, may be given again; else $FLEET_INVENTORY, ./hosts.yaml, $XDG_CONFIG_HOME/fleet/hosts.yaml, /etc/fleet/hosts.yaml")
}

// load reads the inventory that the flags, the environment or the usual places name.
func (f *inventoryFlags) load(e *env) (*inventory.Inventory, error) {
	paths := f.paths
	if env := e.getenv("FLEET_INVENTORY"); len(paths) == 0 && env != "" {
		paths = filepath.SplitList(env)
	}
	if len(paths) == 0 {
		for _, path := range usualInventories(e) {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				paths = []string{path}
				break
			}
		}
	}
	if len(paths) == 0 {
		return nil, usage(errors.New("no inventory: none of the usual files is there"),
			"write ./hosts.yaml, or name a file with -i or $FLEET_INVENTORY; 'fleet demo' needs none")
	}
	inv, err := inventory.Load(paths...)
	if err != nil {
		return nil, usage(err)
	}
	return inv, nil
}

func usualInventories(e *env) []string {
	config := e.getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(e.getenv("HOME"), ".config")
	}
	return []string{"hosts.yaml", filepath.Join(config, "fleet", "hosts.yaml"), "/etc/fleet/hosts.yaml"}
}

// maxCompletions bounds what a shell is offered; a longer list helps nobody.
const maxCompletions = 200

// completePattern offers groups and hosts for the word being typed, which is
// what follows the last operator of a pattern.
func (f *inventoryFlags) completePattern(e *env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		inv, err := f.load(e)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cut := strings.LastIndexAny(typed, ",&!^@") + 1
		before, word := typed[:cut], typed[cut:]
		var offers []string
		offer := func(name string) {
			if strings.HasPrefix(name, word) && len(offers) < maxCompletions {
				offers = append(offers, before+name)
			}
		}
		offer("all")
		for _, g := range inv.Groups() {
			offer(g.Name)
		}
		for _, h := range inv.Hosts() {
			offer(h.Name)
		}
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}
