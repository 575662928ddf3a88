package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

// exitDrift is the exit status of a comparison that found a difference, as
// diff(1) has it.
const exitDrift = 1

const exitHelpDiff = `
EXIT STATUS
  0  no host differs
  1  some host differs; or an error of fleet's own, which is told
  2  usage, inventory or configuration`

type historyDiffOptions struct {
	output string
	color  string
	masks  []string
	exprs  []string
	hosts  string
}

var diffOutputs = []string{"text", "json"}

// newDiffCommand is both 'fleet diff' and 'fleet history diff'.
func newDiffCommand(e *env, parent string) *cobra.Command {
	o := &historyDiffOptions{}
	c := &cobra.Command{
		Use:   "diff [flags] [OLD] RUN",
		Short: "Compare a run with an earlier one: what has drifted",
		Long: `Compares how the hosts of a recorded run ended, and what they wrote, with an
earlier run: OLD, or else the newest before it of the same command. Hosts that
drifted alike stand together.

RUN is named as for 'fleet history'.`,
		Example: "  " + parent + " diff last\n  " + parent + " diff --mask times,pids last\n  " + parent + " diff 7K3M9QZT last",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no run given; 'last' is one")
			}
			return cobra.MaximumNArgs(2)(nil, args)
		},
		ValidArgsFunction: completeRun(e, 2),
		Annotations:       map[string]string{"exit": exitHelpDiff},
		RunE:              func(c *cobra.Command, args []string) error { return runHistoryDiff(c.Context(), e, o, args) },
	}
	fs := c.Flags()
	fs.StringVarP(&o.output, "output", "o", "text", "`FORMAT`: "+strings.Join(diffOutputs, ", "))
	fs.StringVar(&o.color, "color", "auto", "`WHEN`: "+strings.Join(showColors, ", "))
	fs.StringSliceVar(&o.masks, "mask", nil, "do not compare these `PARTS` of outputs: "+strings.Join(render.MaskNames, ", "))
	fs.StringArrayVar(&o.exprs, "mask-regex", nil, "do not compare what `REGEX` matches, may be given again")
	fs.StringVar(&o.hosts, "host", "", "only hosts that `PATTERN` selects by their names")
	fixedCompletion(c, "output", diffOutputs)
	fixedCompletion(c, "color", showColors)
	fixedCompletion(c, "mask", render.MaskNames)
	for _, flag := range []string{"mask-regex", "host"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // fails for an undeclared flag only
	}
	return c
}

func runHistoryDiff(ctx context.Context, e *env, o *historyDiffOptions, args []string) error {
	if !slices.Contains(diffOutputs, o.output) {
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(diffOutputs, ", "))
	}
	if !slices.Contains(showColors, o.color) {
		return usage(fmt.Errorf("unknown --color %s", quoteWord(o.color)), "--color takes "+strings.Join(showColors, ", "))
	}
	mask, err := render.NewMask(o.masks, o.exprs)
	if err != nil {
		return usage(err)
	}
	s, err := openRecord(ctx, e)
	if err != nil {
		return err
	}
	defer s.Close()
	older, newer, err := twoRuns(ctx, s, args)
	if err != nil {
		return err
	}
	d := &drift{store: s, mask: mask, older: older, newer: newer, texts: map[int64][]byte{}, changes: map[driftKey]*change{}}
	if err := d.compare(ctx, o.hosts); err != nil {
		return err
	}
	if o.output == "json" {
		err = d.writeJSON(ctx, e.stdout)
	} else {
		err = d.write(ctx, e.stdout, isTerminal(e.stdout), e.color(o.color, e.stdout))
	}
	if err != nil {
		return fmt.Errorf("write difference: %w", err)
	}
	if o.output == "text" {
		tell(e.stderr, "fleet: ", fmt.Sprintf("%s against %s: %s alike, %s not", record.ShortID(newer.ID), record.ShortID(older.ID), amount(d.same, "host"), amount(d.differ(), "host")))
	}
	if d.differ() > 0 {
		return &fault{code: exitDrift}
	}
	return nil
}

// twoRuns finds the runs to compare, neither of which is under way.
func twoRuns(ctx context.Context, s *record.Store, args []string) (older, newer *record.Run, err error) {
	runs := make([]*record.Run, len(args))
	for i, word := range args {
		if runs[i], err = s.Find(ctx, word); err != nil {
			return nil, nil, err
		}
	}
	newer = runs[len(runs)-1]
	if len(runs) == 2 {
		older = runs[0]
	} else {
		before, err := s.Runs(ctx, record.Filter{Kind: newer.Kind, Command: newer.Command, Before: newer, Limit: 1})
		if err != nil {
			return nil, nil, err
		}
		if len(before) == 0 {
			return nil, nil, usage(fmt.Errorf("run %s: no earlier run of the same command is recorded", record.ShortID(newer.ID)), "name the run to compare it with: fleet diff OLD RUN")
		}
		older = before[0]
	}
	for _, run := range []*record.Run{older, newer} {
		if run.Running() {
			return nil, nil, usagef("run %s has not ended", record.ShortID(run.ID))
		}
	}
	return older, newer, nil
}

