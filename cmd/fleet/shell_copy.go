package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/internal/shell"
)

// copyUsage is the hint for :push and :pull.
const copyUsage = ":push [FLAG...] SRC... DST, :pull [FLAG...] SRC... DSTDIR, with the flags of fleet push and fleet pull that are about files"

// copies carries out :push and :pull on the target set, over the connections
// that the shell keeps.
func (b *broadcast) copies(ctx context.Context, a shell.Copy) (int, error) {
	fs := pflag.NewFlagSet("copy", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var push pushOptions
	var pull pullOptions
	last := "DSTDIR"
	if a.Push {
		last = "DST"
		push.declareFiles(fs)
		push.declareOwn(fs)
	} else {
		pull.declareFiles(fs)
		pull.declareOwn(fs)
	}
	if err := fs.Parse(a.Words); err != nil {
		return 0, usage(err, copyUsage)
	}
	_, sources, dst, err := splitTransferArgs(":"+strings.ToLower(kindOfCopy(a)), last, append([]string{"hosts"}, fs.Args()...))
	if err != nil {
		return 0, usage(errors.Unwrap(err), copyUsage)
	}
	stop := newInterrupts()
	defer close(stop.done)
	hosts := b.session.Hosts()
	title := transferTitle(kindOfCopy(a), append(sources, dst))
	var work *engine.Work
	var done func() error
	if a.Push {
		push.show.verbose = b.o.show.verbose
		err = b.guarded(stop, func() (err error) {
			work, done, err = push.work(ctx, b.e, &errand{hosts, sources, b.session.At(dst), &b.voice, stop})
			return err
		})
	} else {
		pull.show.verbose = b.o.show.verbose
		for i, s := range sources {
			sources[i] = b.session.At(s)
		}
		work, done, err = pull.work(&errand{hosts, sources, dst, &b.voice, stop})
	}
	if err != nil {
		return 0, err
	}
	sink, err := b.o.show.sink(b.e)
	if err != nil {
		return 0, errors.Join(err, done())
	}
	req := engine.Request{
		Kept: b.kept, Hosts: hosts, Command: title, Work: work, Become: b.become, Timeout: b.o.timeout,
		MaxOutput: b.o.show.maxOutput.bytes, Keep: render.NeedsCaptures(b.o.show.output),
	}
	status, err := b.carry(ctx, req, sink, stop, a.Line)
	return status, errors.Join(err, done())
}

func kindOfCopy(a shell.Copy) string {
	if a.Push {
		return "push"
	}
	return "pull"
}
