package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/event"
	"fleet/internal/record"
	"fleet/internal/render"
)

const exitHelpGrep = `
EXIT STATUS
  0  something was found
  1  nothing was; or an error of fleet's own, which is told
  2  usage, inventory or configuration`

type historyGrepOptions struct {
	output     string
	run        string
	number     int
	regex      bool
	ignoreCase bool
	most       int
}

var grepOutputs = []string{"text", "jsonl"}

func newHistoryGrepCommand(e *env) *cobra.Command {
	o := &historyGrepOptions{}
	c := &cobra.Command{
		Use:   "grep [flags] TEXT",
		Short: "Find lines that hosts wrote in recorded runs",
		Long: `Finds the lines with TEXT in what hosts wrote, in the newest runs first:
RUN HOST: LINE.

TEXT is taken as it stands: no character of it means anything else, and capitals
count. With -E it is a regular expression (RE2, as Go has it), which is matched
against each line without its end. Hosts that have not ended are not searched.`,
		Example: `  fleet history grep 'Connection refused'
  fleet history grep -E --run last 'error|warn'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return errors.New("one text is wanted")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		Annotations:       map[string]string{"exit": exitHelpGrep},
		RunE:              func(c *cobra.Command, args []string) error { return runHistoryGrep(c.Context(), e, o, args[0]) },
	}
	fs := c.Flags()
	fs.StringVarP(&o.output, "output", "o", "text", "`FORMAT`: "+strings.Join(grepOutputs, ", "))
	fs.StringVar(&o.run, "run", "", "search that `RUN` only, or RUN:failed and the like")
	fs.IntVarP(&o.number, "number", "n", 100, "search the newest `N` runs; 0 is all")
	fs.IntVarP(&o.most, "max-count", "m", 0, "stop after `N` lines; 0 finds all")
	fs.BoolVarP(&o.regex, "regex", "E", false, "TEXT is a regular expression (RE2)")
	fs.BoolVarP(&o.ignoreCase, "ignore-case", "i", false, "capitals do not count")
	fixedCompletion(c, "output", grepOutputs)
	_ = c.RegisterFlagCompletionFunc("run", completeRun(e, 1)) // fails for an undeclared flag only
	for _, flag := range []string{"number", "max-count"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return c
}

func runHistoryGrep(ctx context.Context, e *env, o *historyGrepOptions, text string) error {
	switch {
	case !slices.Contains(grepOutputs, o.output):
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(grepOutputs, ", "))
	case o.number < 0:
		return usagef("--number %d: at least 0", o.number)
	case o.most < 0:
		return usagef("--max-count %d: at least 0", o.most)
	}
	if !o.regex {
		text = regexp.QuoteMeta(text)
	}
	if o.ignoreCase {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return usage(fmt.Errorf("%s: %s", quoteWord(text), strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
	}
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	g := &grep{store: s, re: re, most: o.most, json: o.output == "jsonl", safe: isTerminal(e.stdout), out: bufio.NewWriterSize(e.stdout, 64<<10), known: map[int64][][]byte{}}
	err = g.runs(ctx, o)
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err = errorsFirst(err, g.out.Flush()); err != nil {
		return fmt.Errorf("search history: %w", err)
	}
	if g.found == 0 {
		return &fault{code: 1}
	}
	return nil
}

// grep searches outputs, each content once.
type grep struct {
	store *record.Store
	re    *regexp.Regexp
	most  int
	json  bool
	safe  bool // what comes from hosts is made safe
	out   *bufio.Writer
	known map[int64][][]byte // lines found, by output
	held  int                // bytes of these
	found int
}

var errEnough = errors.New("enough lines are found")

func (g *grep) runs(ctx context.Context, o *historyGrepOptions) error {
	if o.run != "" {
		name, which, err := splitRun(o.run)
		if err != nil {
			return err
		}
		run, err := g.store.Find(ctx, name)
		if err != nil {
			return err
		}
		shown, err := chosenHosts(ctx, g.store, run, which, "")
		if err != nil {
			return err
		}
		return g.run(ctx, run, shown)
	}
	runs, err := g.store.Runs(ctx, record.Filter{Limit: o.number})
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := g.run(ctx, run, nil); err != nil {
			return err
		}
	}
	return nil
}

func (g *grep) run(ctx context.Context, run *record.Run, shown map[string]bool) error {
	return g.store.Results(ctx, run, 0, func(r *record.Result) error {
		if shown != nil && !shown[r.Host] {
			return nil
		}
		for _, s := range []struct {
			name event.Stream
			id   int64
		}{{event.Stdout, r.Stdout}, {event.Stderr, r.Stderr}} {
			lines, err := g.lines(ctx, s.id)
			if err != nil {
				return err
			}
			for _, line := range lines {
				if err := g.show(run, r.Host, s.name, line); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// lines gives the lines of an output that match.
func (g *grep) lines(ctx context.Context, id int64) ([][]byte, error) {
	if id == 0 {
		return nil, nil
	}
	if lines, ok := g.known[id]; ok {
		return lines, nil
	}
	m := &matcher{re: g.re}
	if err := g.store.Output(ctx, id, m); err != nil {
		return nil, err
	}
	m.end()
	const most = 64 << 20
	if g.held += m.size + 64; g.held > most {
		clear(g.known)
		g.held = m.size
	}
	g.known[id] = m.found
	return m.found, nil
}

// matcher keeps the lines written to it that match. Lines above 64 KiB count as
// several, and no more than a million bytes are kept.
type matcher struct {
	re    *regexp.Regexp
	part  []byte
	found [][]byte
	size  int
}

func (m *matcher) Write(p []byte) (int, error) {
	const longest = 64 << 10
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		m.part = append(m.part, line...)
		if whole || len(m.part) > longest {
			m.end()
		}
		rest = after
	}
	return len(p), nil
}

func (m *matcher) end() {
	const most = 1 << 20
	if len(m.part) > 0 && m.size < most && m.re.Match(m.part) {
		m.found = append(m.found, bytes.Clone(m.part))
		m.size += len(m.part)
	}
	m.part = m.part[:0]
}

func (g *grep) show(run *record.Run, host string, stream event.Stream, line []byte) error {
	var err error
	switch {
	case g.json:
		err = json.NewEncoder(g.out).Encode(struct {
			V      int          `json:"v"`
			Run    string       `json:"run"`
			Host   string       `json:"host"`
			Stream event.Stream `json:"stream"`
			Line   string       `json:"line"`
		}{1, run.ID, host, stream, string(line)})
	case g.safe:
		_, err = fmt.Fprintf(g.out, "%s %s: %s\n", record.ShortID(run.ID), render.SafeLine(host), render.SafeLine(string(line)))
	default:
		_, err = fmt.Fprintf(g.out, "%s %s: %s\n", record.ShortID(run.ID), host, line)
	}
	if g.found++; err == nil && g.found == g.most {
		err = errEnough
	}
	return err
}
