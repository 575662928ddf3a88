package render

import (
	"sync"
	"time"

	"fleet/internal/event"
)

const (
	// foldWindow is how long a line waits for other hosts to say the same.
	foldWindow = 300 * time.Millisecond
	// foldMemory is how many bytes of lines wait at most, each with what it takes to
	// keep it, which is most of it where lines are short.
	foldMemory = 4 << 20
	foldCost   = 256
)

// liveFold shows each line soon after it came, once for all hosts that said
// the same by then. The lines of each host keep their order: a line is shown
// only when all that its host said before was.
type liveFold struct {
	base
	states hostStates

	mu    sync.Mutex
	lines []*foldLine          // as they came; shown ones are dropped from the front
	last  map[string]*foldLine // the newest of each host, while it waits
	heads map[foldText][]*foldLine
	bytes int
	stop  chan struct{}
	done  chan struct{}
}

// foldText is what lines must share to be shown as one.
type foldText struct {
	stream event.Stream
	text   string
}

// foldLine is a line that waits.
type foldLine struct {
	foldText
	host  string
	at    time.Time
	next  *foldLine // of the same host
	shown bool
}

func newLiveFold(o Options) *liveFold {
	f := &liveFold{last: map[string]*foldLine{}, heads: map[foldText][]*foldLine{}}
	f.init(o, true)
	f.talks = true
	return f
}

// Start implements event.Sink.
func (f *liveFold) Start(r event.Run) {
	f.base.Start(r)
	f.stop, f.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(f.done)
		t := time.NewTicker(foldWindow / 3)
		defer t.Stop()
		for {
			select {
			case <-f.stop:
				return
			case <-t.C:
				f.show(f.o.Clock(), false)
			}
		}
	}()
}

// Output implements event.Sink.
func (f *liveFold) Output(o event.Output) {
	f.base.Output(o)
	st := f.states.get(o.Host, func(string) *hostState { return &hostState{} })
	s := &st.out
	if o.Stream == event.Stderr {
		s = &st.err
	}
	s.add(nil, o.Data, f.waiting(o.Host, o.Stream))
}

// waiting has lines of a host wait from now on.
func (f *liveFold) waiting(host string, s event.Stream) *foldLines {
	return &foldLines{f: f, host: host, stream: s, at: f.o.Clock(), names: f.o.Mask.names(host, f.o.Aliases)}
}

// foldLines takes lines of one host and stream.
type foldLines struct {
	f      *liveFold
	host   string
	stream event.Stream
	at     time.Time
	names  []string
}

// appendLine implements lineWriter, but writes nothing yet.
func (w *foldLines) appendLine(dst, line []byte) []byte {
	text := w.f.o.Mask.apply(nil, line, w.names)
	w.f.add(&foldLine{foldText: foldText{w.stream, string(text)}, host: w.host, at: w.at})
	return dst
}

// add has a line wait.
func (f *liveFold) add(l *foldLine) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, l)
	f.bytes += len(l.text) + foldCost
	if before := f.last[l.host]; before != nil {
		before.next = l
	} else {
		f.heads[l.foldText] = append(f.heads[l.foldText], l)
	}
	f.last[l.host] = l
	if f.bytes > foldMemory {
		f.write(l.at, foldMemory/2)
	}
}

// show shows the lines that have waited for long enough, or all.
func (f *liveFold) show(now time.Time, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := foldMemory
	if all {
		most = -1
	}
	f.write(now, most)
}

// write shows lines, the oldest first, until the rest is younger than
// foldWindow at now and of at most so many bytes.
func (f *liveFold) write(now time.Time, most int) {
	for len(f.lines) > 0 {
		first := f.lines[0]
		if !first.shown {
			if now.Sub(first.at) < foldWindow && f.bytes <= most {
				return
			}
			f.writeOne(first)
		}
		f.lines[0] = nil
		f.lines = f.lines[1:]
	}
}

// writeOne shows a line for all hosts that have it next.
func (f *liveFold) writeOne(first *foldLine) {
	same := f.heads[first.foldText]
	delete(f.heads, first.foldText)
	hosts := make([]string, len(same))
	for i, l := range same {
		hosts[i] = l.host
		l.shown = true
		f.bytes -= len(l.text) + foldCost
	}
	for _, l := range same {
		if l.next == nil {
			delete(f.last, l.host)
		} else {
			f.heads[l.next.foldText] = append(f.heads[l.next.foldText], l.next)
		}
	}
	out, terminal, color := f.way.out, f.o.OutTerminal, f.o.Color
	if first.stream == event.Stderr {
		out, terminal, color = f.way.err, f.o.ErrTerminal, f.o.ErrColor
	}
	w := liveLines{prefix: f.prefix(hosts, terminal, color), safe: terminal, red: color && first.stream == event.Stderr}
	if f.o.Timestamps {
		w.at = first.at
	}
	out.Write(w.appendLine(nil, []byte(first.text)))
}

// prefix is the hosts of a line, as live has them where it is one.
func (f *liveFold) prefix(hosts []string, terminal, color bool) []byte {
	name := f.foldFor(hosts, terminal)
	if color {
		name = "\x1b[" + nameColor(hosts) + "m" + name + "\x1b[0m"
	}
	return append([]byte(name), ": "...)
}

// flush has a host's last lines wait, where they have no end.
func (f *liveFold) flush(host string) {
	st := f.states.take(host)
	if st == nil {
		return
	}
	for _, s := range []event.Stream{event.Stdout, event.Stderr} {
		part := &st.out
		if s == event.Stderr {
			part = &st.err
		}
		part.flush(nil, f.waiting(host, s))
	}
}

// Resent implements event.RetrySink: what an earlier try wrote stays.
func (f *liveFold) Resent(host string) {
	f.base.Resent(host)
	f.flush(host)
}

// Result implements event.Sink.
func (f *liveFold) Result(r event.Result) {
	f.flush(r.Host)
	discard(r.Stdout, r.Stderr)
	f.count(r)
}

// Finish implements event.Sink.
func (f *liveFold) Finish(s event.Summary) error {
	if f.stop != nil {
		close(f.stop)
		<-f.done
	}
	f.show(f.o.Clock(), true)
	return f.finish(s, true)
}
