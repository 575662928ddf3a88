package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/record"
)

func newHistoryExportCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "export RUN",
		Short: "Write all that is recorded of a run as JSON lines",
		Long: `Writes all that is recorded of a run to standard output, as JSON lines: first
one of type "record" with what the run was, then those of 'fleet run -o jsonl'.`,
		Example:           "  fleet history export last > run.jsonl",
		Args:              oneRun,
		ValidArgsFunction: completeRun(e, 1),
		RunE:              func(c *cobra.Command, args []string) error { return runHistoryExport(c.Context(), e, args[0]) },
	}
}

func runHistoryExport(ctx context.Context, e *env, word string) error {
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	run, err := s.Find(ctx, word)
	if err == nil {
		err = s.Refresh(ctx, run)
	}
	if err != nil {
		return err
	}
	notes, err := s.Notes(ctx, run)
	if err != nil {
		return err
	}
	type noteJSON struct {
		Time time.Time `json:"time"`
		Text string    `json:"text"`
	}
	head := struct {
		V    int    `json:"v"`
		Type string `json:"type"`
		runJSON
		Notes []noteJSON `json:"notes"`
	}{V: 1, Type: "record", runJSON: newRunJSON(run), Notes: []noteJSON{}}
	for _, n := range notes {
		head.Notes = append(head.Notes, noteJSON{n.Time.UTC(), n.Text})
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	quiet := *e
	quiet.stderr = discardWriter{}
	o := &historyShowOptions{show: showFlags{output: "jsonl", color: "never"}}
	return replay(ctx, &quiet, o, s, run, nil)
}

// discardWriter takes the summary for people, which has no place beside the data.
type discardWriter struct{}

func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }

type historyPruneOptions struct {
	older string
	size  byteSize
	runs  []string
	all   bool
	dry   bool
}

func newHistoryPruneCommand(e *env) *cobra.Command {
	o := &historyPruneOptions{}
	c := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Let go of old runs",
		Long: `Lets go of recorded runs, the oldest first, and gives their room back to the
disk.

After each run this is done for those that began more than 90 days ago
($FLEET_RECORD_AGE, such as 30d) and as far as the record takes more than 2 GiB
($FLEET_RECORD_SIZE, such as 500M); 0 keeps all. Without flags prune does that
now, with --older-than, --max-size or both it does these instead. The newest run
stays, and so does any that is under way; --run and --all spare only the latter.`,
		Example: `  fleet history prune --older-than 30d
  fleet history prune --max-size 500M
  fleet history prune --run 7K3M9QZT`,
		Args: noSuch,
		RunE: func(c *cobra.Command, _ []string) error {
			return runHistoryPrune(c.Context(), e, o, c.Flags().Changed("max-size"))
		},
	}
	fs := c.Flags()
	fs.StringVar(&o.older, "older-than", "", "runs that began longer than `TIME` ago, such as 12h or 30d")
	fs.Var(&o.size, "max-size", "as many of the oldest as bring the record to `SIZE`, such as 500M")
	fs.StringArrayVar(&o.runs, "run", nil, "that `RUN`, may be given again")
	fs.BoolVar(&o.all, "all", false, "all runs")
	fs.BoolVarP(&o.dry, "show", "n", false, "only tell how much the record takes")
	_ = c.RegisterFlagCompletionFunc("run", completeRun(e, 1)) // fails for an undeclared flag only
	for _, flag := range []string{"older-than", "max-size"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return c
}

func runHistoryPrune(ctx context.Context, e *env, o *historyPruneOptions, sized bool) error {
	keep, _, err := retention(e)
	if err != nil {
		return err
	}
	if o.all && len(o.runs) > 0 || (o.all || len(o.runs) > 0) && (o.older != "" || sized) {
		return usage(errors.New("--all, --run, and --older-than or --max-size exclude each other"), "nothing is gone; each says by itself which runs are to go")
	}
	if o.older != "" || sized {
		keep = record.Retention{Size: o.size.bytes}
	}
	if o.older != "" {
		if keep.Age, err = parseAge(o.older); err != nil || keep.Age <= 0 {
			return usage(fmt.Errorf("--older-than %s: not a time", quoteWord(o.older)), "a time is 12h, 7d, 2w")
		}
	}
	if sized && o.size.bytes == 0 {
		return usage(errors.New("--max-size 0: nothing is that small"), "--all lets go of all runs")
	}
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	var gone []string
	switch {
	case o.dry:
	case len(o.runs) > 0 || o.all:
		gone, err = deleteRuns(ctx, s, o)
	default:
		gone, err = s.Prune(ctx, keep)
	}
	if err != nil {
		return err
	}
	size, err := s.Size(ctx)
	if err != nil {
		return err
	}
	left, err := s.Runs(ctx, record.Filter{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s gone, %s left in %s\n", amount(len(gone), "run"), amount(len(left), "run"), sizeText(size))
	return err
}

// deleteRuns lets go of the runs that are named, or of all.
func deleteRuns(ctx context.Context, s *record.Store, o *historyPruneOptions) (gone []string, err error) {
	var runs []*record.Run
	if o.all {
		runs, err = s.Runs(ctx, record.Filter{})
	}
	for _, word := range o.runs {
		run, findErr := s.Find(ctx, word)
		if findErr != nil {
			return nil, findErr
		}
		runs = append(runs, run)
	}
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if run.Running() && o.all {
			continue
		}
		if err := s.Delete(ctx, run); err != nil {
			return gone, err
		}
		gone = append(gone, run.ID)
	}
	return gone, s.Shrink(ctx)
}

// sizeText writes a number of bytes for people.
func sizeText(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
