package render

import (
	"bufio"
	"encoding/base64"
	"io"
	"sync"
	"unicode/utf8"

	"fleet/internal/event"
	"fleet/internal/output"
)

// document writes a run as one JSON object. A goroutine of its own writes each
// result when it has come and gives its captures back, so that neither memory
// nor a slow reader holds the run up.
type document struct {
	base
	w    *bufio.Writer
	buf  []byte
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	work    sync.Cond
	results []event.Result // not yet written
	closed  bool
}

func newDocument(o Options) *document {
	d := &document{done: make(chan struct{})}
	d.init(o, false)
	d.work.L = &d.mu
	d.w = bufio.NewWriterSize(d.way.out, 64<<10)
	go d.write()
	return d
}

// Result implements event.Sink.
func (d *document) Result(r event.Result) {
	d.count(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results = append(d.results, r)
	d.work.Signal()
}

// Finish implements event.Sink.
func (d *document) Finish(s event.Summary) error {
	d.mu.Lock()
	d.closed = true
	d.work.Signal()
	d.mu.Unlock()
	<-d.done
	p := append(d.buf[:0], "\n],\"summary\":{"...)
	p = appendSummary(p, s, d.sameJSON())
	d.w.Write(append(p, "}}\n"...))
	d.w.Flush() // the first error stays in the way
	return d.finish(s, false)
}

// write writes results until Finish. The head waits for the first, as Start
// must have come before it.
func (d *document) write() {
	defer close(d.done)
	first := true
	for {
		batch := d.next()
		if first {
			first = false
			p := appendString([]byte(`{"v":1,"run":`), d.run.ID)
			d.w.Write(append(p, `,"results":[`...))
		} else if batch != nil {
			d.w.WriteByte(',')
		}
		if batch == nil {
			return
		}
		for i := range batch {
			if i > 0 {
				d.w.WriteByte(',')
			}
			d.result(&batch[i])
			batch[i] = event.Result{}
		}
	}
}

// next waits for results; nil means that no more come.
func (d *document) next() []event.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.results) == 0 && !d.closed {
		d.work.Wait()
	}
	batch := d.results
	d.results = nil
	return batch
}

func (d *document) result(r *event.Result) {
	d.buf = appendResult(append(d.buf[:0], "\n{"...), r)
	d.w.Write(d.buf)
	d.content("stdout", r.Stdout)
	d.content("stderr", r.Stderr)
	d.w.WriteByte('}')
	discard(r.Stdout, r.Stderr)
}

// content writes a capture as member name, or name_b64 if it is no UTF-8.
func (d *document) content(name string, c *output.Capture) {
	if p, ok := c.Bytes(); ok {
		if c.Truncated() {
			p = p[:len(p)-incomplete(p)]
		}
		d.buf = appendBytes(append(d.buf[:0], ','), name, p)
		d.w.Write(d.buf)
		return
	}
	var check utf8Check
	io.Copy(&check, c.Reader()) // an unreadable capture is noted when it is copied
	d.w.WriteString(`,"` + name)
	if check.bad || len(check.tail) > 0 && !c.Truncated() {
		d.w.WriteString(`_b64":"`)
		enc := base64.NewEncoder(base64.StdEncoding, d.w)
		d.noteErr(io.Copy(enc, c.Reader()))
		enc.Close()
	} else {
		d.w.WriteString(`":"`)
		d.noteErr(io.Copy(&escaper{d: d}, c.Reader()))
	}
	d.w.WriteByte('"')
}

func (d *document) noteErr(_ int64, err error) {
	if err != nil && d.way.direct.err == nil {
		d.Note(d.o.Prog + ": read kept output: " + err.Error())
	}
}

// utf8Check sees whether all that is written to it is UTF-8.
type utf8Check struct {
	bad  bool
	tail []byte // an incomplete character
}

func (u *utf8Check) Write(p []byte) (int, error) {
	n := len(p)
	u.join(p, func(whole []byte) { u.bad = u.bad || !utf8.Valid(whole) })
	return n, nil
}

// join gives f what is whole of the tail and p, and keeps the rest as the tail.
func (u *utf8Check) join(p []byte, f func(whole []byte)) {
	for len(u.tail) > 0 && len(p) > 0 {
		u.tail = append(u.tail, p[0])
		p = p[1:]
		if incomplete(u.tail) == 0 {
			f(u.tail)
			u.tail = u.tail[:0]
		}
	}
	cut := len(p) - incomplete(p)
	if cut > 0 {
		f(p[:cut])
	}
	u.tail = append(u.tail, p[cut:]...)
}

// escaper writes text as the inside of a JSON string. A character that is never
// completed is left out.
type escaper struct {
	d    *document
	join utf8Check
}

func (e *escaper) Write(p []byte) (int, error) {
	n := len(p)
	e.join.join(p, func(whole []byte) {
		for len(whole) > 0 {
			k := min(len(whole), pieceMax)
			k -= incomplete(whole[:k])
			e.d.buf = appendEscaped(e.d.buf[:0], whole[:k])
			e.d.w.Write(e.d.buf)
			whole = whole[k:]
		}
	})
	return n, nil
}
