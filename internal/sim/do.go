package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"fleet/scheduler"
)

// task is the function of a Do, running beside the loop. Virtual time does not
// pass it by until it has ended, or says that it blocks until it is cancelled,
// or has been waited for long enough.
type task struct {
	cancel  context.CancelFunc
	ended   chan struct{}
	blocked chan struct{} // closed by Block
	err     error         // after ended
}

type blockKey struct{}

// Block waits for the end of ctx. In a simulated world the clock goes on.
func Block(ctx context.Context) error {
	if t, ok := ctx.Value(blockKey{}).(*task); ok {
		close(t.blocked)
	}
	<-ctx.Done()
	return ctx.Err()
}

// beside keeps the functions that did not end when their time came.
type beside struct {
	waiting []*inFlight
	news    chan struct{} // something has ended
}

func newBeside() beside { return beside{news: make(chan struct{}, 1)} }

func (b *beside) start(f func(context.Context) error) *task {
	t := &task{ended: make(chan struct{}), blocked: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), blockKey{}, t))
	t.cancel = cancel
	news := b.news
	go func() {
		defer func() {
			if v := recover(); v != nil {
				t.err = &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{
					Kind: scheduler.KindInternal, Text: fmt.Sprintf("panic: %v", v)}}
			}
			close(t.ended)
			select {
			case news <- struct{}{}:
			default:
			}
		}()
		t.err = f(ctx)
	}()
	return t
}

// result waits until the task has ended or is known to block.
func (b *beside) result(t *task, canceled bool) (error, bool) {
	if canceled {
		<-t.ended
	} else {
		patience := time.NewTimer(100 * time.Millisecond)
		defer patience.Stop()
		select {
		case <-t.ended:
		case <-t.blocked:
			return nil, false
		case <-patience.C:
			return nil, false
		}
	}
	t.cancel()
	if canceled && t.err != nil && !errors.Is(t.err, scheduler.ErrCanceled) {
		return errors.Join(t.err, scheduler.ErrCanceled), true
	}
	return t.err, true
}

// park keeps an op for later.
func (b *beside) park(f *inFlight) { b.waiting = append(b.waiting, f) }

func (b *beside) unpark(f *inFlight) {
	b.waiting = slices.DeleteFunc(b.waiting, func(g *inFlight) bool { return g == f })
}

// undeclared says that a task is parked that did not call Block.
func (b *beside) undeclared() bool {
	for _, f := range b.waiting {
		select {
		case <-f.task.blocked:
		default:
			return true
		}
	}
	return false
}

// wait waits for a parked task to end; not for ever unless told to.
func (b *beside) wait(forever bool) bool {
	if forever {
		<-b.news
		return true
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-b.news:
		return true
	case <-patience.C:
		return false
	}
}

// ended takes out the ops whose tasks have ended.
func (b *beside) ended() (ended []*inFlight) {
	var waiting []*inFlight
	for _, f := range b.waiting {
		select {
		case <-f.task.ended:
			ended = append(ended, f)
		default:
			waiting = append(waiting, f)
		}
	}
	b.waiting = waiting
	return ended
}
