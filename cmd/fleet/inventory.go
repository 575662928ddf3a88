package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleet/inventory"
	"fleet/inventory/source"
)

// inventoryFlags say where the inventory is.
type inventoryFlags struct {
	paths  []string
	choice choiceFlags
	read   readFlags
	words  wordFlags
	named  []string       // what -w means, once the inventory is read
	flags  *pflag.FlagSet // of the command
}

func (f *inventoryFlags) declare(c *cobra.Command) {
	f.flags = c.Flags()
	f.flags.StringArrayVarP(&f.paths, "inventory", "i", nil,
		"inventory `PATH`, may be given again: hosts.yaml, an inventory of Ansible (file, folder, program, list a,b,), ssh_config[:FILE] for its Host lines, KIND:PATH; else $FLEET_INVENTORY, ./hosts.yaml, $XDG_CONFIG_HOME/fleet/hosts.yaml, /etc/fleet/hosts.yaml")
	f.read.declare(c)
	f.words.declare(c)
}

// load reads the inventory that the flags, the environment or the usual places name.
func (f *inventoryFlags) load(e *env) (*inventory.Inventory, error) {
	if e.rerun != nil {
		f.words.want(e.rerun.limits...)
	}
	sources := f.sources(e)
	if len(sources) == 0 && len(f.words.words) == 0 {
		return nil, usage(errors.New("no inventory: none of the usual files is there"),
			"write ./hosts.yaml, or name a file with -i or $FLEET_INVENTORY; -i ssh_config takes the hosts of ~/.ssh/config; 'fleet demo' needs none")
	}
	inv, err := f.merge(e, sources)
	if err != nil {
		return nil, err
	}
	inv.LookUp(lookUpRuns(e))
	addSecrets(inv.Hosts())
	return inv, nil
}

// sources are the paths that make the inventory; none if there is none.
func (f *inventoryFlags) sources(e *env) []string {
	paths := f.paths
	if env := e.getenv("FLEET_INVENTORY"); len(paths) == 0 && env != "" {
		paths = splitSources(env)
	}
	if len(paths) == 0 {
		for _, path := range usualInventories(e) {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				paths = []string{path}
				break
			}
		}
	}
	if list := source.WCOLL(e.getenv); len(paths) == 0 && len(f.words.words) == 0 && list != "" {
		paths = []string{list}
	}
	return paths
}

// splitSources cuts $FLEET_INVENTORY at colons, but for those behind what a
// source begins with: https://HOST:PORT/PATH, KIND:PATH.
func splitSources(env string) []string {
	var paths []string
	for _, part := range filepath.SplitList(env) {
		n := len(paths)
		switch {
		case n > 0 && (isKind(paths[n-1]) && part != "" || strings.HasPrefix(part, "//") && (paths[n-1] == "https" || paths[n-1] == "http")):
			paths[n-1] += ":" + part
		case n > 0 && strings.Contains(paths[n-1], "://") && strings.Count(paths[n-1], ":") == 1 && strings.Trim(part, "0123456789") != part:
			paths[n-1] += ":" + part // a port
		default:
			paths = append(paths, part)
		}
	}
	return paths
}

// isKind says whether a word begins KIND:PATH, and is no file of that name.
func isKind(word string) bool {
	_, err := os.Stat(word)
	return source.IsKind(word) && err != nil
}

// sshConfigNames are the names on the Host lines of an ssh_config file, by
// default of those by which hosts are reached.
func (f *inventoryFlags) sshConfigNames(e *env, file string) ([]string, error) {
	flags := sshConfigFlags{file: file}
	if flag := f.flags.Lookup("ssh-config"); file == "" && flag != nil {
		flags.file = flag.Value.String()
	}
	config, err := flags.load(e)
	if err != nil {
		return nil, err
	}
	return config.HostNames(), nil
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

// quietly is the world for completion: nothing is read from standard input, and
// warnings are for later.
func quietly(e *env) *env {
	quiet := *e
	quiet.stdin, quiet.stderr = nil, io.Discard
	return &quiet
}

// completePattern offers groups and hosts for the word being typed, which is
// what follows the last operator of a pattern.
func (f *inventoryFlags) completePattern(e *env) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		inv, err := f.loadToComplete(quietly(e))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cut := strings.LastIndexAny(typed, ",&!^@") + 1
		if colon := strings.LastIndexByte(typed, ':') + 1; colon > cut && !anyNamed(inv, typed[cut:]) {
			cut = colon // web:db, as Ansible has it
		}
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
		if len(offers) > 0 || word == "" {
			return offers, cobra.ShellCompDirectiveNoFileComp
		}
		for name := range inv.ConditionNames() { // os=debian
			offer(name + "=")
		}
		return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeFlags offers hosts for the flags of c that take them, and no files for
// those that take neither.
func completeFlags(e *env, c *cobra.Command) {
	for _, flag := range []string{"jump", "ssh", "why"} {
		_ = c.RegisterFlagCompletionFunc(flag, completeHosts(e)) // fails for an undeclared flag only
	}
	for _, flag := range []string{
		"connect-timeout", "deadline", "dynamic", "fanout", "local", "max-fail", "max-output", "port", "remote", "serial", "timeout", "user",
	} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

// completeHosts offers the inventory's hosts for the word being typed, the last
// of a list joined by commas and behind any USER@.
func completeHosts(e *env) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		f := inventoryFlags{flags: c.Flags()}
		f.paths, _ = f.flags.GetStringArray("inventory") // none where there is no such flag
		inv, err := f.loadToComplete(quietly(e))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cut := strings.LastIndexAny(typed, ",@") + 1
		var offers []string
		for _, h := range inv.Hosts() {
			if strings.HasPrefix(h.Name, typed[cut:]) && len(offers) < maxCompletions {
				offers = append(offers, typed[:cut]+h.Name)
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}
