package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/render"
	"fleet/internal/shell"
	"fleet/inventory"
)

// command runs one line on the target set.
func (b *broadcast) command(ctx context.Context, line string) (int, error) {
	stop := newInterrupts()
	defer close(stop.done)
	status, err := b.send(ctx, b.request(b.session.Compose(line)), stop, line)
	if err == nil && shell.LostCd(line) {
		b.say("fleet: hint: what cd does ends with its line; ':cd DIR' stays")
	}
	return status, err
}

// request asks for command on the target set, as the settings say.
func (b *broadcast) request(command string) engine.Request {
	return engine.Request{
		Kept: b.kept, Hosts: b.session.Hosts(), Command: command, How: b.how, Become: b.become, Timeout: b.o.timeout,
		MaxOutput: b.o.show.maxOutput.bytes, Keep: render.NeedsCaptures(b.o.show.output),
	}
}

// send is carry with the output that is chosen.
func (b *broadcast) send(ctx context.Context, req engine.Request, stop *interrupts, line string) (int, error) {
	sink, err := b.o.show.sink(b.e)
	if err != nil {
		return 0, err
	}
	return b.carry(ctx, req, sink, stop, line)
}

// carry carries out req for a line that was typed.
func (b *broadcast) carry(ctx context.Context, req engine.Request, sink render.Sink, stop *interrupts, line string) (int, error) {
	if err := b.o.rollout.apply(&req); err != nil {
		return 0, err
	}
	tellOn(&req.Access, sink, b.o.show.verbose)
	if len(req.Hosts) > b.mostIdle && !b.toldIdle {
		b.toldIdle = true
		sink.Note(fmt.Sprintf("fleet: only %d connections are kept open: this process may open %d files (ulimit -n)", b.mostIdle, openFiles()))
	}
	typed := *b.e
	typed.args = nil // there are no words that would do it again
	flags := recordFlags{off: b.o.record.off || b.hidden}
	kept, err := flags.begin(&typed, stop, sink, "shell", inventory.Fold(hostNames(req.Hosts)), hostNames(req.Hosts))
	if err != nil {
		return 0, err
	}
	if kept != nil {
		defer kept.close()
		sink, req.Begun = kept, kept.begun
	}
	b.ask.stopped = stop.first
	b.voice.begin(sink)
	defer b.voice.end()
	b.session.Began(line)
	var summary event.Summary
	err = b.guarded(stop, func() (err error) {
		summary, err = carry(ctx, req, recorded{sink, b.session}, stop, "fleet: canceling; Ctrl-C again does not wait for it")
		return err
	})
	add(&b.total, summary)
	if err != nil {
		return 0, err
	}
	return summaryStatus(summary), nil
}

// recorded tells the session how hosts end.
type recorded struct {
	render.Sink
	session *shell.Session
}

// Result implements event.Sink.
func (r recorded) Result(res event.Result) {
	r.session.Ended(res)
	r.Sink.Result(res)
}

// voice is what connections are logged to, which outlive each command: it
// speaks through the command that runs, else keeps what there is to say.
type voice struct {
	mu   sync.Mutex
	sink render.Sink // nil: none runs
	held []string
}

// mostHeld bounds what a voice keeps.
const mostHeld = 200

// Note implements noter.
func (v *voice) Note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.sink != nil:
		v.sink.Note(text)
	case len(v.held) < mostHeld:
		v.held = append(v.held, text)
	}
}

func (v *voice) begin(sink render.Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sink = sink
	for _, text := range v.held {
		sink.Note(text)
	}
	v.held = nil
}

func (v *voice) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sink = nil
}

// flush writes what is kept.
func (v *voice) flush(w io.Writer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range v.held {
		fmt.Fprintln(w, render.SafeLine(text))
	}
	v.held = nil
}

// pause makes room on the screen for a question.
func (v *voice) pause() (resume func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sink == nil {
		return func() {}
	}
	return v.sink.Pause()
}
