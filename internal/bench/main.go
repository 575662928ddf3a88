// Command bench measures fleet beside a bare x/crypto/ssh loop, beside other
// tools of its kind, and against the targets it is held to. `make bench` runs
// all of it; scripts/bench NAME... runs single scenarios.
//
// What is measured stands in one file a scenario (light.go, real.go, rtt.go,
// held.go, ten.go, peers.go, startup.go, sim.go), each with the words that
// docs/benchmarks.md explains it by; scenario.go lists them. How it is
// measured: child.go runs a process and reads what it cost from outside,
// rounds.go takes turns between contenders and compares them pair by pair.
// Against what: server.go starts the embedded fleet, sshd.go real OpenSSH
// servers. table.go prints, doc.go writes docs/benchmarks.md.
//
// The programs beside fleet are in bare/ (the loop that does nothing else),
// held/ (keeps connections open) and peers/ (scripts for Python libraries).
//
// All traffic stays within 127.0.0.0/8. Nothing is installed; each process that
// is started is ended again, by its id.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// run measures the scenarios that args name, all without one, and writes the
// table to stdout. A missed target is no error; something that could not be
// measured is.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	rounds := fs.Int("rounds", 5, "rounds per comparison, after one to warm up")
	bin := fs.String("bin", ".build/bench", "folder of bare, held and sim.test")
	fleet := fs.String("fleet", "bin/fleet", "the fleet to measure")
	doc := fs.String("doc", "", "write the figures to this file, if all scenarios ran")
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: bench [flags] [SCENARIO...]\n\n")
		for _, s := range scenarios() {
			fmt.Fprintf(stderr, "  %-8s %s\n", s.name, s.title)
		}
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", *rounds)
	}
	picked, err := pick(fs.Args())
	if err != nil {
		return err
	}
	b, err := newBench(*bin, *fleet, *rounds, stdout)
	if err != nil {
		return err
	}
	defer b.close()
	missing := b.measure(ctx, picked)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if *doc != "" && len(picked) == len(scenarios()) && len(missing) == 0 {
		if err := b.writeDoc(*doc, picked); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not measured: %s", strings.Join(missing, ", "))
	}
	return nil
}
