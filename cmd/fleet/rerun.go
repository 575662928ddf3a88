package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

// rerun says that a command line is that of a recorded run, and on which hosts it
// is carried out instead of those that it selects.
type rerun struct {
	of     string // id of the run
	hosts  []string
	limits []string             // patterns that narrow hosts, of the inventory as it is now
	tell   func(hosts []string) // what is to be done, once that is known; nil: it is told
	dry    bool                 // and nothing more
}

// errShown ends a command line of which only the hosts were wanted.
var errShown = errors.New("shown")

// choose gives the hosts as the inventory has them now.
func (r *rerun) choose(inv *inventory.Inventory) ([]*inventory.Host, error) {
	var hosts []*inventory.Host
	var missing []string
	for _, name := range r.hosts {
		if h, ok := inv.Host(name); ok {
			hosts = append(hosts, h)
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, usage(errors.New("the inventory does not have "+inventory.Fold(missing)+", where the run was"),
			"--host PATTERN takes fewer of its hosts")
	}
	if len(r.limits) == 0 {
		return hosts, nil
	}
	limits := choiceFlags{limits: r.limits}
	hosts, err := limits.narrow(inv, hosts)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, usagef("--limit leaves none of %s: %s", amount(len(r.hosts), "host"), inventory.Fold(r.hosts))
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	r.tell(names)
	if r.dry {
		return nil, errShown
	}
	return hosts, nil
}

type rerunOptions struct {
	failed, notOK, notRun, all bool
	hosts                      string
	limits                     []string
	dry                        bool
}

func newRerunCommand(e *env) *cobra.Command {
	o := &rerunOptions{}
	c := &cobra.Command{
		Use:   "rerun [flags] RUN",
		Short: "Run a recorded run again, or go on with it",
		Long: `Carries out the command line of a recorded run again, with the flags that it
had, in the folder and on the inventory that it had.

Without flags it goes on where the run was stopped: by --max-fail, --deadline,
Ctrl-C or a crash: it takes the hosts to which the command was never sent. A run
that had its end is run again where the command failed or was never sent. Hosts
that were ok are left alone, unless --all is given, and so are those where
nobody knows how far the command came (lost, canceled), unless --not-ok is.

What was asked for at a prompt is asked for again. RUN is named as for 'fleet
history'.`,
		Example: `  fleet rerun last
  fleet rerun --failed last
  fleet rerun --limit '@rack7&!db*' last
  fleet rerun --all --host 'web[01-05]' 7K3M9QZT`,
		Args:              oneRun,
		ValidArgsFunction: completeRun(e, 1),
		Annotations:       map[string]string{"exit": exitHelp},
		RunE:              func(c *cobra.Command, args []string) error { return runRerun(c.Context(), e, o, args[0]) },
	}
	fs := c.Flags()
	fs.BoolVar(&o.failed, "failed", false, "on the hosts where the command failed")
	fs.BoolVar(&o.notOK, "not-ok", false, "on all hosts that were not ok, whatever it was")
	fs.BoolVar(&o.notRun, "not-run", false, "on the hosts to which the command was never sent")
	fs.BoolVar(&o.all, "all", false, "on all hosts of the run, also those that were ok")
	fs.StringVar(&o.hosts, "host", "", "of these only those that `PATTERN` selects by their names")
	fs.StringArrayVar(&o.limits, "limit", nil, "of these only those that `PATTERN` selects in the inventory as it is now, may be given again")
	fs.BoolVarP(&o.dry, "show", "n", false, "only tell what would be run, and where")
	_ = c.RegisterFlagCompletionFunc("host", cobra.NoFileCompletions) // fails for an undeclared flag only
	_ = c.RegisterFlagCompletionFunc("limit", (&inventoryFlags{}).completePattern(e))
	return c
}

func runRerun(ctx context.Context, e *env, o *rerunOptions, word string) error {
	name, which, err := splitRun(word)
	if err == nil {
		which, err = o.which(which)
	}
	if err != nil {
		return err
	}
	run, hosts, err := o.find(ctx, e, name, which)
	if err != nil {
		return err
	}
	switch {
	case run.Redacted:
		return usage(fmt.Errorf("run %s: a secret stood in its command line, and is not recorded", record.ShortID(run.ID)), "write the command line again")
	case len(run.Argv) == 0:
		return usage(fmt.Errorf("run %s: its command line is not recorded", record.ShortID(run.ID)))
	case len(hosts) == 0:
		return usage(fmt.Errorf("run %s: no host is left to run it on (%s)", record.ShortID(run.ID), endedAs(run)), "--all runs it on all its hosts again")
	}
	again := &rerun{of: run.ID, hosts: hosts, limits: o.limits, dry: o.dry}
	again.tell = func(hosts []string) {
		tell(e.stderr, "fleet: ", fmt.Sprintf("again: fleet %s, on %d of %d hosts: %s",
			render.SafeLine(tasks.QuoteAll(run.Argv)), len(hosts), run.Hosts, render.SafeLine(inventory.Fold(hosts))))
		o.tellLeft(e, run, len(hosts))
	}
	if len(o.limits) > 0 { // only the inventory knows which hosts are left
		if err := e.again(run, again); !errors.Is(err, errShown) {
			return err
		}
		return nil
	}
	if os.Getenv(detachVariable) == "" { // else the first process told it
		again.tell(hosts)
	}
	if o.dry {
		return nil
	}
	return e.again(run, again)
}

// which is what the flags say of the hosts that are meant, or the word for the
// run; empty if neither does.
func (o *rerunOptions) which(named record.Which) (record.Which, error) {
	which := named
	for _, flag := range []struct {
		means record.Which
		given bool
	}{{record.Which(scheduler.Failed), o.failed}, {record.NotOK, o.notOK}, {record.NotRun, o.notRun}, {record.All, o.all}} {
		switch {
		case flag.given && which != "":
			return "", usagef("%s and --%s: one of them says which hosts", which, flag.means)
		case flag.given:
			which = flag.means
		}
	}
	return which, nil
}

// find gives the run and those of its hosts that are meant.
func (o *rerunOptions) find(ctx context.Context, e *env, name string, which record.Which) (*record.Run, []string, error) {
	s, err := openRecord(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	run, err := s.Find(ctx, name)
	if err == nil {
		err = s.Refresh(ctx, run)
	}
	if err != nil {
		return nil, nil, err
	}
	if run.Running() {
		return nil, nil, usage(fmt.Errorf("run %s has not ended", record.ShortID(run.ID)), "'fleet cancel "+record.ShortID(run.ID)+"' ends it")
	}
	if which == "" {
		if which = record.Undone; stoppedEarly(run) {
			which = record.NotRun
		}
	}
	hosts, err := s.Select(ctx, run, which)
	if err == nil && o.hosts != "" {
		hosts, err = o.named(ctx, s, run, hosts)
	}
	return run, hosts, err
}

// named are those of hosts that --host selects among all hosts of the run.
func (o *rerunOptions) named(ctx context.Context, s *record.Store, run *record.Run, hosts []string) ([]string, error) {
	all, err := s.Select(ctx, run, record.All)
	if err != nil {
		return nil, err
	}
	list, err := matching(all, o.hosts)
	if err != nil {
		return nil, err
	}
	meant := make(map[string]bool, len(list))
	for _, name := range list {
		meant[name] = true
	}
	return slices.DeleteFunc(hosts, func(name string) bool { return !meant[name] }), nil
}

// tellLeft tells which hosts are not run again though they were not ok.
func (o *rerunOptions) tellLeft(e *env, run *record.Run, taken int) {
	doubt := run.Counts[scheduler.Lost] + run.Counts[scheduler.Canceled]
	if doubt == 0 || o.notOK || o.all || taken == run.Hosts {
		return
	}
	tell(e.stderr, "fleet: ", fmt.Sprintf("lost or canceled, so left alone: %s; the command may have run there, --not-ok takes them too", amount(doubt, "host")))
}

// stoppedEarly says that a run was not carried out to its end, and that there are
// hosts that did not have their turn.
func stoppedEarly(run *record.Run) bool {
	return run.Ending != record.Done && run.Counts[scheduler.Skipped]+run.Counts[scheduler.Unreachable] > 0
}

// again carries out a recorded command line once more, where and with which
// variables it was.
func (e *env) again(run *record.Run, what *rerun) error {
	if here, err := os.Getwd(); run.Dir != "" && (err != nil || here != run.Dir) {
		if err := os.Chdir(run.Dir); err != nil {
			return usage(fmt.Errorf("go to the folder of the run: %w", err))
		}
		if os.Getenv(detachVariable) == "" && !what.dry {
			tell(e.stderr, "fleet: ", "in "+render.SafeLine(run.Dir))
		}
	}
	now := *e
	now.getenv = func(name string) string {
		for _, recorded := range recordedVariables {
			if name == recorded {
				return run.Environ[name]
			}
		}
		return e.getenv(name)
	}
	now.args = run.Argv
	now.rerun = what
	root := newRootCommand(&now)
	if c, _, err := root.Find(run.Argv); err != nil || !strings.HasPrefix(c.CommandPath(), "fleet "+run.Kind) {
		return usage(fmt.Errorf("run %s: this fleet does not know its command", record.ShortID(run.ID)))
	}
	root.SetArgs(run.Argv)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	return root.Execute()
}
