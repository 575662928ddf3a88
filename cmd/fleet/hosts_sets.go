package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fleet/inventory"
)

func newHostsExpandCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "expand SET...",
		Short: "Write out the hosts of host sets, one a line",
		Long: `Writes out the hosts of the given host sets, one name a line. Without an
argument the sets are read from standard input. No inventory is needed.`,
		Example: `  fleet hosts expand 'web[01-20]'
  fleet hosts expand 'rack[1-2]n[01-04/2],db1'`,
		RunE: func(_ *cobra.Command, args []string) error { return runHostsExpand(e, args) },
	}
}

func runHostsExpand(e *env, sets []string) error {
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	var bad error
	err := e.eachWord(sets, func(set string) {
		if bad != nil {
			return
		}
		names, err := inventory.ExpandSet(set)
		if err != nil {
			bad = usage(err)
			return
		}
		for _, name := range names {
			fmt.Fprintln(out, name) // a bufio.Writer keeps its error until Flush
		}
	})
	return errors.Join(err, bad, out.Flush())
}

func newHostsFoldCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "fold [NAME...]",
		Short: "Write host names as one host set",
		Long: `Writes the given names, or those on standard input, as one host set, the short
form in which fleet shows many hosts. No inventory is needed.`,
		Example: `  fleet hosts fold web01 web02 web03
  fleet hosts web | fleet hosts fold`,
		RunE: func(_ *cobra.Command, args []string) error { return runHostsFold(e, args) },
	}
}

func runHostsFold(e *env, names []string) error {
	var all []string
	var bad error
	err := e.eachWord(names, func(word string) {
		expanded, err := inventory.ExpandSet(word)
		if err != nil && bad == nil {
			bad = usage(err)
		}
		all = append(all, expanded...)
	})
	if err := errors.Join(err, bad); err != nil {
		return err
	}
	if len(all) == 0 {
		return nil
	}
	_, err = fmt.Fprintln(e.stdout, inventory.Fold(all))
	return err
}