// drift is what differs between two runs.
type drift struct {
	store        *record.Store
	mask         *render.Mask
	older, newer *record.Run
	texts        map[int64][]byte // outputs that were read
	held         int              // bytes of these
	same         int              // hosts
	changes      map[driftKey]*change
	gone, new    []string // hosts of one run only
}

// driftKey is alike for hosts that drifted alike.
type driftKey struct {
	was, is                ended
	outA, outB, errA, errB string
}

// ended is how a host ended, without what it wrote.
type ended struct {
	outcome scheduler.Outcome
	code    int // -1: none
	kind    scheduler.Kind
}

func endedHow(r *record.Result) ended {
	how := ended{outcome: r.Outcome, code: -1}
	if r.ExitCode != nil {
		how.code = *r.ExitCode
	}
	if r.Cause != nil {
		how.kind = r.Cause.Kind
	}
	return how
}

func (n ended) String() string {
	switch {
	case n.outcome == scheduler.OK:
		return "ok"
	case n.code > 0:
		return fmt.Sprintf("exit %d", n.code)
	case n.kind == scheduler.KindCanceled, n.kind == "":
		return string(n.outcome)
	}
	return fmt.Sprintf("%s (%s)", n.outcome, n.kind)
}

// change is some hosts that drifted alike, and the results of the first.
type change struct {
	hosts   []string
	was, is *record.Result
}

// compare goes through the hosts of both runs.
func (d *drift) compare(ctx context.Context, pattern string) error {
	before := map[string]*record.Result{}
	err := d.each(ctx, d.older, pattern, func(r *record.Result) error {
		before[r.Host] = r
		return nil
	})
	if err != nil {
		return err
	}
	err = d.each(ctx, d.newer, pattern, func(r *record.Result) error {
		was := before[r.Host]
		delete(before, r.Host)
		if was == nil {
			d.new = append(d.new, r.Host)
			return nil
		}
		return d.pair(ctx, was, r)
	})
	for host := range before {
		d.gone = append(d.gone, host)
	}
	return err
}

func (d *drift) each(ctx context.Context, run *record.Run, pattern string, f func(*record.Result) error) error {
	shown, err := chosenHosts(ctx, d.store, run, "", pattern)
	if err != nil {
		return err
	}
	return d.store.Results(ctx, run, 0, func(r *record.Result) error {
		if shown != nil && !shown[r.Host] {
			return nil
		}
		return f(r)
	})
}

// pair compares one host. Outputs of the same id are the same bytes.
func (d *drift) pair(ctx context.Context, was, is *record.Result) error {
	key := driftKey{was: endedHow(was), is: endedHow(is)}
	var err error
	if was.Stdout != is.Stdout {
		key.outA, key.outB, err = d.differing(ctx, was.Stdout, is.Stdout, is.Host)
	}
	if err == nil && was.Stderr != is.Stderr {
		key.errA, key.errB, err = d.differing(ctx, was.Stderr, is.Stderr, is.Host)
	}
	if err != nil {
		return err
	}
	if key.was == key.is && key.outA == key.outB && key.errA == key.errB {
		d.same++
		return nil
	}
	c := d.changes[key]
	if c == nil {
		c = &change{was: was, is: is}
		d.changes[key] = c
	}
	c.hosts = append(c.hosts, is.Host)
	return nil
}

// differing gives what two outputs are told apart by: their ids, or the sums of what
// the mask leaves of them.
func (d *drift) differing(ctx context.Context, a, b int64, host string) (string, string, error) {
	if d.mask == nil {
		return fmt.Sprint(a), fmt.Sprint(b), nil
	}
	textA, err := d.text(ctx, a, host)
	if err != nil {
		return "", "", err
	}
	textB, err := d.text(ctx, b, host)
	sumA, sumB := sha256.Sum256(textA), sha256.Sum256(textB)
	return string(sumA[:]), string(sumB[:]), err
}

// longestDiff is the most of an output that is compared line by line.
const longestDiff = 1 << 20

