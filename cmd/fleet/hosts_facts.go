package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/facts"
	"fleet/inventory"
	"fleet/scheduler"
)

type factsOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	rollout   rolloutFlags
	show      showFlags
	timeout   time.Duration
	cached    bool
	ifOlder   time.Duration
	all       bool
}

var factsOutputs = []string{"text", "json"}

func newHostsFactsCommand(e *env) *cobra.Command {
	o := &factsOptions{}
	c := &cobra.Command{
		Use:   "facts [flags] PATTERN",
		Short: "Find out what hosts are: system, memory, disks, addresses",
		Long: `Asks the hosts that PATTERN selects what they are, by one script for any POSIX
shell; nothing is written there. Hosts that are alike stand in one line.

What was found out is kept in $XDG_STATE_HOME/fleet/facts, and decides in
patterns, of every command, for --facts-age (a day):

` + factsTable() + `
They are compared by = != < <= > >= and ~ (a regular expression), also with * in
the value; sizes are 512M or 2G, times 90m, 12h or 30d; versions go by their
numbers. A variable of the host stands above a fact of the same name.`,
		Example: `  fleet hosts facts all
  fleet hosts facts --all web01
  fleet hosts facts --if-older 1h all; fleet run 'os=debian&!mem<2G' -- uptime
  fleet run 'disk_free:/var<5G' -- du -xsh /var/log
  fleet hosts facts --cached -o json web > web.json`,
		Args:              onePattern,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelp},
		RunE: func(c *cobra.Command, args []string) error {
			return runHostsFacts(c.Context(), e, o, args[0])
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	fs := c.Flags()
	fs.IntVarP(&o.rollout.fanout, "fanout", "f", 100, "hosts at once")
	fs.DurationVar(&o.rollout.deadline, "deadline", 0, "longest `TIME` for all hosts (default: no limit)")
	fs.DurationVarP(&o.timeout, "timeout", "t", 20*time.Second, "longest `TIME` for the answers of a host")
	fs.BoolVar(&o.cached, "cached", false, "show what is known, connect to no host")
	fs.DurationVar(&o.ifOlder, "if-older", 0, "ask only hosts whose facts are older than `TIME`, or not known")
	fs.BoolVarP(&o.all, "all", "a", false, "show every fact of each host")
	fs.StringVarP(&o.show.output, "output", "o", "text", "`FORMAT`: "+strings.Join(factsOutputs, ", "))
	fs.StringVar(&o.show.color, "color", "auto", "`WHEN`: "+strings.Join(showColors, ", "))
	fs.CountVarP(&o.show.verbose, "verbose", "v", "say more about what is done; twice for still more")
	fixedCompletion(c, "output", factsOutputs)
	fixedCompletion(c, "color", showColors)
	_ = c.RegisterFlagCompletionFunc("if-older", cobra.NoFileCompletions) // fails for an undeclared flag only
	return c
}

// factsTable lists the facts for the help.
func factsTable() string {
	var b strings.Builder
	list, texts := facts.Names()
	for _, name := range list {
		fmt.Fprintf(&b, "  %-11s %s\n", name, texts[name])
	}
	return b.String()
}

func (o *factsOptions) check() error {
	switch {
	case !slices.Contains(factsOutputs, o.show.output):
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.show.output)), "--output takes "+strings.Join(factsOutputs, ", "))
	case o.timeout <= 0:
		return usagef("--timeout %v: must be more than 0", o.timeout)
	case o.ifOlder < 0:
		return usagef("--if-older %v: a time cannot be negative", o.ifOlder)
	case o.cached && o.ifOlder > 0:
		return usagef("--cached and --if-older exclude each other")
	}
	return nil
}

func runHostsFacts(ctx context.Context, e *env, o *factsOptions, pattern string) error {
	if err := o.check(); err != nil {
		return err
	}
	_, hosts, err := o.inventory.targets(e, pattern)
	if err != nil {
		return err
	}
	store := facts.Open(factsFolder(e))
	r := &factsReport{hosts: hosts, found: make(map[string]*facts.Facts), results: make(map[string]event.Result)}
	now := time.Now()
	ask, err := o.fromStore(store, r, now)
	if err != nil {
		return err
	}
	if len(ask) > 0 {
		if err := o.gather(ctx, e, store, r, ask); err != nil {
			return err
		}
	}
	if err := o.write(e, r); err != nil {
		return fmt.Errorf("write facts: %w", err)
	}
	if o.cached && len(r.found) < len(hosts) {
		var without []string
		for _, h := range hosts {
			if r.found[h.Name] == nil {
				without = append(without, h.Name)
			}
		}
		return &fault{exitFailed, fmt.Errorf("no facts of %s", inventory.Fold(without)), []string{"'fleet hosts facts' without --cached gathers them"}}
	}
	if code := summaryStatus(r.summary); code != exitOK {
		return &fault{code: code}
	}
	return nil
}

