package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/control"
	"fleet/internal/record"
	"fleet/internal/render"
)

// askStop is what a running run is asked for, to stop as by Ctrl-C.
const askStop = "stop"

func newPsCommand(e *env) *cobra.Command {
	output := "table"
	c := &cobra.Command{
		Use:   "ps",
		Short: "List the runs that are under way",
		Long: `Lists your runs on this machine that have not ended, detached or not, the newest
first. DONE counts the hosts that have ended.`,
		Example: "  fleet ps\n  fleet ps -o json",
		Args:    noSuch,
		RunE:    func(c *cobra.Command, _ []string) error { return runPs(c.Context(), e, output) },
	}
	c.Flags().StringVarP(&output, "output", "o", output, "`FORMAT`: "+strings.Join(historyOutputs, ", "))
	fixedCompletion(c, "output", historyOutputs)
	return c
}

// process is a run under way.
type process struct {
	*record.Run
	pid  int
	done int // hosts
}

func runPs(ctx context.Context, e *env, format string) error {
	if !slices.Contains(historyOutputs, format) {
		return usage(fmt.Errorf("unknown output %s", quoteWord(format)), "--output takes "+strings.Join(historyOutputs, ", "))
	}
	list, err := processes(ctx, e)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	if format == "json" {
		err = writeProcessesJSON(out, list)
	} else {
		err = writeProcesses(out, list, isTerminal(e.stdout), columns(e.stdout))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write runs: %w", err)
	}
	if len(list) == 0 && format == "table" {
		tell(e.stderr, "fleet: ", "no run is under way")
	}
	return nil
}

func processes(ctx context.Context, e *env) (list []process, err error) {
	s, err := openRecord(ctx, e)
	if errors.Is(err, record.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	runs, err := s.Runs(ctx, record.Filter{Running: true})
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if err := s.Refresh(ctx, run); err != nil {
			return nil, err
		}
		if run.Running() { // else it has ended meanwhile
			list = append(list, process{run, s.PID(run), sum(run.Counts)})
		}
	}
	return list, nil
}

func writeProcesses(w io.Writer, list []process, terminal bool, width int) error {
	if len(list) == 0 {
		return nil
	}
	rows := [][]string{{"RUN", "PID", "SINCE", "DONE", "COMMAND"}}
	for _, p := range list {
		rows = append(rows, []string{record.ShortID(p.ID), strconv.Itoa(p.pid), shortTime(time.Since(p.Began)), fmt.Sprintf("%d/%d", p.done, p.Hosts), whatRan(p.Run)})
	}
	return writeRows(w, rows, terminal, width)
}

func writeProcessesJSON(w io.Writer, list []process) error {
	type processJSON struct {
		runJSON
		PID  int `json:"pid"`
		Done int `json:"done"`
	}
	doc := struct {
		V    int           `json:"v"`
		Runs []processJSON `json:"runs"`
	}{V: 1, Runs: make([]processJSON, 0, len(list))}
	for _, p := range list {
		doc.Runs = append(doc.Runs, processJSON{newRunJSON(p.Run), p.pid, p.done})
	}
	return writeDocument(w, doc)
}

type cancelOptions struct {
	now  bool
	wait time.Duration
}

func newCancelCommand(e *env) *cobra.Command {
	o := &cancelOptions{}
	c := &cobra.Command{
		Use:   "cancel [flags] RUN",
		Short: "Stop a run that is under way",
		Long: `Stops a run that is under way, detached or not, as Ctrl-C would: no further host
starts, and the commands that run are ended on their hosts. Waits for the end of
the run and tells how its hosts ended. RUN is named as for 'fleet history'.`,
		Example: `  fleet cancel last
  fleet cancel --now 7K3M9QZT`,
		Args:              oneRun,
		ValidArgsFunction: completeRuns(e, 1, record.Filter{Running: true}),
		Annotations: map[string]string{"exit": `
EXIT STATUS
  0  the run has stopped
  1  an error of fleet's own: the run goes on, or nobody knows
  2  usage; the run had ended before`},
		RunE: func(c *cobra.Command, args []string) error { return runCancel(c.Context(), e, o, args[0]) },
	}
	c.Flags().BoolVar(&o.now, "now", false, "do not wait for commands to end, as a second Ctrl-C")
	c.Flags().DurationVar(&o.wait, "wait", time.Minute, "longest `TIME` to wait for the end of the run; 0 does not wait")
	_ = c.RegisterFlagCompletionFunc("wait", cobra.NoFileCompletions) // fails for an undeclared flag only
	return c
}

func runCancel(ctx context.Context, e *env, o *cancelOptions, word string) error {
	if o.wait < 0 {
		return usagef("--wait %v: a time cannot be negative", o.wait)
	}
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	run, err := s.Find(ctx, strings.TrimPrefix(word, "@"))
	if err == nil {
		err = s.Refresh(ctx, run)
	}
	if err != nil {
		return err
	}
	if !run.Running() {
		return usagef("run %s has ended: %s", record.ShortID(run.ID), endedAs(run))
	}
	times := 1
	if o.now {
		times = 2
	}
	for range times {
		if err := control.Ask(ctx, s.Socket(run), askStop); err != nil {
			return &fault{code: exitInternal, err: fmt.Errorf("ask run %s to stop: %w", record.ShortID(run.ID), err), hints: []string{otherWay(s.PID(run), run)}}
		}
	}
	if o.wait == 0 {
		return nil
	}
	if err := awaitEnd(ctx, s, run, o.wait); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "run %s: %s\n", record.ShortID(run.ID), endedAs(run))
	return err
}

// otherWay is how to stop a run that does not answer; empty if nobody knows.
func otherWay(pid int, run *record.Run) string {
	if pid <= 0 {
		return ""
	}
	return fmt.Sprintf("'kill -INT %d' on %s stops it too", pid, render.SafeLine(run.Controller))
}

// awaitEnd waits until a run has ended.
func awaitEnd(ctx context.Context, s *record.Store, run *record.Run, limit time.Duration) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		began := time.Now()
		if err := s.Refresh(ctx, run); err != nil {
			return err
		}
		if !run.Running() {
			return nil
		}
		select {
		case <-time.After(max(50*time.Millisecond, 5*time.Since(began))): // a large run is not looked at all the time
		case <-late.C:
			return &fault{code: exitInternal, err: fmt.Errorf("run %s: asked to stop, and goes on after %v", record.ShortID(run.ID), limit),
				hints: []string{"--now does not wait for its commands to end"}}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