// text is an output less what the mask covers; of a long one the beginning.
func (d *drift) text(ctx context.Context, id int64, host string) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	text, ok := d.texts[id]
	if !ok {
		var b bytes.Buffer
		err := d.store.Output(ctx, id, &limited{&b, longestDiff})
		if err != nil && !errors.Is(err, errLong) {
			return nil, err
		}
		text = b.Bytes()
		if errors.Is(err, errLong) {
			text = fmt.Appendf(text, "\n(and more, which is not compared; output %d)\n", id)
		}
		const most = 64 << 20
		if d.held += len(text); d.held > most {
			clear(d.texts)
			d.held = len(text)
		}
		d.texts[id] = text
	}
	return d.mask.Apply(text, host), nil
}

var errLong = errors.New("longer than wanted")

// limited writes the first bytes and gives errLong for more.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		n, _ := l.w.Write(p[:l.left]) // a buffer
		l.left = 0
		return n, errLong
	}
	l.left -= len(p)
	return l.w.Write(p)
}

func (d *drift) differ() int {
	n := len(d.gone) + len(d.new)
	for _, c := range d.changes {
		n += len(c.hosts)
	}
	return n
}

// sorted gives the changes, those of most hosts first.
func (d *drift) sorted() []*change {
	var list []*change
	for _, c := range d.changes {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *change) int {
		return cmp.Or(len(b.hosts)-len(a.hosts), strings.Compare(a.hosts[0], b.hosts[0]))
	})
	return list
}

// streams calls f for each stream in which a change differs.
func (d *drift) streams(ctx context.Context, c *change, f func(name string, a, b []byte)) error {
	for _, s := range []struct {
		name string
		a, b int64
	}{{"stdout", c.was.Stdout, c.is.Stdout}, {"stderr", c.was.Stderr, c.is.Stderr}} {
		a, err := d.text(ctx, s.a, c.is.Host)
		if err != nil {
			return err
		}
		b, err := d.text(ctx, s.b, c.is.Host)
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			f(s.name, a, b)
		}
	}
	return nil
}

func (d *drift) write(ctx context.Context, w io.Writer, terminal, color bool) error {
	var b bytes.Buffer
	head := func(hosts []string, how string) {
		slices.Sort(hosts)
		fmt.Fprintf(&b, "── %s (%s) %s ──\n", render.SafeLine(inventory.Fold(hosts)), amount(len(hosts), "host"), how)
	}
	for _, c := range d.sorted() {
		was, is := endedHow(c.was), endedHow(c.is)
		how := "writes something else"
		if was != is {
			how = fmt.Sprintf("%s, was %s", is, was)
		}
		head(c.hosts, how)
		err := d.streams(ctx, c, func(name string, old, new []byte) {
			b.Write(render.Unified(record.ShortID(d.older.ID)+" "+name, record.ShortID(d.newer.ID)+" "+name, old, new, terminal, color))
		})
		if err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	if len(d.gone) > 0 {
		head(d.gone, "only in "+record.ShortID(d.older.ID))
	}
	if len(d.new) > 0 {
		head(d.new, "only in "+record.ShortID(d.newer.ID))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d *drift) writeJSON(ctx context.Context, w io.Writer) error {
	type side struct {
		Outcome  scheduler.Outcome `json:"outcome"`
		ExitCode *int              `json:"exit_code"`
		Cause    *scheduler.Cause  `json:"cause"`
	}
	type changeJSON struct {
		Hosts  []string `json:"hosts"`
		Old    side     `json:"old"`
		New    side     `json:"new"`
		Stdout string   `json:"stdout_diff"`
		Stderr string   `json:"stderr_diff"`
	}
	doc := struct {
		V       int          `json:"v"`
		Old     string       `json:"old"`
		New     string       `json:"new"`
		Same    int          `json:"same"`
		Changes []changeJSON `json:"changes"`
		OnlyOld []string     `json:"only_old"`
		OnlyNew []string     `json:"only_new"`
	}{V: 1, Old: d.older.ID, New: d.newer.ID, Same: d.same, Changes: []changeJSON{}, OnlyOld: slices.Sorted(slices.Values(d.gone)), OnlyNew: slices.Sorted(slices.Values(d.new))}
	for _, c := range d.sorted() {
		j := changeJSON{Hosts: c.hosts, Old: side{c.was.Outcome, c.was.ExitCode, c.was.Cause}, New: side{c.is.Outcome, c.is.ExitCode, c.is.Cause}}
		err := d.streams(ctx, c, func(name string, a, b []byte) {
			text := string(render.Unified("old", "new", a, b, false, false))
			if name == "stdout" {
				j.Stdout = text
			} else {
				j.Stderr = text
			}
		})
		if err != nil {
			return err
		}
		doc.Changes = append(doc.Changes, j)
	}
	if doc.OnlyOld == nil {
		doc.OnlyOld = []string{}
	}
	if doc.OnlyNew == nil {
		doc.OnlyNew = []string{}
	}
	return writeDocument(w, doc)
}