// fromStore takes the facts that need not be asked for, and gives the hosts
// that have to be asked.
func (o *factsOptions) fromStore(store *facts.Store, r *factsReport, now time.Time) (ask []*inventory.Host, err error) {
	if !o.cached && o.ifOlder == 0 {
		return r.hosts, nil
	}
	for _, h := range r.hosts {
		f, err := store.Get(h)
		if err != nil {
			return nil, err
		}
		if f != nil && (o.cached || now.Sub(f.At) <= o.ifOlder) {
			r.found[h.Name] = f
		} else if !o.cached {
			ask = append(ask, h)
		}
	}
	return ask, nil
}

// gather asks hosts and keeps what they say.
func (o *factsOptions) gather(ctx context.Context, e *env, store *facts.Store, r *factsReport, ask []*inventory.Host) error {
	show := o.show
	show.output = "quiet"
	sink, err := show.sink(e)
	if err != nil {
		return err
	}
	req := engine.Request{Hosts: ask, Timeout: o.timeout}
	if err := o.rollout.apply(&req); err != nil {
		return err
	}
	stop := catchInterrupts()
	defer stop.release()
	if req.Access, err = o.connect.access(e, &prompter{stopped: stop.first, pause: sink.Pause}); err != nil {
		return err
	}
	req.Stops = stop.stops
	tellOn(&req.Access, sink, o.show.verbose)
	collectLess(e, len(ask))
	got, err := facts.Gather(ctx, req, &watched{sink, r.results})
	if errors.Is(err, errInterrupted) {
		return err
	}
	if got == nil {
		return usage(err)
	}
	for name, f := range got.Facts {
		r.found[name] = f
	}
	r.asked, r.summary = len(ask), got.Summary
	kept := store.Put(ask, got.Facts)
	if kept != nil {
		sink.Note("fleet: warning: " + kept.Error())
	}
	leave := stop.now
	if !got.Summary.Interrupted {
		leave = stop.first
	}
	return errors.Join(err, finish(sink, got.Summary, leave))
}

// watched notes how hosts end.
type watched struct {
	event.Sink
	results map[string]event.Result
}

func (w *watched) Result(r event.Result) {
	w.results[r.Host] = r
	w.Sink.Result(r)
}

// factsReport is what is to be shown.
type factsReport struct {
	hosts   []*inventory.Host
	found   map[string]*facts.Facts
	results map[string]event.Result // of those that were asked
	asked   int
	summary event.Summary
}

func (o *factsOptions) write(e *env, r *factsReport) error {
	known := facts.Sorted(hostNames(r.hosts), r.found)
	switch {
	case o.show.output == "json":
		return r.writeJSON(e.stdout)
	case o.all:
		return facts.WriteAll(e.stdout, known, time.Now())
	}
	width := 0
	if isTerminal(e.stdout) {
		width = columns(e.stdout)
	}
	return facts.WriteText(e.stdout, known, inventory.Fold, width)
}

// factsJSON is a host as --output json shows it; docs/schema/facts.json is its schema.
type factsJSON struct {
	Name    string            `json:"name"`
	Asked   bool              `json:"asked"`
	Outcome scheduler.Outcome `json:"outcome,omitempty"`
	Cause   *factsCause       `json:"cause"`
	Facts   *facts.Facts      `json:"facts"`
}

type factsCause struct {
	Kind  scheduler.Kind  `json:"kind"`
	Stage scheduler.Stage `json:"stage"`
	Text  string          `json:"text"`
}

func (r *factsReport) writeJSON(w io.Writer) error {
	doc := struct {
		V     int         `json:"v"`
		Hosts []factsJSON `json:"hosts"`
	}{V: 1, Hosts: make([]factsJSON, len(r.hosts))}
	for i, h := range r.hosts {
		j := factsJSON{Name: h.Name, Facts: r.found[h.Name]}
		if res, asked := r.results[h.Name]; asked {
			j.Asked, j.Outcome = true, res.Outcome
			if c := res.Cause; c != nil {
				j.Cause = &factsCause{c.Kind, c.Stage, c.Text}
			}
		}
		doc.Hosts[i] = j
	}
	return writeDocument(w, doc)
}

// factsFolder is where facts are kept between runs.
func factsFolder(e *env) string {
	if state := stateFolder(e); state != "" {
		return filepath.Join(state, "facts")
	}
	return ""
}

// stateFolder is fleet's own in the user's folder of state (XDG Base Directory),
// empty where there is no place.
func stateFolder(e *env) string {
	state := e.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the specification asks for
		if e.getenv("HOME") == "" {
			return ""
		}
		state = filepath.Join(e.getenv("HOME"), ".local", "state")
	}
	return filepath.Join(state, "fleet")
}
