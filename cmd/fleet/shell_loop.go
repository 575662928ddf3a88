package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/internal/shell"
	"fleet/inventory"
	"fleet/scheduler"
)

// broadcast is a shell at work: it reads lines and carries them out, one after
// the other, all on one goroutine.
type broadcast struct {
	e       *env
	o       *shellOptions
	inv     *inventory.Inventory
	session *shell.Session
	kept    *engine.Kept
	become  engine.Become
	how     scheduler.Exec
	ask     *prompter
	voice   voice
	person  bool // somebody sits at a terminal
	caught  chan os.Signal

	mostFanout, mostIdle int
	toldIdle             bool

	last     int           // exit status of the last line
	total    event.Summary // of all lines
	wrong    bool          // some line could not be carried out
	internal bool          // a fault of fleet's own
	ended    bool          // by a signal
	hidden   bool          // the line at hand is not to be kept anywhere
}

// catch takes over the signals until release.
func (b *broadcast) catch() {
	b.caught = make(chan os.Signal, 4)
	takeSignals(b.caught)
}

func (b *broadcast) release() { signal.Stop(b.caught) }

// guarded hands the signals that come while f runs to stop. One that asks the
// process to end also ends the shell, as does Ctrl-C without a person.
func (b *broadcast) guarded(stop *interrupts, f func() error) error {
	done, over := make(chan struct{}), make(chan bool)
	go func() {
		ended := false
		defer func() { over <- ended }()
		for {
			select {
			case sig := <-b.caught:
				ended = ended || sig != os.Interrupt || !b.person
				select {
				case stop.caught <- sig:
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	}()
	err := f()
	close(done)
	if <-over {
		b.ended = true
	}
	return err
}

func (b *broadcast) close() {
	b.release()
	b.voice.flush(b.e.stderr)
	b.kept.Close()
}

// loop reads and carries out lines until there are no more.
func (b *broadcast) loop(ctx context.Context) {
	lines := b.open()
	defer lines.close()
	if b.person {
		b.say(fmt.Sprintf("fleet: each line runs on %s; ':help' explains, Ctrl-D leaves", plural(len(b.session.Hosts()), "host")))
	}
	in := newFeed(lines)
	for !b.ended {
		prompt := ""
		if b.person {
			prompt = b.session.Prompt()
		}
		l, err := b.read(in, prompt)
		if err != nil {
			b.endOfLines(l.number, err)
			return
		}
		if b.line(ctx, l) {
			return
		}
	}
}

// read waits for a line, or for a signal that ends the shell.
func (b *broadcast) read(in *feed, prompt string) (typedLine, error) {
	in.ask <- prompt
	for {
		select {
		case l := <-in.got:
			var bad *shell.Error
			if l.err != nil && !errors.As(l.err, &bad) {
				return l, l.err
			}
			return l, nil
		case sig := <-b.caught:
			if sig != os.Interrupt || !b.person {
				in.lines.restore()
				b.ended = true
				return typedLine{}, io.EOF
			}
			in.lines.interrupt(prompt)
		}
	}
}

// endOfLines judges why no more lines come.
func (b *broadcast) endOfLines(number int, err error) {
	if err != io.EOF && !b.ended {
		b.internal = true
		b.complain(number, &fault{code: exitInternal, err: fmt.Errorf("read lines: %w", err)})
	}
}

// line carries one line out and says whether it was the last.
func (b *broadcast) line(ctx context.Context, l typedLine) (leave bool) {
	action, err := shell.Action(nil), l.err
	if err == nil {
		action, err = shell.Parse(l.text)
	}
	switch action.(type) {
	case shell.Quit:
		return true
	case shell.Nothing:
		return false
	}
	code := exitOK
	if err == nil {
		if !b.person && b.o.show.verbose > 0 {
			b.say(fmt.Sprintf("fleet: line %d: %s", l.number, l.text))
		}
		b.hidden = strings.HasPrefix(l.text, " ")
		code, err = b.act(ctx, action)
	}
	if err != nil {
		code = b.complain(l.number, err)
	}
	b.last = code
	if code == exitOK || b.person || b.ended {
		return false
	}
	switch {
	case b.o.stop || b.internal:
		b.say(fmt.Sprintf("fleet: line %d: stopped here; what comes after it was not run", l.number))
		return true
	case err != nil && shell.Steers(l.text):
		b.say(fmt.Sprintf("fleet: line %d: stopped here; what comes after it was meant to run elsewhere, and was not run", l.number))
		return true
	}
	return false
}

// complain reports what is wrong with a line and gives its exit status.
func (b *broadcast) complain(number int, err error) int {
	f := &fault{code: exitUsage, err: err}
	errors.As(err, &f)
	if errors.Is(err, errInterrupted) {
		return exitInterrupted
	}
	switch f.code {
	case exitUsage:
		b.wrong = true
	default: // the rest of a run whose output is lost
		b.internal = true
	}
	text := f.err
	if !b.person {
		text = fmt.Errorf("line %d: %w", number, f.err)
	}
	return report(b.e.stderr, &fault{code: f.code, err: text, hints: f.hints})
}

// act carries out one action. The status is that of a command; an error is
// about the line.
func (b *broadcast) act(ctx context.Context, action shell.Action) (int, error) {
	switch a := action.(type) {
	case shell.Command:
		return b.command(ctx, a.Line)
	case shell.Again:
		line, err := b.session.Last()
		if err != nil {
			return 0, err
		}
		again, err := shell.Parse(line)
		if err != nil {
			return 0, err
		}
		return b.act(ctx, again)
	case shell.Copy:
		return b.copies(ctx, a)
	case shell.Script:
		return b.script(ctx, a)
	case shell.Input:
		return b.input(ctx, a)
	case shell.Change, shell.Failed, shell.Start:
		return exitOK, b.target(ctx, action)
	case shell.Dir:
		b.session.Chdir(a)
	case shell.Output:
		if !slices.Contains(render.Modes, a.Mode) {
			return 0, usage(fmt.Errorf(":output %s: unknown format", quoteWord(a.Mode)), ":output takes "+strings.Join(render.Modes, ", "))
		}
		b.o.show.output = a.Mode
	case shell.Timeout:
		b.o.timeout = a.Limit
	case shell.Fanout:
		b.fanout(a.Hosts)
	case shell.Ask:
		b.say(b.setting(a.Setting))
	case shell.Hosts:
		b.say(fmt.Sprintf("%s (%s)", b.session.Fold(), plural(len(b.session.Hosts()), "host")))
	case shell.Status:
		b.say(b.session.Status(b.kept.Connected))
	case shell.Help:
		b.say(shell.HelpText)
	}
	return exitOK, nil
}

func (b *broadcast) setting(name string) string {
	switch name {
	case "timeout":
		if b.o.timeout == 0 {
			return "timeout: none"
		}
		return "timeout: " + b.o.timeout.String()
	case "fanout":
		return fmt.Sprintf("fanout: %d", b.o.rollout.fanout)
	}
	return "output: " + b.o.show.output
}

// fanout sets how many hosts at once, as far as this process may.
func (b *broadcast) fanout(hosts int) {
	b.o.rollout.fanout = min(hosts, b.mostFanout)
	if hosts > b.mostFanout {
		b.say(fmt.Sprintf("fleet: fanout lowered to %d: this process may open %d files (ulimit -n)", b.mostFanout, openFiles()))
	}
}

// target changes the target set. Logins to hosts that come new are prepared
// first, so that the set stays if they cannot be.
func (b *broadcast) target(ctx context.Context, a shell.Action) error {
	hosts, err := b.session.Target(a)
	if err != nil {
		return err
	}
	stop := newInterrupts()
	defer close(stop.done)
	b.ask.stopped = stop.first
	err = b.guarded(stop, func() error { return b.kept.Reach(ctx, hosts) })
	b.voice.flush(b.e.stderr)
	if err != nil {
		return err
	}
	b.session.Use(hosts)
	return nil
}

// say tells something on standard error; the terminal is not raw.
func (b *broadcast) say(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(b.e.stderr, render.SafeLine(strings.TrimRight(line, "\n")))
	}
}

// status is the exit status of the shell.
func (b *broadcast) status() int {
	switch {
	case b.ended:
		return exitInterrupted
	case b.person:
		return b.last
	case b.internal:
		return exitInternal
	case b.wrong:
		return exitUsage
	}
	return summaryStatus(b.total)
}

// add takes one run into the total.
func add(total *event.Summary, s event.Summary) {
	if total.Counts == nil {
		total.Counts = map[scheduler.Outcome]int{}
	}
	for o, n := range s.Counts {
		total.Counts[o] += n
	}
	total.Halted = total.Halted || s.Halted
	total.Deadline = total.Deadline || s.Deadline
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
