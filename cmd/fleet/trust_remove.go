package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/trust"
)

type trustRemoveOptions struct {
	trustOptions
	dryRun bool
}

func newTrustRemoveCommand(e *env) *cobra.Command {
	o := &trustRemoveOptions{}
	c := &cobra.Command{
		Use:   "remove [flags] PATTERN",
		Short: "Take hosts out of known_hosts",
		Long: `Takes the lines that mean the hosts that PATTERN selects out of known_hosts,
also hashed ones, as 'ssh-keygen -R' does. Lines of authorities and of revoked
keys stay. The file is replaced at once; what it was before is kept beside it
with the ending .old. No host is connected to.

Only the file that new keys go to is written; what other files still say of
the hosts is told.`,
		Example: `  fleet trust remove --dry-run web07
  fleet trust remove 'web[07-09]'`,
		ValidArgsFunction: o.inventory.completePattern(e),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTrustRemove(c.Context(), e, o, args[0])
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	hideLogin(c)
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show what would be removed")
	o.declareShow(c)
	return c
}

func runTrustRemove(ctx context.Context, e *env, o *trustRemoveOptions, pattern string) error {
	hosts, err := o.hosts(e, pattern)
	if err != nil {
		return err
	}
	o.connect.noInput = true // there is nothing to log in to
	access, err := o.connect.access(e, &prompter{})
	if err != nil {
		return err
	}
	access.Warn = func(text string) { tell(e.stderr, "fleet: warning: ", text) }
	reach, err := trust.Reach(ctx, access, hosts)
	if err != nil {
		return usage(err)
	}
	defer reach.Close()
	gone, err := trust.Forget(reach, hosts, o.dryRun)
	if gone == nil {
		return err
	}
	if o.output == "json" {
		err = errors.Join(err, gone.WriteJSON(e.stdout, o.dryRun))
	} else {
		err = errors.Join(err, o.view(e).WriteForgotten(e.stdout, gone))
	}
	tellForgotten(e, gone, o.dryRun)
	return err
}

// tellForgotten says what was done, and what still is.
func tellForgotten(e *env, gone *trust.Forgotten, dry bool) {
	v := trust.View{Short: isTerminal(e.stderr)}
	for _, l := range gone.Lines {
		if l.Others {
			fmt.Fprintf(e.stderr, "fleet: warning: %s:%d names other hosts too: their key is gone with it\n", l.File, l.Line)
		}
	}
	for _, s := range gone.Still {
		what := "knows"
		if s.Marker != "" {
			what = "has a " + string(s.Marker) + " line for"
		}
		fmt.Fprintf(e.stderr, "fleet: warning: %s still %s %s\n", s.Place(), what, v.Hosts(s.Hosts))
	}
	if len(gone.Pinned) > 0 {
		fmt.Fprintf(e.stderr, "fleet: warning: keys of %s stand in the inventory (hostkey), not in known_hosts\n", v.Hosts(gone.Pinned))
	}
	switch {
	case len(gone.Lines) == 0:
		fmt.Fprintln(e.stderr, "no line to remove")
	case dry:
		fmt.Fprintf(e.stderr, "%s would be removed\n", amount(len(gone.Lines), "line"))
	default:
		fmt.Fprintf(e.stderr, "removed %s from %s; the file before is beside it with the ending .old\n",
			amount(len(gone.Lines), "line"), strings.Join(gone.Files, ", "))
	}
}

// hideLogin leaves flags out of the help of a command that connects to no host.
func hideLogin(c *cobra.Command) {
	for _, name := range []string{"user", "key", "ask-pass", "pass-file", "hostkeys", "connect-timeout", "no-input", "jump", "answers", "interactive"} {
		if c.Flags().Lookup(name) != nil {
			_ = c.Flags().MarkHidden(name) // fails for an undeclared flag only
		}
	}
}
