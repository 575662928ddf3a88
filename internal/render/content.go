package render

import (
	"bufio"
	"bytes"
	"io"
	"sync"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
)

// stampFormat is how the time of a line is shown, in local time.
const stampFormat = "15:04:05.000 "

// capture is one of a fold's streams.
func (f *fold) capture(s event.Stream) *output.Capture {
	if s == event.Stderr {
		return f.err
	}
	return f.out
}

// content shows a stream of a fold, exact in a pipe unless it is masked or
// stamped, and ends its last line.
func (g *group) content(w *bufio.Writer, f *fold, s event.Stream) {
	c := f.capture(s)
	if c.Len() == 0 {
		return
	}
	var err error
	if g.o.OutTerminal || g.o.Mask != nil || f.stamps != nil {
		lines := &contentLines{w: w, as: shownLines{
			maskedLines: maskedLines{mask: g.o.Mask, names: g.o.Mask.names(f.first, g.o.Aliases)},
			safe:        g.o.OutTerminal,
		}}
		if f.stamps != nil {
			lines.as.stamps = &f.stamps[streamIndex(s)]
		}
		_, err = io.Copy(lines, c.Reader())
		w.Write(lines.s.flush(nil, &lines.as))
	} else {
		tail := tailWriter{w: w}
		_, err = io.Copy(&tail, c.Reader())
		if tail.last != '\n' {
			w.WriteByte('\n')
		}
	}
	if err != nil && g.way.direct.err == nil {
		g.Note(g.o.Prog + ": read kept output: " + err.Error())
	}
}

// tailWriter remembers the last byte.
type tailWriter struct {
	w    io.Writer
	last byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		t.last = p[len(p)-1]
	}
	return t.w.Write(p)
}

// contentLines writes lines of a capture.
type contentLines struct {
	w   io.Writer
	s   stream
	as  shownLines
	buf []byte
}

func (l *contentLines) Write(p []byte) (int, error) {
	l.buf = l.s.add(l.buf[:0], p, &l.as)
	_, err := l.w.Write(l.buf)
	return len(p), err
}

// shownLines shows lines without a prefix: masked, behind the time at which
// they came, and made safe for a terminal, each where that is wanted. On a
// terminal a line that looks like a header gets a backslash before it.
type shownLines struct {
	maskedLines
	safe   bool
	stamps *stamps
	buf    []byte
	off    int64 // bytes up to the line's end
}

func (w *shownLines) appendLine(dst, line []byte) []byte {
	w.off += int64(len(line)) + 1
	if w.stamps != nil {
		dst = w.stamps.at(w.off).AppendFormat(dst, stampFormat)
	}
	if w.mask != nil {
		w.buf = w.mask.apply(w.buf[:0], line, w.names)
		line = w.buf
	}
	if !w.safe {
		return append(append(dst, line...), '\n')
	}
	start := len(dst)
	dst = AppendSafe(dst, bytes.TrimSuffix(line, []byte("\r")))
	if w.stamps == nil && likeHeader(dst[start:]) {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '\\'
	}
	return append(dst, '\n')
}

// stampsMax bounds the times that are kept of one stream; a stream that came in
// more pieces has coarser ones.
const stampsMax = 4096

// stamps are the times at which the pieces of a stream came.
type stamps struct {
	marks []stamp
	gap   time.Duration // what comes sooner after a mark counts to it
	next  int           // in reading
}

type stamp struct {
	end int64 // of what came then, in bytes from the start
	at  time.Time
}

func (s *stamps) add(n int, at time.Time) {
	end := int64(n)
	if last := len(s.marks) - 1; last >= 0 {
		end += s.marks[last].end
		if at.Sub(s.marks[last].at) < max(s.gap, time.Millisecond) {
			s.marks[last].end = end
			return
		}
	}
	if len(s.marks) == stampsMax {
		s.gap = at.Sub(s.marks[0].at) / (stampsMax / 2)
		for i := range stampsMax / 2 {
			s.marks[i] = stamp{s.marks[2*i+1].end, s.marks[2*i].at}
		}
		s.marks = s.marks[:stampsMax/2]
	}
	s.marks = append(s.marks, stamp{end, at})
}

// at is when the byte before off came, or somewhat earlier, in local time. It is asked for offsets
// that do not decrease.
func (s *stamps) at(off int64) time.Time {
	for s.next < len(s.marks)-1 && s.marks[s.next].end < off {
		s.next++
	}
	if len(s.marks) == 0 {
		return time.Time{}
	}
	return s.marks[s.next].at.Local()
}

// hostStamps are the stamps of hosts that run.
type hostStamps struct {
	mu sync.Mutex
	m  map[string]*[2]stamps
}

func streamIndex(s event.Stream) int {
	if s == event.Stderr {
		return 1
	}
	return 0
}

func (h *hostStamps) add(o event.Output) {
	h.mu.Lock()
	st := h.m[o.Host]
	if st == nil {
		if h.m == nil {
			h.m = make(map[string]*[2]stamps)
		}
		st = new([2]stamps)
		h.m[o.Host] = st
	}
	h.mu.Unlock()
	st[streamIndex(o.Stream)].add(len(o.Data), o.Time)
}

// take removes and returns the stamps of a host, nil if there are none.
func (h *hostStamps) take(host string) *[2]stamps {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.m[host]
	delete(h.m, host)
	return st
}
