package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupts turns the signals that end a run into stops: the first is a
// request to stop, the second means now. Further ones do nothing more.
type interrupts struct {
	stops  chan struct{} // one value a stop
	first  chan struct{} // closed by the first stop
	now    chan struct{} // closed by the second stop
	caught chan os.Signal
	done   chan struct{}
}

// catchInterrupts takes over the signals that end a run until release.
func catchInterrupts() *interrupts {
	i := newInterrupts()
	takeSignals(i.caught)
	return i
}

// takeSignals has caught get SIGINT, SIGTERM and SIGHUP, which stays ignored where
// it was from the start, as nohup(1) has it. Writes to a closed pipe fail from now on
// instead of ending the process in the middle of a run, or before it can say by its
// exit status how the run ended.
func takeSignals(caught chan os.Signal) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(caught, signals...)
	signal.Notify(brokenPipes, syscall.SIGPIPE)
}

// brokenPipes is where SIGPIPE goes, and nobody looks there: that a write fails is
// enough. What is ignored would be ignored by gates and proxy commands too, whose
// pipelines then do not end when their last command has seen enough.
var brokenPipes = make(chan os.Signal, 1)

// newInterrupts takes over nothing: who has the signals puts them into caught,
// and closes done at the end.
func newInterrupts() *interrupts {
	i := &interrupts{
		stops:  make(chan struct{}, 2),
		first:  make(chan struct{}),
		now:    make(chan struct{}),
		caught: make(chan os.Signal, 2),
		done:   make(chan struct{}),
	}
	go i.forward()
	return i
}

func (i *interrupts) forward() {
	for n := 1; ; n++ {
		select {
		case <-i.done:
			return
		case <-i.caught:
		}
		switch n {
		case 1:
			close(i.first)
			i.stops <- struct{}{}
		case 2:
			close(i.now)
			i.stops <- struct{}{}
		}
	}
}

// untilStopped does what may take long before a run begins. Where the user stops
// it, it is left behind, and what became of it counts for nothing.
func untilStopped(ctx context.Context, stopped <-chan struct{}, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		if err != nil && closed(stopped) { // a command of this machine has heard of the Ctrl-C, too
			err = errInterrupted
		}
		return err
	case <-stopped:
		return errInterrupted
	}
}

// endingWith is ctx, ended also where stopped is closed.
func endingWith(ctx context.Context, stopped <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// release gives the signals back.
func (i *interrupts) release() {
	signal.Stop(i.caught)
	close(i.done)
}
