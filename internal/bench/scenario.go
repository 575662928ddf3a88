package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// scenario is one thing to measure. how explains it in docs/benchmarks.md.
type scenario struct {
	name, title, how string
	run              func(b *bench, ctx context.Context) error
}

// scenarios lists all of them, in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		lightScenario(), realScenario(), rttScenario(), heldScenario(),
		tenScenario(), filesScenario(), farFilesScenario(), treesScenario(), peersScenario(), startupScenario(), ansibleScenario(), foldScenario(), simScenario(),
	}
}

// pick finds scenarios by name; no name picks all.
func pick(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var picked []scenario
	for _, name := range names {
		found := false
		for _, s := range all {
			if s.name == name {
				picked, found = append(picked, s), true
			}
		}
		if !found {
			var known []string
			for _, s := range all {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("unknown scenario %q, there are %s", name, strings.Join(known, ", "))
		}
	}
	return picked, nil
}

// bench is one run of the program: where things are, and the rows so far.
type bench struct {
	bin    string // folder of the programs beside fleet
	fleet  string
	rounds int
	dir    string // temporary, removed by close
	out    io.Writer
	rows   []row
}

func newBench(bin, fleet string, rounds int, out io.Writer) (*bench, error) {
	b := &bench{rounds: rounds, out: out}
	var err error
	if b.bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	if b.fleet, err = filepath.Abs(fleet); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.fleet); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "fleet-bench-"); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// folder makes a new folder for a scenario's files.
func (b *bench) folder(name string) (string, error) {
	return os.MkdirTemp(b.dir, name+"-")
}

// tool is the path of a program beside fleet.
func (b *bench) tool(name string) string { return filepath.Join(b.bin, name) }

// measure runs the scenarios and names those that could not be measured.
func (b *bench) measure(ctx context.Context, picked []scenario) (missing []string) {
	for _, s := range picked {
		fmt.Fprintf(b.out, "\n%s: %s\n", s.name, s.title)
		err := s.run(b, ctx)
		if ctx.Err() != nil {
			return missing
		}
		if err != nil {
			b.add(row{scenario: s.name, figure: "all of it", value: "not measured: " + err.Error()})
			missing = append(missing, s.name)
		}
	}
	return missing
}
