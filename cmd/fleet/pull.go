package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/transfer"
)

type pullOptions struct {
	transferFlags
	flat       string
	maxEntries int
	maxDepth   int
	maxBytes   byteSize
	delete     bool
	maxDelete  int
	keepOwners bool
}

func newPullCommand(e *env) *cobra.Command {
	o := &pullOptions{}
	c := &cobra.Command{
		Use:   "pull [flags] PATTERN SRC... DSTDIR",
		Short: "Copy files and folders from the hosts that PATTERN selects",
		Long: `Copies files, folders and what patterns such as '/var/log/**/*.log' mean from
each host into DSTDIR/HOST/, many hosts at once. Only what differs is fetched.

A folder comes under its own name; with '/' at its end, its content comes. What
a pattern means keeps its path below the part that has no wildcards. SRC begins
at the login user's home where it does not begin with '/', and may name the
host: '/etc/{{.Host}}.conf'. With --flat the one file of each host gets a name
of its own in DSTDIR.

No host can write outside DSTDIR/HOST: links that lead out of it, special and
setuid files, and names such as '..' are refused and told, and the host counts
as failed. Characters that no name should hold are written as %XX.`,
		Example: `  fleet pull web /etc/hosts out
  fleet pull --exclude '*.gz' web /var/log/nginx out
  fleet pull all '/var/log/**/*.err' out
  fleet pull --delete --dry-run web /etc/nginx out
  fleet pull --flat 'hosts-{{.Host}}' all /etc/hosts out`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeTransfer(e, &o.inventory),
		Annotations:       map[string]string{"exit": exitHelp},
		RunE: func(c *cobra.Command, args []string) error {
			return runPull(c.Context(), e, o, args)
		},
	}
	o.declare(e, c)
	o.declareOwn(c.Flags())
	return c
}

// declareOwn declares what is about files and pull alone.
func (o *pullOptions) declareOwn(fs *pflag.FlagSet) {
	o.maxBytes = byteSize{100 << 30}
	fs.StringVar(&o.flat, "flat", "", "`NAME` below DSTDIR of the one file of each host, as 'passwd-{{.Host}}'")
	fs.BoolVar(&o.delete, "delete", false, "delete from copies of folders here what the folders on the host do not hold")
	fs.IntVar(&o.maxDelete, "max-delete", 1000, "most that --delete may delete for a host; more, and the host fails untouched")
	fs.BoolVar(&o.keepOwners, "keep-owners", false, "files belong to the users and groups of the same names here; takes root")
	fs.IntVar(&o.maxEntries, "max-entries", 200_000, "most files and folders of one host; more, and it fails")
	fs.IntVar(&o.maxDepth, "max-depth", 100, "deepest that folders of a host may lie in each other")
	fs.Var(&o.maxBytes, "max-bytes", "most that may come from one host, `SIZE` as 512M, 2G")
}

func runPull(ctx context.Context, e *env, o *pullOptions, args []string) error {
	return o.run(ctx, e, "pull", "DSTDIR", args, o.work)
}

// work opens the destination. What is done in the end is for the caller.
func (o *pullOptions) work(t *errand) (work *engine.Work, done func() error, err error) {
	filter, links, err := o.filter()
	if err != nil {
		return nil, nil, err
	}
	if o.maxEntries < 1 || o.maxDepth < 1 || o.maxBytes.bytes < 1 {
		return nil, nil, usagef("--max-entries, --max-depth and --max-bytes: at least 1")
	}
	switch {
	case o.maxDelete < 0:
		return nil, nil, usagef("--max-delete %d: at least 0", o.maxDelete)
	case o.delete && o.flat != "":
		return nil, nil, usagef("--delete is for folders, and --flat for one file from each host")
	case o.keepOwners && os.Geteuid() != 0:
		return nil, nil, usage(errors.New("--keep-owners: only root can give files to others"), "without it all that comes is yours")
	}
	p := &transfer.Pull{
		Sources: t.sources, Dir: t.dst, Flat: o.flat, Links: links, Filter: filter,
		Bandwidth: o.bandwidth.bandwidth(), Checksum: o.checksum, NoVerify: o.noVerify, DryRun: o.dryRun, Verbose: o.show.verbose > 0,
		Delete: o.delete, MaxDelete: o.maxDelete, Owners: o.keepOwners,
		MaxEntries: o.maxEntries, MaxDepth: o.maxDepth, MaxBytes: o.maxBytes.bytes,
	}
	if err := p.Prepare(t.hosts); err != nil {
		return nil, nil, usage(err)
	}
	work = &engine.Work{What: "pull", Become: true, Do: func(ctx context.Context, j engine.Job) (*event.Transfer, error) {
		return p.Do(ctx, j.Conn, j.Host.Name, transfer.Show{Out: j.Stdout, Err: j.Stderr, Progress: j.Progress, Become: j.Become})
	}}
	return work, p.Close, nil
}
