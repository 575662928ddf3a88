package render

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

// gateLines makes lines of what a gate writes as it comes.
type gateLines struct {
	mu   sync.Mutex
	kind event.GateKind
	rest []byte // of the last line, which has not ended
}

// begin says whose lines come.
func (g *gateLines) begin(kind event.GateKind) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kind = kind
}

// longGateLine is from how many bytes on a line is shown before its end.
const longGateLine = 4 << 10

// take gives the lines that are whole with p, as they are shown.
func (g *gateLines) take(p []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rest = append(g.rest, p...)
	end := bytes.LastIndexByte(g.rest, '\n') + 1
	if len(g.rest)-end > longGateLine {
		end = len(g.rest)
	}
	lines := appendGate(nil, g.kind, g.rest[:end])
	g.rest = append(g.rest[:0], g.rest[end:]...)
	return lines
}

// end gives what is left.
func (g *gateLines) end() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := appendGate(nil, g.kind, g.rest)
	g.rest = nil
	return lines
}

// appendGate appends what a gate wrote, made safe, each line with its prefix.
func appendGate(p []byte, kind event.GateKind, output []byte) []byte {
	if len(output) == 0 {
		return p
	}
	prefix := "gate: "
	if kind == event.GateHalt {
		prefix = "on halt: "
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(AppendSafe(nil, output)), "\n"), "\n") {
		p = append(append(append(p, prefix...), line...), '\n')
	}
	return p
}

// GateOutput implements event.GateSink.
func (b *base) GateOutput(p []byte) {
	if !b.talks {
		return
	}
	if lines := b.gate.take(p); len(lines) > 0 {
		b.way.err.Write(lines)
	}
}

// Mark implements event.MarkSink: modes that show data as lines tell of
// batches and gates, the others only of what is wrong.
func (b *base) Mark(m event.Mark) {
	b.tally.mark(m)
	var p []byte
	switch m.Kind {
	case event.BatchBegan:
		if b.talks {
			p = b.say(fmt.Sprintf("batch %d of %d: %s (%s)", m.Batch, m.Batches, b.foldFor(m.Hosts, b.o.ErrTerminal), plural(len(m.Hosts), "host")))
		}
	case event.GateBegan:
		b.gate.begin(m.Gate)
		if text := gateTitle(m); b.talks && text != "" {
			p = b.say(text)
		}
	case event.GateEnded:
		if b.talks || m.Cause != nil {
			p = b.gateEnd(m)
		}
	case event.StragglersLeft:
		p = b.stragglers(m)
	}
	if len(p) > 0 {
		b.way.err.Write(p)
	}
}

// Retry implements event.RetrySink.
func (b *base) Retry(r event.Retry) {
	if b.o.Verbose > 0 {
		text := fmt.Sprintf("%s: try %d of %d: %s; the next in %s", r.Host, r.Try, r.Of, cutText(r.Cause.Text, causeMax), formatWall(r.Wait))
		b.Note(text)
	}
}

// Resent implements event.RetrySink.
func (b *base) Resent(host string) {
	b.gather.forget(host)
	b.same.forget(host)
}

// say is a line of fleet's own.
func (b *base) say(text string) []byte {
	return []byte(b.wrap(b.o.Prog+": ", text))
}

// gateTitle says what a gate is before it runs; empty for one that takes no time.
func gateTitle(m event.Mark) string {
	switch m.Gate {
	case event.GatePause:
		return fmt.Sprintf("pause of %s after batch %d", ShortTime(parseTime(m.Text)), m.Batch)
	case event.GateCommand:
		where := ""
		if m.Host != "" {
			where = ", on " + SafeLine(m.Host)
		}
		return fmt.Sprintf("gate after batch %d%s: %s", m.Batch, where, SafeLine(cutText(m.Text, causeMax)))
	case event.GateHalt:
		return "on halt: " + SafeLine(cutText(m.Text, causeMax))
	}
	return ""
}

// gateEnd tells how a gate ended, and what it wrote if that was not told yet.
func (b *base) gateEnd(m event.Mark) (p []byte) {
	if b.talks { // all but the last line was shown as it came
		p = b.gate.end()
	} else {
		if m.Cut {
			p = appendGate(p, m.Gate, []byte("… (only the end is shown)\n"))
		}
		p = appendGate(p, m.Gate, m.Output)
	}
	if m.Gate == event.GateHalt {
		return append(p, b.say(haltEnd(m))...)
	}
	switch took := formatWall(m.Took); {
	case m.Cause != nil && m.Gate == event.GateCommand:
		p = append(p, b.say(fmt.Sprintf("gate not passed after %s: %s", took, SafeLine(cutText(m.Cause.Text, causeMax))))...)
		if h := hintFor(*m.Cause); h != "" && m.Cause.Kind != scheduler.KindCanceled && m.Cause.Kind != scheduler.KindTimeout {
			p = append(p, b.wrap(b.o.Prog+": hint: ", h)...)
		}
	case m.Cause != nil && m.Gate == event.GateCanary:
		p = append(p, b.say(SafeLine(m.Cause.Text))...)
	case m.Cause == nil && m.Gate == event.GateCommand:
		p = append(p, b.say("gate passed after "+took)...)
	}
	return p
}

// haltEnd says how what was done after a halt has ended.
func haltEnd(m event.Mark) string {
	took := " after " + formatWall(m.Took)
	switch {
	case m.Cause == nil:
		return "on halt: done" + took
	case m.Cause.Kind == scheduler.KindInternal: // no end is known
		took = ""
	}
	return "on halt: " + SafeLine(cutText(m.Cause.Text, causeMax)) + took
}

// stragglers is the summary of all others, and who is still waited for.
func (b *base) stragglers(m event.Mark) (p []byte) {
	counts, wall, total := b.tally.sofar()
	done := 0
	var fields []string
	for _, o := range scheduler.Outcomes {
		if n := counts[o]; n > 0 {
			done += n
			fields = append(fields, outcomeColor(b.o.ErrColor, o, fmt.Sprintf("%s %d", o, n)))
		}
	}
	text := fmt.Sprintf("%d of %s done in %s", done, plural(total, "host"), formatWall(wall))
	if len(fields) > 0 {
		text += ": " + strings.Join(fields, " · ")
	}
	p = append(p, text+"\n"...)
	p = b.appendCauses(p, b.tally.sortedCauses())
	return b.appendOf(p, m.Hosts, "still running, longer than "+ShortTime(m.Took))
}

// ShortTime is d as text without the parts that say nothing.
func ShortTime(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "m0s") + strings.Repeat("m", min(1, strings.Count(s, "m0s")))
	return strings.TrimSuffix(s, "h0m") + strings.Repeat("h", min(1, strings.Count(s, "h0m")))
}

// mark keeps in mind what the run waits for.
func (t *tally) mark(m event.Mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase = ""
	if m.Kind != event.GateBegan {
		return
	}
	switch m.Gate {
	case event.GatePause:
		t.phase = "pause until " + m.Time.Add(parseTime(m.Text)).Local().Format(time.TimeOnly)
	case event.GateCommand:
		t.phase = fmt.Sprintf("gate after batch %d", m.Batch)
	}
}

func parseTime(s string) time.Duration {
	d, _ := time.ParseDuration(s)
	return d
}

// sofar is what a summary would say now.
func (t *tally) sofar() (counts map[scheduler.Outcome]int, wall time.Duration, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts = make(map[scheduler.Outcome]int, len(t.counts))
	for o, n := range t.counts {
		counts[o] = n
	}
	return counts, t.o.Clock().Sub(t.began), t.total
}
