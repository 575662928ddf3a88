package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/internal/record"
	"fleet/internal/render"
	"fleet/scheduler"
)

// replay shows the hosts of a run as they were shown while it ran.
func replay(ctx context.Context, e *env, o *historyShowOptions, s *record.Store, run *record.Run, shown map[string]bool) error {
	sink, err := o.show.replaySink(e)
	if err != nil {
		return err
	}
	r := &replayer{
		store: s, sink: sink, shown: shown, captures: render.NeedsCaptures(o.show.output), lines: o.show.output == "live",
		kept: output.NewStore(64<<20, ""), known: map[int64]*output.Capture{}, texts: map[int64][]byte{},
		told: map[string]bool{}, counts: map[scheduler.Outcome]int{},
	}
	defer r.kept.Close()
	hosts := run.Hosts
	if shown != nil {
		hosts = len(shown)
	}
	sink.Start(event.Run{ID: run.ID, Command: run.Command, Hosts: hosts, Time: run.Began})
	err = r.until(ctx, run, o.follow)
	if err == nil && run.Running() {
		sink.Note(fmt.Sprintf("fleet: the run goes on: %d of %d hosts have ended", sum(r.counts), run.Hosts))
	}
	summary := run.Summary()
	summary.Counts = r.counts
	if err := errorsFirst(err, sink.Finish(summary)); err != nil || !o.follow {
		return err
	}
	if code := summaryStatus(run.Summary()); code != exitOK {
		return &fault{code: code}
	}
	return nil
}

// replayer gives a sink what is recorded.
type replayer struct {
	store    *record.Store
	sink     render.Sink
	shown    map[string]bool // hosts; nil for all
	captures bool            // the sink shows what results carry
	lines    bool            // it shows lines
	kept     *output.Store
	known    map[int64]*output.Capture // by id
	texts    map[int64][]byte          // short ones, by id
	told     map[string]bool           // hosts that have ended
	counts   map[scheduler.Outcome]int // of these
	live     *follower                 // nil: nothing is followed
	marks    []event.Mark              // batches and gates
	marked   int                       // of these, shown
}

// until shows results until there are no more; with follow, until the run has
// ended.
func (r *replayer) until(ctx context.Context, run *record.Run, follow bool) error {
	if !follow || !run.Running() {
		return r.results(ctx, run)
	}
	stop := catchInterrupts() // what follows ends by Ctrl-C, the run does not
	defer stop.release()
	if r.captures {
		r.live = &follower{close: func() {}} // what hosts write is shown as a whole
	} else if err := r.follow(ctx, run); err != nil {
		return err
	}
	defer func() {
		r.live.close()
		r.tellMissed(0)
	}()
	chunks, before := r.live.chunks, -1
	for {
		last := !run.Running()
		began := time.Now()
		if n := sum(run.Counts); n != before || last {
			before = n
			if err := r.results(ctx, run); err != nil || last {
				return err
			}
		}
		look := time.After(max(100*time.Millisecond, 5*time.Since(began))) // a large run is not looked at all the time
		for waiting := true; waiting; {
			select {
			case c, ok := <-chunks:
				if !ok {
					chunks, waiting = nil, false // most likely the run has ended
					continue
				}
				r.chunk(c)
			case <-look:
				waiting = false
			case <-stop.first:
				return errInterrupted
			}
		}
		if err := r.store.Refresh(ctx, run); err != nil {
			return err
		}
	}
}

// results shows the results that were not shown, and the batches and gates before,
// between and behind them.
func (r *replayer) results(ctx context.Context, run *record.Run) (err error) {
	if r.shown == nil { // they are of all hosts
		if r.marks, err = r.store.Marks(ctx, run); err != nil {
			return err
		}
	}
	if r.live != nil {
		r.mark(len(r.marks)) // they have come already
	}
	defer func() { r.mark(len(r.marks)) }()
	return r.store.Results(ctx, run, 0, func(res *record.Result) error {
		if r.told[res.Host] || r.shown != nil && !r.shown[res.Host] {
			return nil
		}
		upTo := r.marked
		for n := upTo; n < len(r.marks) && r.marks[n].Batch <= res.Batch; n++ {
			if r.marks[n].Kind == event.BatchBegan {
				upTo = n + 1
			}
		}
		r.mark(upTo)
		r.told[res.Host] = true
		r.counts[res.Outcome]++
		return r.show(ctx, res)
	})
}

