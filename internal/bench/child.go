package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// usage is what a finished process cost, seen from outside; processes that it
// started and waited for are counted in, its memory being that of the largest.
type usage struct {
	wall time.Duration
	cpu  time.Duration // user and system
	rss  int64         // highest resident set, bytes
}

// command is a process to run to its end.
type command struct {
	argv  []string
	env   []string // added to the environment
	stdin string   // file to read; empty: nothing
	limit time.Duration
	// check looks at what the process wrote to standard output; an error
	// means that it did not do its work, so that its cost says nothing.
	check func(stdout []byte) error
}

// defaultLimit ends a child that would hang the benchmark.
const defaultLimit = 5 * time.Minute

// cost runs c and returns what it cost.
func (b *bench) cost(ctx context.Context, c command) (usage, error) {
	u, _, err := b.output(ctx, c)
	return u, err
}

// output runs c and returns its cost and standard output. The streams go to
// files, so that a slow reader here cannot slow down what is measured.
func (b *bench) output(ctx context.Context, c command) (usage, []byte, error) {
	name := filepath.Base(c.argv[0])
	stdout, err := os.CreateTemp(b.dir, name+"-out-")
	if err != nil {
		return usage{}, nil, err
	}
	defer discard(stdout)
	stderr, err := os.CreateTemp(b.dir, name+"-err-")
	if err != nil {
		return usage{}, nil, err
	}
	defer discard(stderr)
	if c.limit == 0 {
		c.limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Env = append(append(cleanEnv(), "XDG_STATE_HOME="+b.dir), c.env...) // fleet keeps its record there
	if c.stdin != "" {
		in, err := os.Open(c.stdin)
		if err != nil {
			return usage{}, nil, err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	start := time.Now()
	err = cmd.Run()
	u := usage{wall: time.Since(start)}
	if ctx.Err() == context.DeadlineExceeded {
		return u, nil, fmt.Errorf("%s: not done after %v", name, c.limit)
	}
	if err != nil {
		return u, nil, fmt.Errorf("%s: %w: %s", name, err, lastLine(stderr.Name()))
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.rss = peakRSS(cmd.ProcessState)
	text, err := os.ReadFile(stdout.Name())
	if err == nil && c.check != nil {
		if err = c.check(text); err != nil {
			err = fmt.Errorf("%s: %w: %s", name, err, lastLine(stderr.Name()))
		}
	}
	return u, text, err
}

func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// cleanEnv is the environment without what would change the measured
// programs: settings of the Go runtime, an SSH agent, the tools' own.
func cleanEnv() (kept []string) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case strings.HasPrefix(name, "GO"), strings.HasPrefix(name, "FLEET_"),
			strings.HasPrefix(name, "PDSH_"), strings.HasPrefix(name, "CLUSTERSHELL_"),
			name == "SSH_AUTH_SOCK":
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// lastLine is the last line of a file that is not empty, for an error.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Sprintf("%.300s", lines[len(lines)-1])
}

// contains is a check that the output has all of the words.
func contains(words ...string) func([]byte) error {
	return func(stdout []byte) error {
		for _, w := range words {
			if !bytes.Contains(stdout, []byte(w)) {
				return fmt.Errorf("the output has no %q", w)
			}
		}
		return nil
	}
}

// lineCount is a check that the output has n lines.
func lineCount(n int) func([]byte) error {
	return func(stdout []byte) error {
		if got := bytes.Count(stdout, []byte("\n")); got != n {
			return fmt.Errorf("the output has %d lines instead of %d", got, n)
		}
		return nil
	}
}
