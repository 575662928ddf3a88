package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/transfer"
)

type pushOptions struct {
	transferFlags
	mode         fileMode
	owner, group string
	template     bool
	delete       bool
	maxDelete    int
	backup       bool
	atomicDir    bool
	diff         bool
	sync         bool
	spread       spreadFlags
}

func newPushCommand(e *env) *cobra.Command {
	o := &pushOptions{}
	c := &cobra.Command{
		Use:   "push [flags] PATTERN SRC... DST",
		Short: "Copy files and folders to the hosts that PATTERN selects",
		Long: `Copies files, folders and what patterns such as 'conf/**/*.conf' mean to each
host, many hosts at once. Only what differs is sent. Each file is compared by
SHA-256 on the host and put in its place by a rename: it is the old file or the
new one at any time, and never has wider permissions than it is to have.

A folder goes into DST under its own name; with '/' at its end, its content
goes into DST. A file goes into DST if that is a folder, ends with '/', or there
are more sources; else it becomes DST. SRC '-' is standard input. SRC and DST
may name the host: 'conf/{{.Host}}.yaml', '/srv/{{.Vars.site}}/'. A file
.fleetignore says what of its folder is left out.

` + spreadHelp,
		Example: `  fleet push web app.conf /etc/app/
  fleet push --dry-run --diff web site/ /var/www/site
  fleet push --delete --exclude '*.log' web site /srv
  fleet push --template --mode 0600 all 'hosts/{{.Host}}.env' /etc/app/env
  date | fleet push web - /tmp/stamp
  fleet push --spread 4 web big.iso /srv/`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeTransfer(e, &o.inventory),
		Annotations:       map[string]string{"exit": exitHelp},
		RunE: func(c *cobra.Command, args []string) error {
			return runPush(c.Context(), e, o, args)
		},
	}
	o.declare(e, c)
	o.declareOwn(c.Flags())
	fixedCompletion(c, "spread-by", transfer.SpreadWays)
	return c
}

// declareOwn declares what is about files and push alone.
func (o *pushOptions) declareOwn(fs *pflag.FlagSet) {
	fs.Var(&o.mode, "mode", "permissions, `MODE` as for chmod: u+x,go-w, or octal, where folders get x for r (default: the sources')")
	fs.StringVar(&o.owner, "owner", "", "owner on the host, by `NAME` (default: the login user; as root, the sources')")
	fs.StringVar(&o.group, "group", "", "group on the host, by `NAME`")
	fs.BoolVar(&o.template, "template", false, "files are templates, filled in for each host: {{.Host}} {{.Vars.role}}")
	fs.BoolVar(&o.delete, "delete", false, "delete from copies of folders what the folders do not hold")
	fs.IntVar(&o.maxDelete, "max-delete", 1000, "most that --delete may delete on a host; more, and the host fails untouched")
	fs.BoolVar(&o.backup, "backup", false, "keep what is replaced or deleted, under its name with ~")
	fs.BoolVar(&o.atomicDir, "atomic-dir", false, "exchange each folder whole if anything in it differs; implies --delete")
	fs.BoolVar(&o.sync, "sync", false, "have each host write what came to its disk before the push is over")
	fs.BoolVar(&o.diff, "diff", false, "show how text files differ")
	o.spread.declare(fs)
}

func runPush(ctx context.Context, e *env, o *pushOptions, args []string) error {
	return o.run(ctx, e, "push", "DST", args, func(t *errand) (*engine.Work, func() error, error) { return o.work(ctx, e, t) })
}

// work reads the sources for the hosts. What is done in the end is for the caller.
func (o *pushOptions) work(ctx context.Context, e *env, t *errand) (work *engine.Work, done func() error, err error) {
	filter, links, err := o.filter()
	if err != nil {
		return nil, nil, err
	}
	if o.maxDelete < 0 {
		return nil, nil, usagef("--max-delete %d: at least 0", o.maxDelete)
	}
	spread, err := o.spread.check(o)
	if err != nil {
		return nil, nil, err
	}
	if spread != nil && o.dryRun && len(t.hosts) > spread.Seeds {
		t.on.Note(spreadNote(spread, len(t.hosts)))
	}
	p := &transfer.Push{
		Sources: t.sources, Dst: t.dst, Stdin: e.stdin, Links: links, Filter: filter, Template: o.template,
		Owner: o.owner, Group: o.group, Delete: o.delete || o.atomicDir, MaxDelete: o.maxDelete,
		Mode: o.mode.Mode, Backup: o.backup, AtomicDir: o.atomicDir, Sync: o.sync, Checksum: o.checksum, NoVerify: o.noVerify,
		Bandwidth: o.bandwidth.bandwidth(), Spread: spread, DryRun: o.dryRun, Diff: o.diff, Verbose: o.show.verbose > 0,
		Warn: func(text string) { t.on.Note("fleet: warning: " + text) },
	}
	err = untilStopped(ctx, t.stop.first, func(ctx context.Context) error { return p.Prepare(ctx, t.hosts) })
	if err != nil && !errors.Is(err, errInterrupted) {
		err = usage(err)
	}
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return pushWork(p), p.Close, nil
}

// pushWork is a push that is prepared, as work on hosts.
func pushWork(p *transfer.Push) *engine.Work {
	return &engine.Work{What: "push", Become: true, Do: func(ctx context.Context, j engine.Job) (*event.Transfer, error) {
		return p.Do(ctx, j.Conn, j.Host.Name, transfer.Show{Out: j.Stdout, Err: j.Stderr, Progress: j.Progress, Become: j.Become, Address: j.Address, Hold: j.Hold})
	}}
}
