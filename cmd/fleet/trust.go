package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/internal/trust"
	"fleet/inventory"
)

const exitHelpTrust = `
EXIT STATUS
  0  all hosts answered, all    3    some keys changed, revoked, not valid
     their keys known or new    4    some hosts did not answer
  1  an error of fleet's own    5    both
  2  usage, inventory or        124  --deadline passed
     configuration              130  interrupted`

func newTrustCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: "See and settle the host keys of many hosts at once",
		Long: `Shows the keys by which hosts prove who they are, compares them with
known_hosts, and writes down those that you approve.

Hosts are asked by ordinary connections that stop before login: no secret is
sent. They are paced and counted, as servers ban clients that do this too often.`,
		Example: `  fleet trust scan all
  fleet trust approve 'web[01-40]'
  fleet trust diff all
  fleet trust remove web07`,
		Args: noSuch,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTrustScanCommand(e), newTrustApproveCommand(e), newTrustDiffCommand(e), newTrustRemoveCommand(e))
	return c
}

// trustOptions are what the commands below trust have in common.
type trustOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	fanout    int
	deadline  time.Duration
	types     []string
	output    string
	color     string
	verbose   int
}

var trustOutputs = []string{"text", "json"}

func (o *trustOptions) declare(e *env, c *cobra.Command) {
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	_ = c.Flags().MarkHidden("hostkeys") // fails for an undeclared flag only
	fs := c.Flags()
	fs.IntVarP(&o.fanout, "fanout", "f", 100, "hosts at once")
	fs.DurationVar(&o.deadline, "deadline", 0, "longest `TIME` for all hosts (default: no limit)")
	fs.StringSliceVar(&o.types, "types", nil, "ask for keys of these `TYPES`, one connection each: "+strings.Join(trust.Types, ",")+" (default: the one that run would ask for)")
	o.declareShow(c)
	fixedCompletion(c, "types", trust.Types)
}

func (o *trustOptions) declareShow(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&o.output, "output", "o", "text", "`FORMAT`: "+strings.Join(trustOutputs, ", "))
	fs.StringVar(&o.color, "color", "auto", "`WHEN`: "+strings.Join(showColors, ", "))
	fs.CountVarP(&o.verbose, "verbose", "v", "say more about what is done; twice for still more")
	fixedCompletion(c, "output", trustOutputs)
	fixedCompletion(c, "color", showColors)
	c.Args = onePattern
}

// check refuses flags that make no sense.
func (o *trustOptions) check(c *cobra.Command) error {
	if c.Flags().Changed("hostkeys") {
		return usage(errors.New("--hostkeys has no place here: keys are compared, none is accepted by itself"), "'fleet trust approve' writes down the keys that you approve")
	}
	if !slices.Contains(trustOutputs, o.output) {
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(trustOutputs, ", "))
	}
	for _, t := range o.types {
		if !slices.Contains(trust.Types, t) {
			return usage(fmt.Errorf("--types %s: unknown type of key", quoteWord(t)), "--types takes "+strings.Join(trust.Types, ", "))
		}
	}
	if c.Flags().Lookup("fanout") != nil && o.fanout < 1 {
		return usagef("--fanout %d: at least 1", o.fanout)
	}
	if o.deadline < 0 {
		return usagef("--deadline %v: a time cannot be negative", o.deadline)
	}
	return nil
}

// hosts are those that pattern selects.
func (o *trustOptions) hosts(e *env, pattern string) ([]*inventory.Host, error) {
	_, hosts, err := o.inventory.targets(e, pattern)
	return hosts, err
}

// sink shows progress and, at the end, which hosts did not answer.
func (o *trustOptions) sink(e *env) (render.Sink, error) {
	show := showFlags{output: "quiet", color: o.color, verbose: o.verbose}
	return show.sink(e)
}

