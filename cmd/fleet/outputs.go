package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

// compareFlags say how outputs are compared, kept and stamped.
type compareFlags struct {
	outDir     string
	timestamps bool
	fold       bool
	diff       bool
	same       bool
	masks      []string
	exprs      []string

	given func(flag string) bool
}

func (f *compareFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	f.given = func(flag string) bool { return fs.Changed(flag) }
	fs.StringVar(&f.outDir, "out-dir", "", "also write outputs to `DIR`/HOST.out and DIR/HOST.err")
	fs.BoolVar(&f.timestamps, "timestamps", false, "say when each line came, with -o live and group")
	fs.BoolVar(&f.fold, "live-fold", false, "show a line once for all hosts that say it at about the same time, with -o live")
	fs.BoolVar(&f.diff, "diff", false, "show how outputs differ from that of most hosts, with -o group")
	fs.BoolVar(&f.same, "expect-same", false, "exit with 3 if outputs differ, and say whose")
	fs.StringSliceVar(&f.masks, "mask", nil, "`WHAT` does not count in comparing outputs: "+strings.Join(render.MaskNames, ", "))
	fs.StringArrayVar(&f.exprs, "mask-regex", nil, "nor does what `REGEX` matches in a line, may be given again")
	fixedCompletion(c, "mask", render.MaskNames)
	_ = c.RegisterFlagCompletionFunc("mask-regex", cobra.NoFileCompletions) // fails for an undeclared flag only
	_ = c.MarkFlagDirname("out-dir")
}

// mode is the output mode, which --diff may choose.
func (f *compareFlags) mode(mode string) string {
	if f.diff && !f.given("output") {
		return "group"
	}
	return mode
}

// options are what the flags make of rendering in a mode.
func (f *compareFlags) options(mode string, hosts []*inventory.Host, o *render.Options) error {
	masked := len(f.masks)+len(f.exprs) > 0
	switch {
	case f.diff && mode != "group":
		return usagef("--diff shows groups of hosts, and -o %s has none", mode)
	case f.fold && mode != "live":
		return usagef("--live-fold shows lines as they come, and -o %s does not", mode)
	case f.timestamps && (mode == "json" || mode == "quiet"):
		return usagef("--timestamps stamps lines, and -o %s shows none", mode)
	case masked && mode != "group" && !f.fold && !f.same:
		return usage(errors.New("masks are for comparing outputs, and nothing is compared"), "-o group, --diff, --live-fold and --expect-same compare")
	case f.given("out-dir") && f.outDir == "":
		return usagef("--out-dir: no folder named")
	}
	var err error
	if o.Mask, err = render.NewMask(f.masks, f.exprs); err != nil {
		return usage(err)
	}
	o.Diff, o.ExpectSame, o.Timestamps, o.LiveFold = f.diff, f.same, f.timestamps, f.fold
	if slices.Contains(f.masks, "host") {
		addresses := make(map[string]string, len(hosts))
		for _, h := range hosts {
			addresses[h.Name] = h.Address
		}
		o.Aliases = func(host string) []string { return []string{addresses[host]} }
	}
	return nil
}

// keep has sink's outputs written to files too.
func (f *compareFlags) keep(sink render.Sink) (render.Sink, error) {
	if f.outDir == "" {
		return sink, nil
	}
	kept, err := render.ToDir(f.outDir, sink)
	if err != nil {
		return nil, usage(fmt.Errorf("--out-dir: %w", err))
	}
	return kept, nil
}

// judged takes outputs that differ, where they must not, into the run's end.
func (f *compareFlags) judged(sink render.Sink, s event.Summary, err error) error {
	var own *fault // of fleet beside the hosts' ends, which count for more
	if !sink.Differ() || err != nil && (!errors.As(err, &own) || own.code != statusOr(summaryStatus(s), exitInternal)) {
		return judged(s, err)
	}
	code := summaryStatus(s)
	switch {
	case code == exitOK:
		code = exitFailed
	case code == exitUnreachable && s.Counts[scheduler.Failed] == 0:
		code = exitBoth
	}
	return &fault{code: code, err: err}
}
