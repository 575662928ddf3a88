package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"fleet/internal/engine"
	"fleet/internal/shell"
)

// script runs a script of this machine on the target set, as fleet run --script
// does, in the session's folder.
func (b *broadcast) script(ctx context.Context, a shell.Script) (int, error) {
	const how = ":script FILE [ARG...]"
	if len(a.Words) == 0 || a.Words[0] == "" {
		return 0, usage(errors.New(":script: no file given"), how)
	}
	if b.o.command.raw {
		return 0, usage(errors.New(":script and --raw exclude each other"), "--raw sends lines and nothing else")
	}
	flags, args := b.o.command, a.Words[1:]
	if flags.script = a.Words[0]; flags.script == "-" {
		return 0, usage(errors.New(":script -: standard input has the lines"), "./- is a file of that name")
	}
	stop := newInterrupts()
	defer close(stop.done)
	text, err := await(b, stop, func() (text string, err error) {
		if flags.scriptText, err = flags.readScript(b.e); err == nil {
			text, err = flags.scriptPart(args)
		}
		return text, err
	})
	if err != nil {
		return 0, aboutFile(":script", err)
	}
	req := b.request(flags.scriptName(args))
	req.How.Payload += b.session.Enter() + text
	return b.send(ctx, req, stop, a.Line)
}

// input runs a command that reads a file of this machine on the target set, as
// fleet run --stdin does.
func (b *broadcast) input(ctx context.Context, a shell.Input) (int, error) {
	const how = ":stdin FILE COMMAND"
	switch {
	case a.File == "":
		return 0, usage(errors.New(":stdin: no file given"), how)
	case a.File == "-":
		return 0, usage(errors.New(":stdin -: standard input has the lines"), "./- is a file of that name")
	case a.Command == "":
		return 0, usage(fmt.Errorf(":stdin %s: no command given after the file", quoteWord(a.File)), how)
	}
	stop := newInterrupts()
	defer close(stop.done)
	file, err := await(b, stop, func() (*os.File, error) { return os.Open(a.File) })
	if err != nil {
		return 0, aboutFile(":stdin", err)
	}
	defer file.Close()
	req := b.request(b.session.Compose(a.Command))
	if req.Input, err = engine.NewInput(file); err != nil {
		return 0, aboutFile(":stdin", err)
	}
	defer req.Input.Close() //nolint:errcheck // it has no name, and nobody reads it any more
	return b.send(ctx, req, stop, a.Line)
}

// await is what f gives, unless the user does not want to wait for it: a pipe
// with a name can be opened only once somebody writes to it. f is left behind
// then.
func await[T any](b *broadcast, stop *interrupts, f func() (T, error)) (got T, err error) {
	type answer struct {
		got T
		err error
	}
	done := make(chan answer, 1)
	go func() {
		got, err := f()
		done <- answer{got, err}
	}()
	err = b.guarded(stop, func() error {
		select {
		case a := <-done:
			got = a.got
			return a.err
		case <-stop.first:
			if b.person {
				b.say("\n") // the terminal shows a ^C
			}
			return errInterrupted
		}
	})
	return got, err
}

// aboutFile is err, of a file that a line names.
func aboutFile(what string, err error) error {
	if errors.Is(err, errInterrupted) {
		return err
	}
	return usage(fmt.Errorf("%s: %w", what, err))
}