func (o *trustOptions) view(e *env) trust.View {
	return trust.View{Color: e.color(o.color, e.stdout), Short: isTerminal(e.stdout)}
}

// scanned is a scan that has ended.
type scanned struct {
	*trust.Report
	hosts   []*inventory.Host
	summary event.Summary
	sink    render.Sink
	stop    *interrupts
	ask     *prompter
}

// scan asks the hosts of pattern for their keys. The caller ends it.
func (o *trustOptions) scan(ctx context.Context, e *env, pattern string, knownFirst bool) (s *scanned, err error) {
	hosts, err := o.hosts(e, pattern)
	if err != nil {
		return nil, err
	}
	stop := catchInterrupts()
	defer func() {
		if err != nil {
			stop.release()
		}
	}()
	s = &scanned{hosts: hosts, stop: stop}
	if s.sink, err = o.sink(e); err != nil {
		return nil, err
	}
	s.ask = &prompter{stopped: s.stop.first, pause: s.sink.Pause}
	req := trust.Request{
		Hosts: hosts, Types: o.types, Deadline: o.deadline, KnownFirst: knownFirst, Stops: s.stop.stops,
		Fanout: min(o.fanout, max(1, openFiles()-reservedFiles)),
	}
	if req.Access, err = o.connect.access(e, s.ask); err != nil {
		return nil, err
	}
	tellOn(&req.Access, s.sink, o.verbose)
	if s.Report, s.summary, err = trust.Scan(ctx, req, s.sink); err != nil {
		return nil, errors.Join(usage(err), s.sink.Finish(s.summary))
	}
	return s, nil
}

// show writes data to standard output, above the status line, then the summary.
func (s *scanned) show(write func() error) error {
	resume := s.sink.Pause()
	err := write()
	resume()
	if err != nil {
		err = fmt.Errorf("write keys: %w", err)
	}
	return errors.Join(err, finish(s.sink, s.summary, s.stop.first))
}

// status is the exit status of a scan; bad says that some key is not as it
// should be.
func (s *scanned) status(bad bool) error {
	code := summaryStatus(s.summary)
	switch {
	case bad && code == exitUnreachable:
		code = exitBoth
	case bad && code == exitOK:
		code = exitFailed
	}
	if code == exitOK {
		return nil
	}
	return &fault{code: code}
}

// bad says that some key is not to be trusted.
func (s *scanned) bad() bool {
	return slices.ContainsFunc(s.Keys, func(k trust.Key) bool { return k.State != trust.Known && k.State != trust.New })
}

// remarks tells on standard error what people should know about the keys.
func (s *scanned) remarks(e *env, o *trustOptions) {
	if counts := trust.Counts(s.Keys); counts != "" {
		fmt.Fprintln(e.stderr, "keys: "+counts)
	}
	v := trust.View{Short: isTerminal(e.stderr)}
	for _, sh := range trust.SharedKeys(s.Keys) {
		tell(e.stderr, "fleet: warning: ", fmt.Sprintf("%d addresses share the key %s: %s", sh.Addresses, sh.Fingerprint, v.Hosts(sh.Hosts)))
	}
	if len(trust.SharedKeys(s.Keys)) > 0 {
		tell(e.stderr, "fleet: hint: ", "machines cloned from one image have one key, and each can pose as the others: `ssh-keygen -A` makes new ones after the old are deleted")
	}
	if len(s.LeftOut) > 0 {
		tell(e.stderr, "fleet: hint: ", v.Hosts(s.LeftOut)+": left out, so that servers do not ban this address (PerSourcePenalties); in a minute, the same command continues")
	}
}

// hostsIn folds the hosts that have a key of a state, for a hint.
func (s *scanned) hostsIn(state trust.State) string {
	var names []string
	for _, k := range s.Keys {
		if k.State == state {
			names = append(names, k.Host)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if set := inventory.Fold(names); len(set) <= 60 {
		return quoteWord(set)
	}
	return "PATTERN"
}
