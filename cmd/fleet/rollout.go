package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

// guardFlags say what stands between the batches of a run, who is too slow, and
// what happens when the run halts.
type guardFlags struct {
	canary      int
	gate        string
	gateHost    string
	gateTimeout time.Duration
	pause       string
	onHalt      string
	delay       time.Duration
	slowAfter   string
	slow        string

	given func(flag string) bool
}

var stragglerWays = []string{"name", "cut"}

func (f *guardFlags) declare(e *env, c *cobra.Command) {
	fs := c.Flags()
	f.given = func(flag string) bool { return fs.Changed(flag) }
	fs.IntVar(&f.canary, "canary", 0, "first batch of `N` hosts; without --max-fail all of them must be ok")
	fs.StringVar(&f.gate, "gate", "", "local `COMMAND` that must exit with 0 before each further batch")
	fs.StringVar(&f.gateHost, "gate-host", "", "run the gate's command on `HOST` of the inventory instead")
	fs.DurationVar(&f.gateTimeout, "gate-timeout", 5*time.Minute, "longest `TIME` for --gate, and for --on-halt")
	fs.StringVar(&f.pause, "pause", "", "wait a `TIME` before each further batch; 'ask' asks on the terminal")
	fs.StringVar(&f.onHalt, "on-halt", "", "local `COMMAND` for when the run was stopped before its end")
	fs.DurationVar(&f.delay, "delay", 0, "least `TIME` between the starts of two hosts")
	fs.StringVar(&f.slowAfter, "straggler-after", "", "hosts that take longer than `TIME` are stragglers; p95x3: 3 times what 95% need")
	fs.StringVar(&f.slow, "straggler", "name", "`WAY` with stragglers: name, cut")
	fixedCompletion(c, "straggler", stragglerWays)
	fixedCompletion(c, "pause", []string{"ask"})
	_ = c.RegisterFlagCompletionFunc("gate-host", completeHosts(e)) // fails for an undeclared flag only
	for _, flag := range []string{"canary", "gate-timeout", "delay", "straggler-after"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

// apply takes the flags into req, whose Serial is known. ask asks the user.
func (f *guardFlags) apply(inv *inventory.Inventory, req *engine.Request, ask *prompter) error {
	g := &req.Gate
	switch {
	case f.given("canary") && f.canary < 1:
		return usagef("--canary %d: at least 1", f.canary)
	case f.delay < 0:
		return usagef("--delay %v: a time cannot be negative", f.delay)
	case f.gateTimeout <= 0:
		return usagef("--gate-timeout %v: more than 0", f.gateTimeout)
	case f.gateHost != "" && f.gate == "":
		return usagef("--gate-host %s without a --gate to run there", quoteWord(f.gateHost))
	}
	for flag, command := range map[string]string{"gate": f.gate, "on-halt": f.onHalt} {
		if f.given(flag) && strings.TrimSpace(command) == "" {
			return usagef("--%s: no command", flag)
		}
	}
	g.Canary, g.Command, g.Limit, req.Delay = f.canary, f.gate, f.gateTimeout, f.delay
	if err := f.applyPause(g, ask); err != nil {
		return err
	}
	if len(req.Serial) == 0 && g.Canary == 0 && (g.Command != "" || g.Pause > 0 || g.Ask != nil) {
		flag := "--gate"
		if g.Command == "" {
			flag = "--pause"
		}
		return usage(fmt.Errorf("%s stands between batches, and all hosts are in one", flag), "--serial 1,10%,100% or --canary 1 makes batches")
	}
	if err := f.applyGateHost(inv, g); err != nil {
		return err
	}
	return f.applyStragglers(req)
}

func (f *guardFlags) applyPause(g *engine.Gate, ask *prompter) error {
	if !f.given("pause") {
		return nil
	}
	for word := range strings.SplitSeq(f.pause, ",") {
		if word == "ask" {
			if !ask.allowed || !hasTerminal() {
				return usage(fmt.Errorf("--pause ask: %w", errNoPrompt), "--pause 10m waits without asking, --gate COMMAND decides without asking")
			}
			g.Ask = ask.yesOrNo
			continue
		}
		d, err := time.ParseDuration(word)
		if err != nil || d <= 0 || g.Pause > 0 {
			return usagef("--pause %s: neither a time such as 10m nor 'ask'", quoteWord(f.pause))
		}
		g.Pause = d
	}
	return nil
}

func (f *guardFlags) applyGateHost(inv *inventory.Inventory, g *engine.Gate) error {
	if f.gateHost == "" {
		return nil
	}
	hosts, err := inv.Select(f.gateHost)
	if err != nil {
		return usage(fmt.Errorf("--gate-host: %w", err))
	}
	if len(hosts) != 1 {
		return usagef("--gate-host %s: %d hosts, where one is wanted", quoteWord(f.gateHost), len(hosts))
	}
	g.Host = hosts[0]
	return nil
}

func (f *guardFlags) applyStragglers(req *engine.Request) (err error) {
	if req.Straggler, err = scheduler.ParseStraggler(f.slowAfter); err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	switch {
	case f.given("straggler-after") && f.slowAfter == "":
		return usagef("--straggler-after: neither a time such as 30s nor a percentile such as p95x3")
	case f.slow != "name" && f.slow != "cut":
		return usage(fmt.Errorf("unknown --straggler %s", quoteWord(f.slow)), "--straggler takes "+strings.Join(stragglerWays, ", "))
	case f.given("straggler") && f.slowAfter == "":
		return usage(errors.New("--straggler without --straggler-after"), "--straggler-after 30s says who is a straggler")
	}
	req.Straggler.Cut = f.slow == "cut"
	return nil
}

// halted runs what was wanted for a run that stopped before its end by itself,
// with the environment that gates have, and FLEET_HALT. It does not change what
// becomes of the run: an error is told. kept, if there is one, records it.
func (f *guardFlags) halted(ctx context.Context, e *env, s event.Summary, stop *interrupts, kept *recording) {
	by := render.StoppedBy(s)
	if f.onHalt == "" || by == "" || s.Interrupted {
		return
	}
	running, cancel := endingWith(ctx, stop.first)
	defer cancel()
	tell(e.stderr, "fleet: ", "on halt: "+render.SafeLine(f.onHalt))
	m := event.Mark{Kind: event.GateBegan, Gate: event.GateHalt, Text: f.onHalt, Time: time.Now()}
	kept.halted(ctx, e, s.Run, m)
	last := byte('\n')
	out := engine.NewLastBytes(func(p []byte) {
		e.stderr.Write(p) //nolint:errcheck // there is nowhere else to tell it
		if len(p) > 0 {
			last = p[len(p)-1]
		}
	})
	l := engine.Local{Line: f.onHalt, Limit: f.gateTimeout, Out: out, Env: append(engine.CountsEnv(s.Run, s.Counts), "FLEET_HALT="+by)}
	err := l.Run(running)
	m.Kind, m.Took, m.Time = event.GateEnded, time.Since(m.Time), time.Now()
	m.Output, m.Cut = out.End() // after which last stands
	if last != '\n' {
		e.stderr.Write([]byte("\n")) //nolint:errcheck // as above
	}
	if err != nil {
		m.Cause = &scheduler.Cause{Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: err.Error()}
		if errors.Is(err, context.Canceled) {
			m.Cause = &scheduler.Cause{Kind: scheduler.KindCanceled, Stage: scheduler.StageCommand, Text: "interrupted"}
		}
		tell(e.stderr, "fleet: ", "on halt: "+m.Cause.Text)
	}
	kept.halted(ctx, e, s.Run, m)
}

// yesOrNo asks a question of yes or no until it gets one of them.
func (p *prompter) yesOrNo(ctx context.Context, question string) (bool, error) {
	for {
		answer, err := p.ask(ctx, "fleet: "+render.SafeLine(question)+" [y/n] ", true)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(string(answer))) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}