// mark shows the first n batches and gates, but for those that were shown.
func (r *replayer) mark(n int) {
	for ; r.marked < n; r.marked++ {
		m := r.marks[r.marked]
		if m.Kind == event.GateEnded {
			if m.Cut {
				r.sink.GateOutput([]byte("… (the record has only the end)\n"))
			}
			r.sink.GateOutput(m.Output)
		}
		r.sink.Mark(m)
	}
}

func (r *replayer) show(ctx context.Context, res *record.Result) error {
	if r.live == nil || !r.live.begun[res.Host] {
		r.sink.Started(res.Host, res.Time)
	}
	for _, s := range []struct {
		name event.Stream
		id   int64
		to   **output.Capture
	}{{event.Stdout, res.Stdout, &res.Result.Stdout}, {event.Stderr, res.Stderr, &res.Result.Stderr}} {
		if s.id == 0 {
			continue
		}
		var err error
		if r.captures {
			*s.to, err = r.capture(ctx, s.id)
		} else {
			err = r.rest(ctx, s.id, replayed{r.sink, event.Output{Host: res.Host, Stream: s.name, Time: res.Time}})
		}
		if err != nil {
			return err
		}
	}
	r.sink.Result(res.Result)
	return nil
}

// rest shows an output but for what of it was shown as it came.
func (r *replayer) rest(ctx context.Context, id int64, to replayed) error {
	var skip int64
	if r.live != nil {
		key := hostStream{to.as.Host, to.as.Stream}
		skip = r.live.from[key]
		delete(r.live.from, key)
		delete(r.live.open, key)
	}
	text, known := r.texts[id]
	if known {
		if n := int64(len(text)); skip < n {
			to.Write(text[skip:]) //nolint:errcheck // it has none
		}
		return nil
	}
	c := &replayedCopy{to: to, skip: skip}
	if err := r.store.Output(ctx, id, c); err != nil {
		return err
	}
	const most = 5000
	if len(r.texts) >= most {
		clear(r.texts)
	}
	if !c.long {
		r.texts[id] = c.text
	}
	return nil
}

// capture gives an output, which hosts that wrote the same share.
func (r *replayer) capture(ctx context.Context, id int64) (*output.Capture, error) {
	c := r.known[id]
	if c == nil {
		const most = 5000
		if len(r.known) >= most {
			for _, c := range r.known {
				c.Discard()
			}
			clear(r.known)
		}
		c = r.kept.Capture(-1)
		if err := r.store.Output(ctx, id, captured{c}); err != nil {
			c.Discard()
			return nil, err
		}
		r.known[id] = c
	}
	c.Share()
	return c, nil
}

// replayed makes what is written output of a host.
type replayed struct {
	sink render.Sink
	as   event.Output
}

func (w replayed) Write(p []byte) (int, error) {
	w.as.Data = p
	w.sink.Output(w.as)
	return len(p), nil
}

// replayedCopy passes on what is written but for the first bytes, and keeps all if
// that is short.
type replayedCopy struct {
	to   replayed
	skip int64
	text []byte
	long bool
}

func (w *replayedCopy) Write(p []byte) (int, error) {
	const most = 4 << 10
	if w.long = w.long || len(w.text)+len(p) > most; w.long {
		w.text = nil
	} else {
		w.text = append(w.text, p...)
	}
	n := min(w.skip, int64(len(p)))
	if w.skip -= n; int(n) < len(p) {
		w.to.Write(p[n:]) //nolint:errcheck // it has none
	}
	return len(p), nil
}

// captured writes to a capture.
type captured struct{ to *output.Capture }

func (w captured) Write(p []byte) (int, error) {
	if n := w.to.Write(p); n < len(p) {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}
