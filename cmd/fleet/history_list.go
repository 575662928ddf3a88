package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/scheduler"
)

type historyListOptions struct {
	output  string
	number  int
	since   string
	notOK   bool
	host    string
	command string
	kind    string
}

var historyOutputs = []string{"table", "json"}

func newHistoryListCommand(e *env) *cobra.Command {
	o := &historyListOptions{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List recorded runs, the newest first",
		Long:  "Lists recorded runs, the newest first. Times are local.",
		Example: `  fleet history list -n 100
  fleet history list --not-ok --since 7d
  fleet history list --host db1 -o json`,
		Args: noSuch,
		RunE: func(c *cobra.Command, _ []string) error { return runHistoryList(c.Context(), e, o) },
	}
	o.declare(c)
	return c
}

func (o *historyListOptions) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&o.output, "output", "o", "table", "`FORMAT`: "+strings.Join(historyOutputs, ", "))
	fs.IntVarP(&o.number, "number", "n", 20, "most runs to list, `N`; 0 is all")
	fs.StringVar(&o.since, "since", "", "only runs of the last `TIME`, such as 12h or 7d")
	fs.BoolVar(&o.notOK, "not-ok", false, "only runs with a host that was not ok")
	fs.StringVar(&o.host, "host", "", "only runs on the host of that `NAME`")
	fs.StringVar(&o.command, "command", "", "only runs of exactly that `COMMAND`")
	fs.StringVar(&o.kind, "kind", "", "only runs of that `KIND`: run, push, pull, shell")
	fixedCompletion(c, "output", historyOutputs)
	fixedCompletion(c, "kind", []string{"run", "push", "pull", "shell"})
	for _, flag := range []string{"number", "since", "host", "command"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

func runHistoryList(ctx context.Context, e *env, o *historyListOptions) error {
	if !slices.Contains(historyOutputs, o.output) {
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(historyOutputs, ", "))
	}
	if o.number < 0 {
		return usagef("--number %d: at least 0", o.number)
	}
	filter := record.Filter{NotOK: o.notOK, Host: o.host, Command: o.command, Kind: o.kind, Limit: o.number}
	if o.since != "" {
		age, err := parseAge(o.since)
		if err != nil {
			return usage(fmt.Errorf("--since %s: not a time", quoteWord(o.since)), "a time is 90m, 12h, 7d, 2w")
		}
		filter.Since = time.Now().Add(-age)
	}
	runs, err := recordedRuns(ctx, e, filter)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	if o.output == "json" {
		err = writeRunsJSON(out, runs)
	} else {
		err = writeRunsTable(out, runs, isTerminal(e.stdout), columns(e.stdout))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	if len(runs) == 0 && o.output == "table" {
		tell(e.stderr, "fleet: ", "no recorded run is so")
	}
	return nil
}

// recordedRuns looks runs up; there are none in a store that does not exist.
func recordedRuns(ctx context.Context, e *env, filter record.Filter) ([]*record.Run, error) {
	s, err := openRecord(ctx, e)
	if errors.Is(err, record.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Runs(ctx, filter)
}

// writeRunsTable writes a line a run. On a terminal commands are cut to its
// width.
func writeRunsTable(w io.Writer, runs []*record.Run, terminal bool, width int) error {
	if len(runs) == 0 {
		return nil
	}
	const roomy, endedRoom = 110, 28 // columns
	layout, narrow := "2006-01-02 15:04", terminal && width < roomy
	if narrow {
		layout = "Jan _2 15:04"
	}
	rows := [][]string{{"RUN", "BEGAN", "TOOK", "ENDED", "COMMAND"}}
	for _, run := range runs {
		took := "-"
		if !run.Running() {
			took = shortTime(run.Wall)
		}
		ended := endedAs(run)
		if narrow {
			ended = render.Cut(ended, endedRoom)
		}
		rows = append(rows, []string{record.ShortID(run.ID), run.Began.Local().Format(layout), took, ended, whatRan(run)})
	}
	return writeRows(w, rows, terminal, width)
}

// writeRows writes a table, the last column as it is.
func writeRows(w io.Writer, rows [][]string, terminal bool, width int) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		last, used := len(row)-1, 0
		for i, cell := range row[:last] {
			fmt.Fprintf(&b, "%-*s  ", widths[i], cell) // counts characters
			used += widths[i] + 2
		}
		cell := row[last]
		if terminal {
			cell = render.Cut(cell, max(width-used, 10))
		}
		if _, err := fmt.Fprintln(w, b.String()+cell); err != nil {
			return err
		}
	}
	return nil
}

// whatRan is a run on one line: its command, or for other kinds its words.
func whatRan(run *record.Run) string {
	if run.Kind != "run" && run.Kind != "shell" {
		return render.SafeLine(strings.Join(run.Argv, " "))
	}
	return render.SafeLine(run.Command)
}

// endedAs is how a run ended, shortly: ok 18, failed 2.
func endedAs(run *record.Run) string {
	var parts []string
	for _, o := range scheduler.Outcomes {
		if n := run.Counts[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", o, n))
		}
	}
	text := strings.Join(parts, " · ")
	switch run.Ending {
	case record.Running:
		return "running"
	case record.Done:
		return text
	}
	return text + " (" + string(run.Ending) + ")"
}

// shortTime rounds a duration to what a person wants to know.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// runJSON is a run as --output json shows it; docs/schema holds its schema.
type runJSON struct {
	Run        string                    `json:"run"`
	Kind       string                    `json:"kind"`
	Command    string                    `json:"command"`
	Pattern    string                    `json:"pattern"`
	Argv       []string                  `json:"argv"`
	Directory  string                    `json:"directory"`
	User       string                    `json:"user"`
	Controller string                    `json:"controller"`
	Version    string                    `json:"version"`
	RerunOf    *string                   `json:"rerun_of"`
	Detached   bool                      `json:"detached"`
	Redacted   bool                      `json:"redacted"`
	Hosts      int                       `json:"hosts"`
	Began      time.Time                 `json:"began"`
	Ended      *time.Time                `json:"ended"`
	WallMS     int64                     `json:"wall_ms"`
	Ending     string                    `json:"ending"`
	Counts     map[scheduler.Outcome]int `json:"counts"`
	Missing    *string                   `json:"missing"`
}

func newRunJSON(run *record.Run) runJSON {
	j := runJSON{
		Run: run.ID, Kind: run.Kind, Command: run.Command, Pattern: run.Pattern, Argv: run.Argv, Directory: run.Dir, User: run.User,
		Controller: run.Controller, Version: run.Version, Detached: run.Detached, Redacted: run.Redacted, Hosts: run.Hosts,
		Began: run.Began.UTC(), WallMS: run.Wall.Milliseconds(), Ending: string(run.Ending), Counts: map[scheduler.Outcome]int{},
	}
	for _, o := range scheduler.Outcomes {
		j.Counts[o] = run.Counts[o]
	}
	if run.Running() {
		j.Ending = "running"
	} else {
		ended := run.Ended.UTC()
		j.Ended = &ended
	}
	if run.RerunOf != "" {
		j.RerunOf = &run.RerunOf
	}
	if run.Missing != "" {
		j.Missing = &run.Missing
	}
	return j
}

func writeRunsJSON(w io.Writer, runs []*record.Run) error {
	doc := struct {
		V    int       `json:"v"`
		Runs []runJSON `json:"runs"`
	}{V: 1, Runs: make([]runJSON, 0, len(runs))}
	for _, run := range runs {
		doc.Runs = append(doc.Runs, newRunJSON(run))
	}
	return writeDocument(w, doc)
}
