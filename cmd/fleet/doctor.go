package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/doctor"
	"fleet/internal/render"
	"fleet/inventory"
)

type doctorOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	fanout    int
	timeout   time.Duration
	deadline  time.Duration
	output    string
	all       bool
	verbose   int
}

var doctorOutputs = []string{"text", "json"}

const doctorExitHelp = `
EXIT STATUS
  0  no problem on any host   4    some host unreachable, no other problem
  1  an error of fleet's own  5    some unreachable, and problems on others
  2  usage, inventory or      124  --deadline passed
     configuration            130  interrupted
  3  problems on some host`

func newDoctorCommand(e *env) *cobra.Command {
	o := &doctorOptions{}
	c := &cobra.Command{
		Use:   "doctor [flags] PATTERN",
		Short: "Examine hosts: what stands in the way there, and how to mend it",
		Long: `Examines each host that PATTERN selects, over one connection and without
changing anything there: name lookup, TCP, server version, key exchange and
cipher, host key, login, round trip, login shell and what it prints, sudo, doas
and su, programs that fleet needs, /tmp, clock, sftp, and how many sessions one
connection may have.

Prints the problems, folded over hosts, each with a fix; with --all also every
fact of each host. Patterns are explained by 'fleet hosts --help'.`,
		Example: `  fleet doctor all
  fleet doctor --all web03
  fleet doctor -o json 'prod!db1' > health.json`,
		Args:              onePattern,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": doctorExitHelp},
		RunE: func(c *cobra.Command, args []string) error {
			return runDoctor(c.Context(), e, o, args[0])
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	o.connect.declare(c)
	fs := c.Flags()
	fs.IntVarP(&o.fanout, "fanout", "f", 100, "hosts at once")
	fs.DurationVarP(&o.timeout, "timeout", "t", 10*time.Second, "longest `TIME` for each check on a host")
	fs.DurationVar(&o.deadline, "deadline", 0, "longest `TIME` for all hosts (default: no limit)")
	fs.StringVarP(&o.output, "output", "o", "text", "`FORMAT`: "+strings.Join(doctorOutputs, ", "))
	fs.BoolVarP(&o.all, "all", "a", false, "show every fact of each host")
	fs.CountVarP(&o.verbose, "verbose", "v", "the same as --all; twice: details of each connection on stderr")
	fixedCompletion(c, "output", doctorOutputs)
	return c
}

func (o *doctorOptions) check() error {
	switch {
	case !slices.Contains(doctorOutputs, o.output):
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(doctorOutputs, ", "))
	case o.fanout < 1:
		return usagef("--fanout %d: at least 1", o.fanout)
	case o.timeout <= 0:
		return usagef("--timeout %v: must be more than 0", o.timeout)
	case o.deadline < 0:
		return usagef("--deadline %v: a time cannot be negative", o.deadline)
	}
	return nil
}

func runDoctor(ctx context.Context, e *env, o *doctorOptions, pattern string) error {
	if err := o.check(); err != nil {
		return err
	}
	_, hosts, err := o.inventory.targets(e, pattern)
	if err != nil {
		return err
	}
	count := &examined{all: len(hosts)}
	status := count.status(e)
	stop := catchInterrupts()
	defer stop.release()
	req := doctor.Request{
		Hosts: hosts, Fanout: min(o.fanout, max(1, openFiles()-reservedFiles)),
		Limit: o.timeout, Deadline: o.deadline, Stops: stop.stops, Progress: count.progress,
	}
	req.Access, err = o.connect.access(e, &prompter{stopped: stop.first, pause: status.Pause})
	if err != nil {
		return err
	}
	tellOn(&req.Access, status, o.verbose)
	status.Begin()
	report, err := doctor.Run(ctx, req)
	status.End()
	switch {
	case errors.Is(err, errInterrupted):
		return err
	case report == nil:
		return usage(err)
	}
	if err := errors.Join(err, o.show(e, report)); err != nil {
		return err
	}
	if code := doctorStatus(report); code != exitOK {
		return &fault{code: code}
	}
	return nil
}

// show writes the report to standard output.
func (o *doctorOptions) show(e *env, report *doctor.Report) error {
	if o.output == "json" {
		return writeDoctorJSON(e.stdout, report)
	}
	t := doctor.TextOptions{All: o.all || o.verbose > 0, Fold: inventory.Fold}
	if isTerminal(e.stdout) {
		t.Width = columns(e.stdout)
	}
	if err := report.WriteText(e.stdout, t); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// writeDoctorJSON writes the document whose schema is docs/schema/doctor.json.
func writeDoctorJSON(w io.Writer, report *doctor.Report) error {
	doc := struct {
		V      int            `json:"v"`
		Hosts  []*doctor.Host `json:"hosts"`
		WallMS int64          `json:"wall_ms"`
	}{1, report.Hosts, report.Wall.Milliseconds()}
	if err := writeDocument(w, doc); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// doctorStatus is the exit status of an examination.
func doctorStatus(r *doctor.Report) int {
	counts := r.Counts()
	trouble, away := counts[doctor.Troubled] > 0, counts[doctor.Unreachable] > 0
	switch {
	case r.Interrupted:
		return exitInterrupted
	case r.Deadline:
		return exitDeadline
	case trouble && away:
		return exitBoth
	case trouble:
		return exitFailed
	case away:
		return exitUnreachable
	}
	return exitOK
}

// examined counts hosts for the status line.
type examined struct {
	all          int
	begun, ended atomic.Int64
}

func (x *examined) progress(begun, ended int) {
	x.begun.Store(int64(begun))
	x.ended.Store(int64(ended))
}

// text is the status line.
func (x *examined) text() string {
	ended := x.ended.Load()
	return fmt.Sprintf("%d/%d examined · running %d", ended, x.all, x.begun.Load()-ended)
}

// status is the status line of an examination on the terminal, if there is one.
func (x *examined) status(e *env) *render.Status {
	return render.NewStatus(render.Options{
		Err: e.stderr, ErrTerminal: isTerminal(e.stderr), NoStatus: e.getenv("TERM") == "dumb",
		Width: func() int { return columns(e.stderr) },
	}, x.text)
}
