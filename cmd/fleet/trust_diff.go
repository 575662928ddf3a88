package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"fleet/internal/trust"
)

func newTrustDiffCommand(e *env) *cobra.Command {
	o := &trustOptions{}
	c := &cobra.Command{
		Use:   "diff [flags] PATTERN",
		Short: "Show hosts whose keys are not those of known_hosts any more",
		Long: `Asks the hosts that PATTERN selects for their keys and shows those that are
changed, revoked or not valid: the key that the host shows, and below it those
that known_hosts has, with file and line. Known and new keys are only counted.

Ends with status 3 where there is such a key, so that a cron job can watch.`,
		Example: `  fleet trust diff all
  fleet trust diff --no-input -o json prod > changed.json`,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelpTrust},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTrustDiff(c.Context(), e, o, args[0])
		},
	}
	o.declare(e, c)
	return c
}

func runTrustDiff(ctx context.Context, e *env, o *trustOptions, pattern string) error {
	s, err := o.scan(ctx, e, pattern, true)
	if err != nil {
		return err
	}
	defer s.stop.release()
	changed := slices.DeleteFunc(slices.Clone(s.Keys), func(k trust.Key) bool { return k.State == trust.Known || k.State == trust.New })
	err = s.show(func() error {
		if o.output == "json" {
			return s.WriteJSON(e.stdout, changed, nil)
		}
		return o.view(e).Write(e.stdout, trust.Groups(changed))
	})
	if err != nil {
		return err
	}
	s.remarks(e, o)
	if len(changed) == 0 && len(s.Keys) > 0 {
		fmt.Fprintln(e.stderr, "no key has changed")
	}
	s.changedHint(e)
	return s.status(s.bad())
}
