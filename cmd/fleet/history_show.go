package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

type historyShowOptions struct {
	show   showFlags
	hosts  string
	follow bool
}

const exitHelpShow = `
EXIT STATUS
  0  done
  1  an error of fleet's own
  2  usage, inventory or configuration
  With --follow that of the run, as 'fleet run --help' has it.`

func newHistoryShowCommand(e *env) *cobra.Command {
	o := &historyShowOptions{}
	c := &cobra.Command{
		Use:   "show RUN[:HOSTS]",
		Short: "Show one recorded run: what it was, and what hosts wrote",
		Long: `Shows one recorded run: first what it was, then, as 'fleet run' would, what its
hosts wrote and how they ended. -o json and jsonl give what 'fleet run' gives;
'fleet history export' has all that is recorded.`,
		Example: `  fleet history show last
  fleet history show last:failed
  fleet history show -o live --host 'web[01-09]' 7K3M9QZT`,
		Args:              oneRun,
		ValidArgsFunction: completeRun(e, 1),
		Annotations:       map[string]string{"exit": exitHelpShow},
		RunE: func(c *cobra.Command, args []string) error {
			if o.follow && !c.Flags().Changed("output") {
				o.show.output = "live"
			}
			return runHistoryShow(c.Context(), e, o, args[0])
		},
	}
	o.declare(c)
	return c
}

func (o *historyShowOptions) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&o.show.output, "output", "o", "group", "`FORMAT`: "+strings.Join(showOutputs, ", "))
	fs.StringVar(&o.show.color, "color", "auto", "`WHEN`: "+strings.Join(showColors, ", "))
	fs.CountVarP(&o.show.verbose, "verbose", "v", "tell the end of each host")
	fs.StringVar(&o.hosts, "host", "", "only those hosts of the run that `PATTERN` selects by their names")
	fs.BoolVarP(&o.follow, "follow", "f", false, "show lines as they come until the run has ended, and end as it did; -o live unless said otherwise")
	fixedCompletion(c, "output", showOutputs)
	fixedCompletion(c, "color", showColors)
	_ = c.RegisterFlagCompletionFunc("host", cobra.NoFileCompletions)
}

func runHistoryShow(ctx context.Context, e *env, o *historyShowOptions, word string) error {
	name, which, err := splitRun(word)
	if err != nil {
		return err
	}
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	run, err := s.Find(ctx, name)
	if err == nil {
		err = s.Refresh(ctx, run)
	}
	if err != nil {
		return err
	}
	shown, err := chosenHosts(ctx, s, run, which, o.hosts)
	if err != nil {
		return err
	}
	if o.show.output != "json" && o.show.output != "jsonl" {
		notes, err := s.Notes(ctx, run)
		if err != nil {
			return err
		}
		if err := writeRunHead(e.stdout, run, notes); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	return replay(ctx, e, o, s, run, shown)
}

// chosenHosts says which hosts of a run are to be shown: nil for all.
func chosenHosts(ctx context.Context, s *record.Store, run *record.Run, which record.Which, pattern string) (map[string]bool, error) {
	if which == "" && pattern == "" {
		return nil, nil
	}
	if which == "" {
		which = record.All
	}
	names, err := s.Select(ctx, run, which)
	if err != nil {
		return nil, err
	}
	if pattern != "" {
		if names, err = matching(names, pattern); err != nil {
			return nil, err
		}
	}
	shown := make(map[string]bool, len(names))
	for _, name := range names {
		shown[name] = true
	}
	return shown, nil
}

// matching gives those names that a pattern selects, in their order; there are no
// groups.
func matching(names []string, pattern string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	inv, err := inventory.Merge(inventory.Source{File: "the run", Names: names})
	if err != nil {
		return nil, err
	}
	hosts, err := inv.Select(pattern)
	if err != nil {
		return nil, usage(fmt.Errorf("--host: %w", err))
	}
	chosen := map[string]bool{}
	for _, h := range hosts {
		chosen[h.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !chosen[name] }), nil
}

// writeRunHead writes what a run was.
func writeRunHead(w io.Writer, run *record.Run, notes []record.Note) error {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-8s %s\n", name, render.SafeLine(text)) }
	line("run", run.ID)
	if run.RerunOf != "" {
		line("again", "of run "+run.RerunOf)
	}
	if run.Command != "" {
		line("command", run.Command)
	}
	line("hosts", fmt.Sprintf("%d, by %s", run.Hosts, run.Pattern))
	began := run.Began.Local().Format("2006-01-02 15:04:05 -0700")
	if run.Running() {
		line("began", began+", and runs")
	} else {
		line("began", began+", took "+shortTime(run.Wall))
	}
	line("by", fmt.Sprintf("%s on %s, in %s", run.User, run.Controller, run.Dir))
	if len(run.Argv) > 0 {
		line("as", "fleet "+tasks.QuoteAll(run.Argv))
	} else {
		line("as", "a line of fleet "+run.Kind) // a shell's
	}
	line("with", run.Version)
	if text := endedAs(run); text != "" {
		line("ended", text)
	}
	if run.Missing != "" {
		line("missing", run.Missing)
	}
	for _, n := range notes {
		line("said", n.Text)
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// replaySink is a sink that shows what is over.
func (f *showFlags) replaySink(e *env) (render.Sink, error) {
	quiet := *e
	quiet.getenv = func(name string) string {
		if name == "TERM" {
			return "dumb" // no status line; colours are by the flag then
		}
		return e.getenv(name)
	}
	flags := *f
	if flags.color == "auto" {
		flags.color = "never"
		if e.color("auto", e.stdout) {
			flags.color = "always"
		}
	}
	return flags.sink(&quiet)
}

func sum(counts map[scheduler.Outcome]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// errorsFirst is the first error of some.
func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
