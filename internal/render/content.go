package render

import (
	"bufio"
	"bytes"
	"io"
	"sync"
	"sync/atomic"
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

const (
	// stampsMax bounds the times that are kept of one stream; a stream that came in
	// more pieces has coarser ones.
	stampsMax = 4096
	// stampsAll is how many are kept of all streams before each has stampsFew at most.
	stampsAll = 1 << 20
	stampsFew = 64
)

// stamps are the times at which the pieces of a stream came.
type stamps struct {
	marks []stamp
	gap   time.Duration // what comes sooner after a mark counts to it
	next  int           // in reading
}

type stamp struct {
	end int64 // of what came then, in bytes from the start
	at  int64 // nanoseconds of Unix time
}

// add notes that n bytes came at that time, and gives by how many marks there are
// more then. There will not be more than most.
func (s *stamps) add(n int, came time.Time, most int) (more int) {
	end, at, before := int64(n), came.UnixNano(), len(s.marks)
	if before > 0 {
		last := &s.marks[before-1]
		end += last.end
		if at-last.at < int64(max(s.gap, time.Millisecond)) {
			last.end = end
			return 0
		}
	}
	if before >= most {
		s.gap = time.Duration(at-s.marks[0].at) / time.Duration(most/2)
		s.coarsen(most)
	}
	s.marks = append(s.marks, stamp{end, at})
	return len(s.marks) - before
}

// coarsen joins neighbours, so that half of most are left.
func (s *stamps) coarsen(most int) {
	kept := s.marks[:0]
	if cap(s.marks) > 2*most {
		kept = make([]stamp, 0, most)
	}
	step := (2*len(s.marks) + most - 1) / most
	for i := 0; i < len(s.marks); i += step {
		kept = append(kept, stamp{s.marks[min(i+step, len(s.marks))-1].end, s.marks[i].at})
	}
	s.marks = kept
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
	return time.Unix(0, s.marks[s.next].at)
}

// hostStamps are the stamps of hosts that run.
type hostStamps struct {
	mu    sync.Mutex
	m     map[string]*streamStamps
	marks atomic.Int64 // of all hosts, those that are kept too
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
			h.m = make(map[string]*streamStamps)
		}
		st = new(streamStamps)
		h.m[o.Host] = st
	}
	h.mu.Unlock()
	most := stampsMax
	if h.marks.Load() >= stampsAll {
		most = stampsFew
	}
	h.marks.Add(int64(st[streamIndex(o.Stream)].add(len(o.Data), o.Time, most)))
}

// take removes and returns the stamps of a host, nil if there are none. Who keeps
// them says so by keep.
func (h *hostStamps) take(host string) *streamStamps {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.m[host]
	delete(h.m, host)
	h.marks.Add(-st.count())
	return st
}

// keep counts stamps that were taken and are kept.
func (h *hostStamps) keep(st *streamStamps) { h.marks.Add(st.count()) }

// streamStamps are those of a host's two streams.
type streamStamps [2]stamps

func (st *streamStamps) count() int64 {
	if st == nil {
		return 0
	}
	return int64(len(st[0].marks) + len(st[1].marks))
}
