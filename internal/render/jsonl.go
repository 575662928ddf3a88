package render

import (
	"strconv"
	"time"

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

// flush writes what was held back of a host.
func (j *jsonl) flush(host string, at time.Time) {
	st := j.states.take(host)
	if st == nil {
		return
	}
	if len(st.out.part) > 0 {
		j.output(event.Output{Host: host, Stream: event.Stdout, Time: at}, st.out.part)
	}
	if len(st.err.part) > 0 {
		j.output(event.Output{Host: host, Stream: event.Stderr, Time: at}, st.err.part)
	}
}

// Retry implements event.RetrySink. Outputs of the host before its line are
// those of the try that it tells of, or of one before.
func (j *jsonl) Retry(r event.Retry) {
	j.base.Retry(r)
	j.flush(r.Host, r.Time)
	p := j.open(nil, "retry")
	p = appendString(append(p, `,"host":`...), r.Host)
	p = strconv.AppendInt(append(p, `,"try":`...), int64(r.Try), 10)
	p = strconv.AppendInt(append(p, `,"tries":`...), int64(r.Of), 10)
	p = appendCause(append(p, `,"cause":`...), &r.Cause)
	p = strconv.AppendInt(append(p, `,"wait_ms":`...), r.Wait.Milliseconds(), 10)
	p = appendTime(append(p, `,"time":`...), r.Time)
	j.way.out.Write(append(p, "}\n"...))
}

// Result implements event.Sink.
func (j *jsonl) Result(r event.Result) {
	j.flush(r.Host, r.Time)
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

// GateOutput implements event.GateSink: it comes with the gate's end.
func (*jsonl) GateOutput([]byte) {}

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
		if m.Gate == event.GateHalt {
			p = j.open(p, "on_halt")
		} else {
			p = j.appendBatch(j.open(p, "gate"), m)
			p = appendString(append(p, `,"gate":`...), string(m.Gate))
		}
		p = appendString(append(p, `,"text":`...), m.Text)
		if m.Host != "" {
			p = appendString(append(p, `,"host":`...), m.Host)
		}
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
	p = appendSummary(append(p, ','), s, j.sameJSON())
	j.way.out.Write(append(p, "}\n"...))
	return j.finish(s, false)
}
