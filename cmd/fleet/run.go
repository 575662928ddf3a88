package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

type runOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	rollout   rolloutFlags
	guard     guardFlags
	compare   compareFlags
	retry     retryFlags
	template  templateFlags
	show      showFlags
	record    recordFlags
	command   commandFlags
	become    becomeFlags
	timeout   time.Duration
	argv      bool
}

func newRunCommand(e *env) *cobra.Command {
	o := &runOptions{}
	c := &cobra.Command{
		Use:   "run [flags] PATTERN -- COMMAND [ARG...]\n  fleet run [flags] --script FILE PATTERN [-- ARG...]",
		Short: "Run a command on the hosts that PATTERN selects",
		Long: `Runs COMMAND once on each host that PATTERN selects, many hosts at once, and
tells for each host what became of it.

The words of COMMAND are joined by spaces and read by the shell of the host's
user, as ssh does; with --argv each word reaches the command as it stands.
A script is run by what its first line names, and leaves no file on the host.
Patterns are explained by 'fleet hosts --help'.

Output goes to standard output, everything else to standard error.`,
		Example: `  fleet run web -- uptime
  fleet run -o group all -- uname -r
  fleet run --serial 1,10%,100% --max-fail 2 web -- systemctl restart nginx
  fleet run --canary 1 --gate ./healthy.sh web -- systemctl restart nginx
  fleet run -b --script upgrade.sh web -- --security-only
  fleet run --stdin dump.sql db1 -- psql app
  fleet run -o jsonl -t 30s 'prod!db1' -- df -h / > disks.jsonl`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelp},
		RunE: func(c *cobra.Command, args []string) error {
			pattern, words, err := o.split(o.inventory.implied(args, c.ArgsLenAtDash()))
			if err != nil {
				return err
			}
			return runRun(c.Context(), e, o, pattern, words)
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	o.rollout.declare(c)
	o.guard.declare(e, c)
	o.retry.declare(c)
	o.template.declare(c)
	o.show.declare(c)
	o.command.declare(c)
	o.become.declare(c)
	o.record.declare(c)
	o.compare.declare(c)
	c.Flags().DurationVarP(&o.timeout, "timeout", "t", 0, "longest `TIME` for the command on a host, from its start (default: no limit)")
	c.Flags().BoolVar(&o.argv, "argv", false, "quote each word of COMMAND, so that the host's shell changes none")
	return c
}

func runRun(ctx context.Context, e *env, o *runOptions, pattern string, words []string) error {
	if done, err := o.record.detached(e); done || err != nil {
		return err
	}
	line := o.line(words)
	inv, hosts, err := o.inventory.targets(e, pattern)
	if err != nil {
		return err
	}
	own, err := o.fill(hosts, words)
	if err != nil {
		return err
	}
	req, err := o.request(e, words, hosts, line, own)
	if err != nil {
		return err
	}
	if o.template.dry {
		return o.dryRun(e, inv, &req, own)
	}
	if req.Input, err = o.command.openInput(e); err != nil {
		return err
	}
	defer req.Input.Close() //nolint:errcheck // it has no name, and nobody reads it any more
	sink, err := o.sink(e, hosts)
	if err != nil {
		return err
	}
	if place := o.template.untouched(line); place != "" {
		sink.Note("fleet: " + place + " is sent as it stands; --template fills it in")
	}
	if req.Fanout < min(o.rollout.fanout, len(hosts)) {
		sink.Note(fmt.Sprintf("fleet: fanout lowered to %d: this process may open %d files (ulimit -n)", req.Fanout, openFiles()))
	}
	stop := catchInterrupts()
	defer stop.release()
	ask := &prompter{stopped: stop.first, pause: sink.Pause}
	if req.Access, err = o.connect.access(e, ask); err != nil {
		return err
	}
	if err := o.become.apply(ctx, e, &o.connect, &req, ask); err != nil {
		return err
	}
	if err := o.guard.apply(inv, &req, ask); err != nil {
		return err
	}
	kept, err := o.record.begin(e, stop, sink, "run", pattern, hostNames(hosts))
	if err != nil {
		return err
	}
	if kept != nil {
		defer kept.close()
		sink, req.Begun = kept, kept.begun
	}
	tellOn(&req.Access, sink, o.show.verbose)
	collectLess(e, len(req.Hosts))
	summary, err := carry(ctx, req, sink, stop, stopping)
	o.guard.halted(ctx, e, summary, stop, kept)
	return o.compare.judged(sink, summary, err)
}

// request is what is asked for, but for how hosts are reached and what stands
// between batches. own is what hosts have of their own.
func (o *runOptions) request(e *env, words []string, hosts []*inventory.Host, line string, own *filled) (engine.Request, error) {
	if o.timeout < 0 {
		return engine.Request{}, usagef("--timeout %v: a time cannot be negative", o.timeout)
	}
	how, err := o.command.ask(e, words, o)
	if err != nil {
		return engine.Request{}, err
	}
	o.show.output = o.compare.mode(o.show.output)
	req := engine.Request{
		Hosts: hosts, Command: line, How: how, Timeout: o.timeout,
		MaxOutput: o.show.maxOutput.bytes, Keep: render.NeedsCaptures(o.show.output),
	}
	own.apply(&req, &o.command)
	if err := o.rollout.apply(&req); err != nil {
		return req, err
	}
	return req, o.retry.apply(&req)
}

// sink shows the run over hosts, and keeps their outputs where that is wanted.
func (o *runOptions) sink(e *env, hosts []*inventory.Host) (render.Sink, error) {
	options, err := o.show.options(e)
	if err != nil {
		return nil, err
	}
	if err := o.compare.options(o.show.output, hosts, &options); err != nil {
		return nil, err
	}
	sink, err := render.New(o.show.output, options)
	if err != nil {
		return nil, usage(err)
	}
	return o.compare.keep(sink)
}

// collectLess lets the garbage of a run of some thousand hosts, mostly spent
// handshakes, grow to twice the live memory instead of once: 7 % less CPU for
// 6 MB at a fanout of 100. Larger inventories are live memory, not to be
// tripled, and with few hosts the garbage is their output's. Whoever sets GOGC
// knows better.
func collectLess(e *env, hosts int) {
	const percent, least, most, limit = 200, 100, 20_000, 384 << 20
	if hosts >= least && hosts <= most && e.getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	// Where a thousand hosts write at once, garbage is most of what they cost.
	if hosts <= most && e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// carryOut runs req to its end, or until the user wants to leave at once.
func carryOut(ctx context.Context, req engine.Request, sink render.Sink, stop *interrupts) error {
	return judged(carry(ctx, req, sink, stop, stopping))
}

// stopping is told at the first Ctrl-C.
const stopping = "fleet: stopping; Ctrl-C again leaves at once"

// judged is what a run's end means for the exit status.
func judged(summary event.Summary, err error) error {
	if err != nil {
		return err
	}
	if code := summaryStatus(summary); code != exitOK {
		return &fault{code: code}
	}
	return nil
}

// carry is carryOut for a caller who judges the summary. stopping is told at
// the first stop.
func carry(ctx context.Context, req engine.Request, sink render.Sink, stop *interrupts, stopping string) (event.Summary, error) {
	req.Stops = stop.stops
	preparing, prepared := endingWith(ctx, stop.first)
	run, err := engine.New(preparing, req)
	prepared()
	if err != nil && (errors.Is(err, errInterrupted) || closed(stop.first)) {
		return event.Summary{}, errInterrupted
	}
	if err != nil {
		return event.Summary{}, usage(err)
	}
	defer run.Close()
	told := make(chan struct{})
	ran := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-stop.first:
			sink.Note(stopping)
		case <-ran:
		}
	}()
	summary, runErr := run.Run(sink)
	close(ran)
	<-told
	leave := stop.now
	if !summary.Interrupted {
		leave = stop.first // only output is left to wait for
	}
	if err := errors.Join(runErr, finish(sink, summary, leave)); err != nil {
		return summary, &fault{code: statusOr(summaryStatus(summary), exitInternal), err: err}
	}
	return summary, nil
}

// leaveWithin is how long a user who wants to leave waits for output that
// nobody reads.
const leaveWithin = 500 * time.Millisecond

// finish waits for the output to be read, but not much longer than leave.
func finish(sink event.Sink, summary event.Summary, leave <-chan struct{}) error {
	finished := make(chan error, 1)
	go func() { finished <- sink.Finish(summary) }()
	select {
	case err := <-finished:
		return err
	case <-leave:
	}
	select {
	case err := <-finished:
		return err
	case <-time.After(leaveWithin):
		return errors.New("write output: interrupted, the rest is not shown\n" + counts(summary))
	}
}

// counts is the shortest summary: how many hosts ended how.
func counts(s event.Summary) string {
	var b strings.Builder
	b.WriteString("hosts")
	for _, o := range scheduler.Outcomes {
		if n := s.Counts[o]; n > 0 {
			fmt.Fprintf(&b, " %s %d", o, n)
		}
	}
	return b.String()
}

func statusOr(code, otherwise int) int {
	if code == exitOK {
		return otherwise
	}
	return code
}
