package render

import (
	"strconv"

	"fleet/internal/event"
)

// jsonl writes each event as one JSON object on one line, as it comes.
type jsonl struct {
	base
	states hostStates
	id     []byte // ,"run":"..." for every line
}

func newJSONL(o Options) *jsonl {
	j := &jsonl{}
	j.init(o, true)
	return j
}

// Start implements event.Sink.
func (j *jsonl) Start(r event.Run) {
	j.base.Start(r)
	j.id = appendString([]byte(`,"run":`), r.ID)
	p := j.open(nil, "run")
	p = appendString(append(p, `,"command":`...), r.Command)
	p = strconv.AppendInt(append(p, `,"hosts":`...), int64(r.Hosts), 10)
	p = appendTime(append(p, `,"time":`...), r.Time)
	j.way.out.Write(append(p, "}\n"...))
}

// open begins an object of a type.
func (j *jsonl) open(p []byte, typ string) []byte {
	p = append(append(p, `{"v":1,"type":"`...), typ...)
	return append(append(p, '"'), j.id...)
}

// Output implements event.Sink. A character that the data ends within is held
// back until its other bytes come.
func (j *jsonl) Output(o event.Output) {
	if len(o.Data) == 0 {
		return
	}
	j.base.Output(o)
	st := j.states.get(o.Host, func(string) *hostState { return &hostState{} })
	s := &st.out
	if o.Stream == event.Stderr {
		s = &st.err
	}
	data := o.Data
	if len(s.part) > 0 {
		s.part = append(s.part, data...)
		data = s.part
	}
	whole := data[:len(data)-incomplete(data)]
	if len(whole) > 0 {
		j.output(o, whole)
	}
	rest := data[len(whole):]
	switch {
	case len(rest) == 0:
		s.part = s.part[:0]
	case cap(s.part) > 4096:
		s.part = append([]byte(nil), rest...)
	default:
		s.part = append(s.part[:0], rest...)
	}
}

func (j *jsonl) output(o event.Output, data []byte) {
	buf := buffers.Get().(*[]byte)
	p := j.open((*buf)[:0], "output")
	p = appendString(append(p, `,"host":`...), o.Host)
	p = appendString(append(p, `,"stream":`...), string(o.Stream))
	p = appendBytes(append(p, ','), "data", data)
	p = appendTime(append(p, `,"time":`...), o.Time)
	p = append(p, "}\n"...)
	j.way.out.Write(p)
	*buf = p
	putBuffer(buf)
}

// Result implements event.Sink.
func (j *jsonl) Result(r event.Result) {
	if st := j.states.take(r.Host); st != nil {
		if len(st.out.part) > 0 {
			j.output(event.Output{Host: r.Host, Stream: event.Stdout, Time: r.Time}, st.out.part)
		}
		if len(st.err.part) > 0 {
			j.output(event.Output{Host: r.Host, Stream: event.Stderr, Time: r.Time}, st.err.part)
		}
	}
	buf := buffers.Get().(*[]byte)
	p := j.open((*buf)[:0], "result")
	p = appendResult(append(p, ','), &r)
	p = append(p, "}\n"...)
	j.way.out.Write(p)
	*buf = p
	putBuffer(buf)
	discard(r.Stdout, r.Stderr)
	j.count(r)
}

// Mark implements event.MarkSink: a batch as it begins, a gate as it ends.
func (j *jsonl) Mark(m event.Mark) {
	j.base.Mark(m)
	if p := j.appendMark(nil, m); p != nil {
		j.way.out.Write(p)
	}
}

func (j *jsonl) appendMark(p []byte, m event.Mark) []byte {
	switch m.Kind {
	case event.BatchBegan:
		p = j.appendBatch(j.open(p, "batch"), m)
		p = appendStrings(append(p, `,"hosts":`...), m.Hosts)
	case event.GateEnded:
		p = j.appendBatch(j.open(p, "gate"), m)
		p = appendString(append(p, `,"gate":`...), string(m.Gate))
		p = appendString(append(p, `,"text":`...), m.Text)
		p = strconv.AppendBool(append(p, `,"passed":`...), m.Cause == nil)
		p = appendCause(append(p, `,"cause":`...), m.Cause)
		p = appendBytes(append(p, ','), "output", m.Output)
		p = strconv.AppendBool(append(p, `,"truncated":`...), m.Cut)
		p = strconv.AppendInt(append(p, `,"took_ms":`...), m.Took.Milliseconds(), 10)
	case event.StragglersLeft:
		p = appendStrings(append(j.open(p, "stragglers"), `,"hosts":`...), m.Hosts)
		p = strconv.AppendInt(append(p, `,"after_ms":`...), m.Took.Milliseconds(), 10)
	default:
		return p
	}
	return append(appendTime(append(p, `,"time":`...), m.Time), "}\n"...)
}

func (j *jsonl) appendBatch(p []byte, m event.Mark) []byte {
	p = strconv.AppendInt(append(p, `,"batch":`...), int64(m.Batch), 10)
	return strconv.AppendInt(append(p, `,"batches":`...), int64(m.Batches), 10)
}

// appendStrings appends a list of strings.
func appendStrings(p []byte, list []string) []byte {
	p = append(p, '[')
	for i, s := range list {
		if i > 0 {
			p = append(p, ',')
		}
		p = appendString(p, s)
	}
	return append(p, ']')
}

// Finish implements event.Sink.
func (j *jsonl) Finish(s event.Summary) error {
	p := j.open(nil, "summary")
	p = appendSummary(append(p, ','), s, j.same())
	j.way.out.Write(append(p, "}\n"...))
	return j.finish(s, false)
}
