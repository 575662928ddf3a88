package render

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"fleet/internal/event"
)

// pieceMax bounds what is held of a line that has no end yet. A longer line is
// shown in pieces of this size, each as a line of its own.
const pieceMax = 64 << 10

// hostState is what is held back of one host's output.
type hostState struct {
	out, err           stream
	outLines, errLines liveLines // of live output
}

// lines writes the lines of one of the host's streams.
func (h *hostState) lines(s event.Stream) *liveLines {
	if s == event.Stderr {
		return &h.errLines
	}
	return &h.outLines
}

// stream is the end of a stream that is not yet shown: a line without its end,
// or a character without its last bytes. It is used by one call at a time.
type stream struct {
	part []byte
}

// hostStates finds the state of each host that runs.
type hostStates struct {
	mu sync.Mutex
	m  map[string]*hostState
}

// get returns the state of host, made by make0 if there is none.
func (h *hostStates) get(host string, make0 func(host string) *hostState) *hostState {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.m[host]
	if st == nil {
		if h.m == nil {
			h.m = make(map[string]*hostState)
		}
		st = make0(host)
		h.m[host] = st
	}
	return st
}

// take removes and returns the state of host, nil if there is none.
func (h *hostStates) take(host string) *hostState {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.m[host]
	delete(h.m, host)
	return st
}

// lineWriter turns a line, without its line feed, into what is shown.
type lineWriter interface {
	appendLine(dst, line []byte) []byte
}

// add appends to dst all lines that data ends and holds back what remains.
func (s *stream) add(dst, data []byte, w lineWriter) []byte {
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		if i >= 0 && len(s.part) == 0 && i <= pieceMax {
			dst = w.appendLine(dst, data[:i])
			data = data[i+1:]
			continue
		}
		seg := data
		if i >= 0 {
			seg = data[:i]
		}
		dst = s.hold(dst, seg, w)
		if i < 0 {
			break
		}
		dst = w.appendLine(dst, s.part)
		s.part = s.part[:0]
		data = data[i+1:]
	}
	return dst
}

// hold adds seg, which has no line feed, to the part held back. Whatever is
// more than one piece goes to dst.
func (s *stream) hold(dst, seg []byte, w lineWriter) []byte {
	for len(s.part)+len(seg) > pieceMax {
		k := pieceMax - len(s.part)
		s.part = append(s.part, seg[:k]...)
		seg = seg[k:]
		cut := len(s.part) - incomplete(s.part)
		dst = w.appendLine(dst, s.part[:cut])
		s.part = s.part[:copy(s.part, s.part[cut:])]
	}
	s.part = append(s.part, seg...)
	return dst
}

// flush appends what was held back, as a line.
func (s *stream) flush(dst []byte, w lineWriter) []byte {
	if len(s.part) > 0 {
		dst = w.appendLine(dst, s.part)
	}
	s.part = nil
	return dst
}

// incomplete is the number of bytes, 0 to 3, at the end of p that begin a UTF-8
// sequence which more bytes could complete.
func incomplete(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		c := p[len(p)-n]
		if utf8.RuneStart(c) {
			if c >= 0xc0 && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
