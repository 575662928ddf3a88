package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/sshpool"
)

// Pull copies files of hosts to this machine, into a folder for each. Prepare
// makes the destination, then Do serves any number of hosts at once, then Close
// cleans up.
type Pull struct {
	// Sources are files, folders and patterns of the hosts; they may hold
	// templates that name the host. A folder comes under its own name, or with a
	// slash at its end, its content does; what a pattern means keeps its path
	// below the part of the pattern that has no wildcards.
	Sources []string
	Dir     string // the destination on this machine; it is made if there is none
	// Flat, where not empty, is the name below Dir of the one file that comes from
	// each host, a template, instead of HOST/NAME.
	Flat string

	Links    Links
	Filter   *Filter
	Checksum bool
	NoVerify bool
	DryRun   bool
	Verbose  bool

	// Owners has files belong here to the users and groups of those names that they
	// have on the host, or to root where there is none; it takes root. Without it
	// all belongs to who pulls.
	Owners bool
	// Delete removes from the copies of folders here what the folders on the host
	// do not hold; more than MaxDelete, and the host fails before anything is done.
	Delete    bool
	MaxDelete int

	// Limits for one host; 0 is none.
	MaxEntries int
	MaxDepth   int // folders
	MaxBytes   int64
	Bandwidth  Bandwidth

	root  *os.Root // nil in a dry run where there is no destination
	hosts map[string]*pullHost
}

// pullHost is what one host is asked for.
type pullHost struct {
	sources []string
	dir     string // below the destination
	flat    string // below the destination; empty where it does not count
}

// Prepare expands names for all hosts and opens the destination. An error is
// about the request; no host was touched. It is called once, before the first Do.
func (p *Pull) Prepare(hosts []*inventory.Host) error {
	p.hosts = make(map[string]*pullHost, len(hosts))
	if p.Filter == nil {
		p.Filter = &Filter{}
	}
	taken := map[string]string{}
	for _, h := range hosts {
		ph := &pullHost{dir: SafeName(h.Name)}
		for _, s := range p.Sources {
			name, err := expandName(s, h)
			if err == nil {
				name, err = fromHome(name)
			}
			if err != nil {
				return fmt.Errorf("source: %w", err)
			}
			if _, rest := doublestar.SplitPattern(strings.TrimRight(name, "/")); globbed(name) && !doublestar.ValidatePattern(rest) {
				return fmt.Errorf("source: %q: not a valid pattern", name)
			}
			ph.sources = append(ph.sources, name)
		}
		if p.Flat != "" {
			name, err := expandName(p.Flat, h)
			switch {
			case err != nil:
				return fmt.Errorf("--flat: %w", err)
			case name == "" || badName(path.Clean(name)) != "" || path.Clean(name) == ".":
				return fmt.Errorf("--flat: %q: not a name below the destination", name)
			case taken[path.Clean(name)] != "":
				return fmt.Errorf("--flat: %s and %s would both be %q: let the name hold {{.Host}}", taken[path.Clean(name)], h.Name, name)
			}
			ph.flat, ph.dir = path.Clean(name), "."
			taken[ph.flat] = h.Name
		}
		p.hosts[h.Name] = ph
	}
	return p.open()
}

func (p *Pull) open() (err error) {
	if !p.DryRun {
		if err := os.MkdirAll(p.Dir, 0o777); err != nil {
			return err
		}
	}
	p.root, err = os.OpenRoot(p.Dir)
	if p.DryRun && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close lets go of the destination.
func (p *Pull) Close() error {
	if p.root == nil {
		return nil
	}
	return p.root.Close()
}

// Do copies from one host. The transfer is what was done by then, also beside
// an error.
func (p *Pull) Do(ctx context.Context, conn *sshpool.Conn, host string, show Show) (*event.Transfer, error) {
	ph := p.hosts[host]
	if ph == nil {
		return nil, fmt.Errorf("pull: host %q was not prepared", host)
	}
	d := &pulling{Pull: p, far: far{conn: conn, become: show.Become, rates: p.Bandwidth.rates()}, host: ph, show: show}
	d.did.Pull, d.did.DryRun = true, p.DryRun
	defer d.far.close()
	err := d.do(ctx)
	return &d.did, outcome(err)
}
