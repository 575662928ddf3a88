package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const docHead = `# Benchmarks

Written by ` + "`make bench`" + ` (` + "`scripts/bench`" + `) from its last whole run; ` + "`scripts/bench light rtt`" + ` measures single
scenarios and leaves this file alone. A figure that has a target says whether it was met then; a missed target does not
make the command fail, for a machine that others use too would make it fail now and then.

Every figure is of whole processes seen from outside, start and end included: CPU is the user and system time that the
kernel counts for a finished process and those that it waited for, peak RSS its highest resident set (getrusage), wall
the time from its start to its end. Contenders take turns, A B A B, after one round to warm up; figures are medians of
%d rounds (BENCH_ROUNDS), ratios are taken pair by pair between neighbours in time and shown as median (lowest–highest).
A peak RSS below %s is shown as "≤": a process inherits the peak of the one that starts it.

`

// writeDoc writes the figures with what is needed to judge them.
func (b *bench) writeDoc(path string, ran []scenario) error {
	var d strings.Builder
	fmt.Fprintf(&d, docHead, b.rounds, size(ownPeak()))
	fmt.Fprintf(&d, "Measured %s on\n\n", time.Now().UTC().Format("2 January 2006, 15:04 UTC"))
	for _, fact := range b.machine(context.Background()) {
		fmt.Fprintf(&d, "- %s\n", fact)
	}
	fmt.Fprintf(&d, "\nTargets met: %s.\n", b.score())
	for _, s := range ran {
		fmt.Fprintf(&d, "\n## %s: %s\n\n%s\n\n", s.name, s.title, s.how)
		fmt.Fprintf(&d, "| figure | value | target | |\n|---|---|---|---|\n")
		for _, r := range b.rows {
			if r.scenario == s.name {
				fmt.Fprintf(&d, "| %s | %s | %s | %s |\n", r.figure, r.value, r.target, r.verdict())
			}
		}
	}
	return os.WriteFile(path, []byte(d.String()), 0o644)
}

// score counts the targets that were met.
func (b *bench) score() string {
	met, all := 0, 0
	for _, r := range b.rows {
		if r.target != "" {
			all++
			if r.met {
				met++
			}
		}
	}
	return fmt.Sprintf("%d of %d", met, all)
}
