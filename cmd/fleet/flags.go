package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

// rolloutFlags say how many hosts at once, in which order, and when to stop.
type rolloutFlags struct {
	fanout   int
	serial   string
	maxFail  string
	deadline time.Duration
}

func (f *rolloutFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.IntVarP(&f.fanout, "fanout", "f", 100, "hosts at once")
	fs.StringVar(&f.serial, "serial", "", "batch `SIZES`, each a count or a percentage: 1,10%,100%; the last repeats")
	fs.StringVar(&f.maxFail, "max-fail", "", "failures to allow, `N or N%`; one more and no further host starts")
	fs.DurationVar(&f.deadline, "deadline", 0, "longest `TIME` for the whole run (default: no limit)")
}

// reservedFiles are those that fleet needs beside a connection for each host.
const reservedFiles = 64

func (f *rolloutFlags) apply(req *engine.Request) error {
	if f.fanout < 1 {
		return usagef("--fanout %d: at least 1", f.fanout)
	}
	if f.deadline < 0 {
		return usagef("--deadline %v: a time cannot be negative", f.deadline)
	}
	req.Fanout, req.Deadline = min(f.fanout, max(1, openFiles()-reservedFiles)), f.deadline
	var err error
	if f.serial != "" {
		if req.Serial, err = scheduler.ParseSerial(f.serial); err != nil {
			return usage(fmt.Errorf("--%w", err))
		}
	}
	if f.maxFail != "" {
		if req.MaxFail, err = scheduler.ParseMaxFail(f.maxFail); err != nil {
			return usage(fmt.Errorf("--max-fail: %w", err))
		}
	}
	return nil
}

// showFlags say what the user sees.
type showFlags struct {
	output    string
	color     string
	verbose   int
	maxOutput byteSize
}

var (
	showOutputs = render.Modes
	showColors  = []string{"auto", "always", "never"}
)

func (f *showFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	f.maxOutput = byteSize{1 << 20}
	fs.StringVarP(&f.output, "output", "o", "live", "`FORMAT`: "+strings.Join(showOutputs, ", "))
	fs.StringVar(&f.color, "color", "auto", "`WHEN`: "+strings.Join(showColors, ", "))
	fs.CountVarP(&f.verbose, "verbose", "v", "say more about what is done; twice for still more")
	fs.Var(&f.maxOutput, "max-output", "most to show of each stream of a host, `SIZE` as 512K, 1M; the record keeps all")
	fixedCompletion(c, "output", showOutputs)
	fixedCompletion(c, "color", showColors)
}

// sink is the renderer that the flags ask for.
func (f *showFlags) sink(e *env) (render.Sink, error) {
	o, err := f.options(e)
	if err != nil {
		return nil, err
	}
	sink, err := render.New(f.output, o)
	if err != nil {
		return nil, usage(err)
	}
	return sink, nil
}

// options are where and how the sink shows.
func (f *showFlags) options(e *env) (render.Options, error) {
	if f.color != "auto" && f.color != "always" && f.color != "never" {
		return render.Options{}, usage(fmt.Errorf("unknown --color %s", quoteWord(f.color)), "--color takes "+strings.Join(showColors, ", "))
	}
	dumb := e.getenv("TERM") == "dumb"
	return render.Options{
		Out: e.stdout, Err: e.stderr,
		OutTerminal: isTerminal(e.stdout), ErrTerminal: isTerminal(e.stderr), NoStatus: dumb,
		Width: func() int { return columns(e.stderr) },
		Color: e.color(f.color, e.stdout), ErrColor: e.color(f.color, e.stderr),
		Verbose: f.verbose, Fold: inventory.Fold,
	}, nil
}

// byteSize is a number of bytes as a flag: 300, 512K, 1M, 2GiB (powers of 1024).
type byteSize struct{ bytes int64 }

func (b *byteSize) Type() string { return "size" }

func (b *byteSize) String() string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}} {
		if b.bytes >= unit.size && b.bytes%unit.size == 0 {
			return strconv.FormatInt(b.bytes/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(b.bytes, 10)
}

func (b *byteSize) Set(s string) error {
	digits := strings.TrimRight(s, "kKmMgGiIbB")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return errors.New("not a size such as 512K, 1M or a number of bytes")
	}
	var shift uint
	switch strings.ToLower(s[len(digits):]) {
	case "", "b":
	case "k", "kb", "kib":
		shift = 10
	case "m", "mb", "mib":
		shift = 20
	case "g", "gb", "gib":
		shift = 30
	default:
		return errors.New("not a size such as 512K, 1M or a number of bytes")
	}
	if n > math.MaxInt64>>shift {
		return errors.New("too large")
	}
	b.bytes = n << shift
	return nil
}
