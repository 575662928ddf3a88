package main

import (
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"fleet/inventory"
	"fleet/inventory/source"
)

// wordFlags say which hosts there are beside inventory files: those that -w
// names, and those of URLs.
type wordFlags struct {
	words   []string // -w
	headers string
	age     time.Duration
	wanted  []string // groups that patterns name
}

func (f *wordFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.StringArrayVarP(&f.words, "hosts", "w", nil, "only these `HOSTS`, in the inventory or not, as pdsh has them: web[1-3],-web2,^FILE,/REGEX/")
	fs.StringVar(&f.headers, "inventory-headers", "", "send the headers in `FILE`, lines of NAME: VALUE, where an inventory is a URL")
	fs.DurationVar(&f.age, "inventory-age", source.DefaultRemoteAge, "use a copy of a fetched inventory for that `TIME` without asking again")
	for _, flag := range []string{"hosts", "inventory-age"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // fails for an undeclared flag only
	}
}

// groupWord finds the groups of sources that a pattern names: @SOURCE:GROUP.
var groupWord = regexp.MustCompile(`@([A-Za-z0-9_.-]+:[^,&!^\s@]+)`)

// want notes which groups a pattern names, for sources that are asked only for
// what is needed. It comes before the inventory is read.
func (f *wordFlags) want(patterns ...string) {
	for _, pattern := range patterns {
		for _, m := range groupWord.FindAllStringSubmatch(pattern, -1) {
			names, err := inventory.ExpandSet(m[1])
			if err != nil {
				names = []string{m[1]} // wildcards
			}
			f.wanted = append(f.wanted, names...)
		}
	}
}

// apply puts into o what the flags say, and what the process lends.
func (f *wordFlags) apply(e *env, o *source.Options) {
	o.Words, o.Wanted, o.Stdin = f.words, f.wanted, e.stdin
	o.Remote = source.Remote{CacheDir: cacheFolder(e), HeaderFile: f.headers, MaxAge: f.age}
	if f.age == 0 {
		o.Remote.MaxAge = -1 // ask always
	}
}

// cacheFolder is where copies of inventories are kept (XDG Base Directory
// Specification), empty where there is no place.
func cacheFolder(e *env) string {
	cache := e.getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) {
		if e.getenv("HOME") == "" {
			return ""
		}
		cache = filepath.Join(e.getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "fleet", "inventory")
}
