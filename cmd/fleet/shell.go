package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/internal/shell"
	"fleet/tasks"
)

type shellOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	rollout   rolloutFlags
	show      showFlags
	record    recordFlags
	become    becomeFlags
	command   commandFlags
	timeout   time.Duration
	stop      bool
}

func newShellCommand(e *env) *cobra.Command {
	o := &shellOptions{}
	c := &cobra.Command{
		Use:   "shell [flags] PATTERN",
		Short: "Run line after line on the hosts that PATTERN selects",
		Long: `Reads lines and runs each, as one command, on all hosts that PATTERN selects.
Connections stay open from line to line; a host that went away is connected
again at the next one. The hosts can be changed on the way, and Ctrl-C cancels
what runs, not the shell.

` + shell.HelpText + `

On a terminal lines can be edited, and those of earlier times are kept in
$XDG_STATE_HOME/fleet/shell_history, but for those that begin with a blank.
Each command is recorded ('fleet history'), but for those too.
Pasted lines are one command, and run when Enter is pressed.
Lines may also come from a pipe or a file: then there is no prompt, what is
wrong is told with its line number, and Ctrl-C ends all. There, a line that
should change the hosts or the folder and cannot is the last: what comes after
it was not meant for those that were the target before.`,
		Example: `  fleet shell web
  fleet shell -o live --fanout 10 'prod!db1'
  printf 'uptime\n@db\ndf -h /\n' | fleet shell --stop web`,
		Args:              shellArgs,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelpShell},
		RunE: func(c *cobra.Command, args []string) error {
			return runShell(c.Context(), e, o, args[0])
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	o.rollout.declare(c)
	o.show.declare(c)
	o.record.declareOff(c, "the commands")
	o.become.declare(c)
	o.command.declareLasting(c)
	c.Flags().Lookup("cwd").Usage = "`FOLDER` of the hosts to begin in, as by ':cd FOLDER'"
	c.Flags().DurationVarP(&o.timeout, "timeout", "t", 0, "longest `TIME` for each command on a host (default: no limit)")
	c.Flags().BoolVar(&o.stop, "stop", false, "of lines from a pipe, run none after the first that does not end ok")
	c.Flags().Lookup("deadline").Usage = "longest `TIME` for each line on all hosts (default: no limit)"
	output := c.Flags().Lookup("output")
	output.Usage = "`FORMAT`: " + strings.Join(render.Modes, ", ") + " (default: group on a terminal, else live)"
	output.DefValue, o.show.output = "", ""
	return c
}

const exitHelpShell = exitHelp + `

On a terminal, that of the last line. Else of all lines together: 2 where one
could not be read, otherwise as if they were one run.`

func shellArgs(_ *cobra.Command, args []string) error {
	hint := "usage: fleet shell [flags] PATTERN"
	switch {
	case len(args) == 0:
		return usage(errors.New("no hosts given"), hint)
	case len(args) > 1:
		return usage(fmt.Errorf("%d words, where one pattern is wanted", len(args)),
			"fleet run "+tasks.QuoteAll(args[:1])+" -- "+tasks.QuoteAll(args[1:])+" runs one command")
	}
	return nil
}

func runShell(ctx context.Context, e *env, o *shellOptions, pattern string) error {
	inv, hosts, err := o.inventory.targets(e, pattern)
	if err != nil {
		return err
	}
	person := isTerminal(e.stdin) && isTerminal(e.stderr)
	switch {
	case o.timeout < 0:
		return usagef("--timeout %v: a time cannot be negative", o.timeout)
	case o.stop && person:
		return usagef("--stop is for lines from a pipe or a file")
	case o.connect.passFile == "-":
		return usage(errors.New("--pass-file -: standard input has the commands"), "--pass-file FILE reads it from a file")
	case o.become.passFile == "-":
		return usage(errors.New("--become-pass-file -: standard input has the commands"), "--become-pass-file FILE reads it from a file")
	}
	if o.show.output == "" {
		o.show.output = "live"
		if isTerminal(e.stdout) {
			o.show.output = "group"
		}
	}
	if _, err := o.show.sink(e); err != nil {
		return err
	}
	b := &broadcast{e: e, o: o, inv: inv, person: person, session: shell.NewSession(narrowed{inv, &o.inventory.choice}, hosts)}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.close()
	collectLess(e, len(hosts))
	b.loop(ctx)
	if code := b.status(); code != exitOK {
		return &fault{code: code}
	}
	return nil
}

// prepare checks the settings and asks for secrets; nothing is sent.
func (b *broadcast) prepare(ctx context.Context) error {
	if err := b.o.rollout.apply(&engine.Request{}); err != nil {
		return err
	}
	var err error
	if b.how, err = b.o.command.how(); err != nil {
		return err
	}
	if b.how.Payload, err = b.o.command.payload(b.e, nil); err != nil {
		return err
	}
	if b.how.Dir = ""; b.o.command.cwd != "" { // the session's, which :cd changes
		b.session.Chdir(shell.Dir{Path: b.o.command.cwd})
	}
	b.mostFanout, b.mostIdle = shareFiles(openFiles())
	b.fanout(b.o.rollout.fanout)
	b.catch()
	first := newInterrupts()
	defer close(first.done)
	return b.guarded(first, func() error {
		b.ask = &prompter{stopped: first.first, pause: b.voice.pause}
		access, err := b.o.connect.access(b.e, b.ask)
		if err != nil {
			return b.giveUp(err)
		}
		asked := engine.Request{Hosts: b.session.Hosts(), How: b.how}
		if err := b.o.become.apply(ctx, b.e, &b.o.connect, &asked, b.ask); err != nil {
			return b.giveUp(err)
		}
		b.become = asked.Become
		tellOn(&access, &b.voice, b.o.show.verbose)
		b.kept = engine.Keep(access, b.mostIdle)
		if err := b.kept.Reach(ctx, b.session.Hosts()); err != nil {
			return errors.Join(b.giveUp(err), b.kept.Close())
		}
		return nil
	})
}

// giveUp ends what was begun before a mistake in the settings was found.
func (b *broadcast) giveUp(err error) error {
	b.release()
	b.voice.flush(b.e.stderr)
	var f *fault
	if errors.Is(err, errInterrupted) || errors.As(err, &f) {
		return err
	}
	return usage(err)
}

// shareFiles says how many connections may be made at once, and how many kept
// besides, by a process that may have so many files open.
func shareFiles(open int) (fanout, idle int) {
	all := max(2, open-reservedFiles)
	return all / 2, all - all/2
}
