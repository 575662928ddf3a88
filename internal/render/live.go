package render

import (
	"bytes"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"fleet/internal/event"
)

// padMax is the longest name to which, on a terminal, others are padded.
const padMax = 24

// prefixColors are the colours of host names; red is kept for what went wrong.
var prefixColors = []string{"32", "33", "35", "36", "92", "93", "94", "95", "96"}

// live shows each line as it comes, behind the name of its host.
type live struct {
	base
	states hostStates
	pad    atomic.Int64 // columns of the longest name so far
}

func newLive(o Options) *live {
	l := &live{}
	l.init(o, true)
	l.talks = true
	return l
}

// buffers are used for what one call writes.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Started implements event.Sink.
func (l *live) Started(host string, at time.Time) {
	if l.o.OutTerminal || l.o.ErrTerminal {
		if w := int64(columns(SafeLine(host))); w <= padMax && w > l.pad.Load() {
			l.pad.Store(w)
		}
	}
	l.base.Started(host, at)
}

// Output implements event.Sink.
func (l *live) Output(o event.Output) {
	l.base.Output(o)
	st := l.states.get(o.Host, l.newState)
	if l.o.Timestamps {
		st.lines(o.Stream).at = o.Time
	}
	buf := buffers.Get().(*[]byte)
	if o.Stream == event.Stderr {
		*buf = st.err.add((*buf)[:0], o.Data, &st.errLines)
	} else {
		*buf = st.out.add((*buf)[:0], o.Data, &st.outLines)
	}
	l.write(o.Stream, *buf)
	putBuffer(buf)
}

// flush shows a host's last lines, where they have no end.
func (l *live) flush(host string) {
	if st := l.states.take(host); st != nil {
		l.write(event.Stdout, st.out.flush(nil, &st.outLines))
		l.write(event.Stderr, st.err.flush(nil, &st.errLines))
	}
}

// Resent implements event.RetrySink: what an earlier try wrote stays.
func (l *live) Resent(host string) {
	l.base.Resent(host)
	l.flush(host)
}

// Result implements event.Sink.
func (l *live) Result(r event.Result) {
	l.flush(r.Host)
	discard(r.Stdout, r.Stderr)
	l.count(r)
}

// Finish implements event.Sink.
func (l *live) Finish(s event.Summary) error { return l.finish(s, true) }

func (l *live) write(s event.Stream, p []byte) {
	if len(p) == 0 {
		return
	}
	if s == event.Stderr {
		l.way.err.Write(p)
	} else {
		l.way.out.Write(p)
	}
}

// putBuffer keeps buffers of ordinary size for the next call.
func putBuffer(buf *[]byte) {
	if cap(*buf) <= 2*pieceMax {
		buffers.Put(buf)
	}
}

// newState makes what stands before a host's lines.
func (l *live) newState(host string) *hostState {
	return &hostState{
		outLines: liveLines{
			prefix: l.prefix(host, l.o.OutTerminal, l.o.Color),
			safe:   l.o.OutTerminal,
		},
		errLines: liveLines{
			prefix: l.prefix(host, l.o.ErrTerminal, l.o.ErrColor),
			safe:   l.o.ErrTerminal,
			red:    l.o.ErrColor,
		},
	}
}

// prefix is "HOST: ", on a terminal coloured and padded.
func (l *live) prefix(host string, terminal, color bool) []byte {
	name := SafeLine(host)
	var p []byte
	if color {
		p = append(p, "\x1b["+nameColor([]string{host})+"m"+name+"\x1b[0m"...)
	} else {
		p = append(p, name...)
	}
	p = append(p, ": "...)
	for w := int64(columns(name)); terminal && w < l.pad.Load(); w++ {
		p = append(p, ' ')
	}
	return p
}

// nameColor is the colour of a host's name, from run to run the same. Several
// hosts are bold.
func nameColor(hosts []string) string {
	if len(hosts) > 1 {
		return "1"
	}
	h := fnv.New32a()
	h.Write([]byte(hosts[0]))
	return prefixColors[h.Sum32()%uint32(len(prefixColors))]
}

// liveLines writes lines of one host and stream.
type liveLines struct {
	prefix []byte
	safe   bool // for a terminal
	red    bool
	at     time.Time // of the line, if it is shown
}

func (w *liveLines) appendLine(dst, line []byte) []byte {
	dst = append(dst, w.prefix...)
	if !w.at.IsZero() {
		dst = w.at.Local().AppendFormat(dst, stampFormat)
	}
	if w.red {
		dst = append(dst, "\x1b[31m"...)
	}
	if w.safe {
		dst = AppendSafe(dst, bytes.TrimSuffix(line, []byte("\r")))
	} else {
		dst = append(dst, line...)
	}
	if w.red {
		dst = append(dst, "\x1b[0m"...)
	}
	return append(dst, '\n')
}
