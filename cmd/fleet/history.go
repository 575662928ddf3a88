package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/record"
	"fleet/internal/render"
)

func newHistoryCommand(e *env) *cobra.Command {
	o := &historyListOptions{}
	c := &cobra.Command{
		Use:   "history",
		Short: "Look up what was run, and what came of it",
		Long: `Each 'fleet run' is recorded: who ran what on which hosts, how each ended, and
what it wrote. The record is a file of yours,
$XDG_STATE_HOME/fleet/fleet.db (else ~/.local/state/fleet/fleet.db). It holds no
password that fleet was told, and a run with --no-record is not in it.

A RUN is named by its id, by the beginning or end of it, or as last or
last-failed. Where hosts of a run are wanted, RUN:failed are some of them:
failed, or ok, unreachable, lost, canceled, skipped, or several of these:
not-ok, not-run (unreachable, skipped), undone (these and failed), all.
With an @ before it this is a pattern, of any command: 'fleet run @last:failed'.

Without a command, history lists.`,
		Example: `  fleet history
  fleet history show last
  fleet history show last:failed
  fleet run @last-failed -- systemctl status nginx`,
		Args: noSuch,
		RunE: func(c *cobra.Command, _ []string) error { return runHistoryList(c.Context(), e, o) },
	}
	o.declare(c)
	c.AddCommand(newHistoryListCommand(e), newHistoryShowCommand(e), newHistoryGrepCommand(e), newDiffCommand(e, "fleet history"), newHistoryExportCommand(e), newHistoryPruneCommand(e))
	return c
}

// oneRun wants the name of a run.
func oneRun(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("no run given; 'last' is one, and 'fleet history' lists them")
	case 1:
		return nil
	}
	return fmt.Errorf("one run is wanted, and %s follows it", quoteWord(args[1]))
}

// completeRun offers the runs of late, for at most n words, and behind a colon the
// hosts of one.
func completeRun(e *env, n int) cobra.CompletionFunc {
	return completeRuns(e, n, record.Filter{})
}

// completeRuns offers the runs that a filter means.
func completeRuns(e *env, n int, filter record.Filter) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return runNames(c.Context(), e, typed, filter), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// runNames are names of runs that begin with what was typed, each with what it
// is.
func runNames(ctx context.Context, e *env, typed string, filter record.Filter) (names []string) {
	offer := func(name, what string) {
		if strings.HasPrefix(name, typed) {
			names = append(names, cobra.CompletionWithDesc(name, what))
		}
	}
	if run, _, found := strings.Cut(typed, ":"); found {
		for _, which := range record.Whiches() {
			offer(run+":"+string(which), "those of its hosts")
		}
		return names
	}
	filter.Limit = 50
	s, err := openRecord(ctx, e)
	if err != nil {
		return nil
	}
	defer s.Close()
	runs, err := s.Runs(ctx, filter)
	if err != nil || len(runs) == 0 {
		return nil
	}
	offer("last", "the newest run")
	if !filter.Running {
		offer("last-failed", "the newest run with a host that is not ok")
	}
	for _, run := range runs {
		what := fmt.Sprintf("%s %s: %s", run.Began.Local().Format("Jan 2 15:04"), render.SafeLine(run.Command), endedAs(run))
		if id := record.ShortID(run.ID); typed == "" || strings.HasPrefix(id, strings.ToUpper(typed)) {
			names = append(names, cobra.CompletionWithDesc(id, what))
		}
	}
	return names
}
