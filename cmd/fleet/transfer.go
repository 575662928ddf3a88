package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/internal/transfer"
	"fleet/inventory"
	"fleet/tasks"
)

// transferFlags are those that push and pull share.
type transferFlags struct {
	inventory inventoryFlags
	connect   connectFlags
	rollout   rolloutFlags
	guard     guardFlags
	show      showFlags
	record    recordFlags
	retry     retryFlags
	become    becomeFlags
	timeout   time.Duration
	exclude   []string
	include   []string
	links     string
	checksum  bool
	noVerify  bool
	dryRun    bool
	bandwidth bandwidthFlags
}

func (f *transferFlags) declare(e *env, c *cobra.Command) {
	f.inventory.declare(c)
	f.inventory.declareChoice(e, c)
	f.connect.declare(c)
	f.rollout.declare(c)
	f.guard.declare(e, c)
	f.show.declare(c)
	f.record.declare(c)
	f.retry.declare(c)
	f.become.declare(c)
	c.Flags().DurationVarP(&f.timeout, "timeout", "t", 0, "longest `TIME` for the files of one host (default: no limit)")
	f.declareFiles(c.Flags())
	fixedCompletion(c, "links", transfer.LinkModes)
}

// declareFiles declares those that are about files.
func (f *transferFlags) declareFiles(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.exclude, "exclude", nil, "leave out what matches `PATTERN`, as in .gitignore; may be given again")
	fs.StringArrayVar(&f.include, "include", nil, "take in again what matches `PATTERN` and would be left out; may be given again")
	fs.StringVar(&f.links, "links", string(transfer.KeepLinks), "symbolic links: `WAY` keep, follow or skip")
	fs.BoolVar(&f.checksum, "checksum", false, "compare by SHA-256 what is there already, not by size and time")
	fs.BoolVar(&f.noVerify, "no-verify", false, "do not compare what was copied by SHA-256")
	f.bandwidth.declare(fs)
	fs.BoolVarP(&f.dryRun, "dry-run", "n", false, "change nothing; tell what would be done, file by file")
}

// filter is what is left out.
func (f *transferFlags) filter() (*transfer.Filter, transfer.Links, error) {
	filter, err := transfer.NewFilter(f.exclude, f.include)
	if err != nil {
		return nil, "", usage(err)
	}
	for _, mode := range transfer.LinkModes {
		if f.links == mode {
			return filter, transfer.Links(mode), nil
		}
	}
	return nil, "", usage(fmt.Errorf("unknown --links %s", quoteWord(f.links)), "--links takes "+strings.Join(transfer.LinkModes, ", "))
}

// chosen is the inventory, and the hosts of it that pattern selects.
type chosen struct {
	inv     *inventory.Inventory
	pattern string
	hosts   []*inventory.Host
}

func (f *transferFlags) choose(e *env, pattern string) (chosen, error) {
	inv, hosts, err := f.inventory.targets(e, pattern)
	if err != nil {
		return chosen{}, err
	}
	if f.timeout < 0 {
		return chosen{}, usagef("--timeout %v: a time cannot be negative", f.timeout)
	}
	return chosen{inv, pattern, hosts}, nil
}

// errand is what push or pull is asked to do on hosts.
type errand struct {
	hosts   []*inventory.Host
	sources []string
	dst     string
	on      noter // told of what is not copied
	stop    *interrupts
}

// run does what the command is asked for: prepare makes work of that, and gives
// what is to be done in the end. The last argument is called last in hints.
func (f *transferFlags) run(ctx context.Context, e *env, command, last string, args []string, prepare func(*errand) (*engine.Work, func() error, error)) (err error) {
	if done, err := f.record.detached(e); done || err != nil {
		return err
	}
	pattern, sources, dst, err := splitTransferArgs(command, last, args)
	if err != nil {
		return err
	}
	on, err := f.choose(e, pattern)
	if err != nil {
		return err
	}
	sink, err := f.show.sink(e)
	if err != nil {
		return err
	}
	defer floorHeap()()
	stop := catchInterrupts()
	defer stop.release()
	work, done, err := prepare(&errand{on.hosts, sources, dst, sink, stop})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return f.carry(ctx, e, on, transferTitle(command, args[1:]), work, sink, stop)
}

// carry does work on the hosts, as fleet run does a command.
func (f *transferFlags) carry(ctx context.Context, e *env, on chosen, title string, work *engine.Work, sink render.Sink, stop *interrupts) error {
	req := engine.Request{
		Hosts: on.hosts, Command: title, Work: work, Timeout: f.timeout,
		MaxOutput: f.show.maxOutput.bytes, Keep: render.NeedsCaptures(f.show.output),
	}
	if err := errors.Join(f.rollout.apply(&req), f.retry.apply(&req)); err != nil {
		return err
	}
	if req.Fanout < min(f.rollout.fanout, len(on.hosts)) {
		sink.Note(fmt.Sprintf("fleet: fanout lowered to %d: this process may open %d files (ulimit -n)", req.Fanout, openFiles()))
	}
	kept, err := f.record.begin(e, stop, sink, work.What, on.pattern, hostNames(on.hosts))
	if err != nil {
		return err
	}
	if kept != nil {
		defer kept.close()
		sink, req.Begun = kept, kept.begun
	}
	ask := &prompter{stopped: stop.first, pause: sink.Pause}
	if req.Access, err = f.connect.access(e, ask); err != nil {
		return err
	}
	if err := f.become.apply(ctx, e, &f.connect, &req, ask); err != nil {
		return err
	}
	if err := f.guard.apply(on.inv, &req, ask); err != nil {
		return err
	}
	tellOn(&req.Access, sink, f.show.verbose)
	summary, err := carry(ctx, req, sink, stop, stopping)
	f.guard.halted(ctx, e, summary, stop, kept)
	return judged(summary, err)
}

// splitTransferArgs takes "PATTERN SRC... DST" apart.
func splitTransferArgs(command, last string, args []string) (pattern string, sources []string, dst string, err error) {
	hint := "usage: fleet " + command + " [flags] PATTERN SRC... " + last
	switch len(args) {
	case 0:
		return "", nil, "", usage(errors.New("no hosts and no files given"), hint)
	case 1:
		return "", nil, "", usage(errors.New("no files given"), hint)
	case 2:
		return "", nil, "", usage(fmt.Errorf("no destination given after %s", quoteWord(args[1])), hint)
	}
	for _, a := range args[1:] {
		if a == "" {
			return "", nil, "", usage(errors.New("a file's name cannot be empty"), hint)
		}
	}
	return args[0], args[1 : len(args)-1], args[len(args)-1], nil
}

// title is what a run is called.
func transferTitle(command string, args []string) string { return command + " " + tasks.QuoteAll(args) }

// fileMode is a flag for permissions.
type fileMode struct{ transfer.Mode }

func (m *fileMode) Type() string { return "mode" }

func (m *fileMode) Set(s string) (err error) {
	m.Mode, err = transfer.ParseMode(s)
	return err
}

// completeTransfer offers hosts for the first word, and files of this machine
// for the others.
func completeTransfer(e *env, inv *inventoryFlags) cobra.CompletionFunc {
	hosts := inv.completePattern(e)
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return hosts(c, args, typed)
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}
