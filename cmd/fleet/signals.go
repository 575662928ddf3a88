package main

import (
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

// catchInterrupts takes over SIGINT, SIGTERM and SIGHUP until release, and lets
// writes to a closed pipe fail with an error instead of ending the process in
// the middle of a run.
func catchInterrupts() *interrupts {
	i := newInterrupts()
	signal.Notify(i.caught, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	return i
}

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

// release gives the signals back.
func (i *interrupts) release() {
	signal.Stop(i.caught)
	signal.Reset(syscall.SIGPIPE)
	close(i.done)
}
