package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/internal/event"
)

const (
	progressEvery = 10 * time.Second // between lines where there is no status line
	progressJSON  = time.Second      // between the events of one host
	barWidth      = 10
	slowestMax    = 2 // hosts named that are furthest behind
)

// Progress implements event.ProgressSink.
func (b *base) Progress(p event.Progress) {
	if line := b.tally.progress(p, b.o.ErrTerminal && !b.o.NoStatus); line != "" {
		b.Note(b.o.Prog + ": " + line)
	}
}

// Progress implements event.ProgressSink: it is an event, too.
func (j *jsonl) Progress(p event.Progress) {
	j.base.Progress(p)
	if !j.tally.due(p) {
		return
	}
	line := appendString(append(j.open(nil, "progress"), `,"host":`...), p.Host)
	for _, n := range []struct {
		name  string
		value int64
	}{{"bytes", p.Bytes}, {"total", p.Total}, {"files", int64(p.Files)}, {"count", int64(p.Count)}} {
		line = append(append(append(line, `,"`...), n.name...), `":`...)
		line = strconv.AppendInt(line, n.value, 10)
	}
	line = appendTime(append(line, `,"time":`...), p.Time)
	j.way.out.Write(append(line, "}\n"...))
}

// moving is how far the transfer of one host is.
type moving struct {
	event.Progress
	told time.Time // the last event of it
}

// progress takes it into account and gives a line to be shown, if one is due.
func (t *tally) progress(p event.Progress, status bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.files
	if f.now == nil {
		f.now = make(map[string]*moving)
		f.told = t.o.Clock()
	}
	m := f.now[p.Host]
	if m == nil {
		m = &moving{}
		f.now[p.Host] = m
	}
	m.Progress = p
	now := t.o.Clock()
	if status || now.Sub(f.told) < progressEvery {
		return ""
	}
	f.told = now
	return fmt.Sprintf("%d/%d hosts · ", t.done, t.total) + strings.Join(t.transferFields(false), " · ")
}

// due says that an event of the host is to be written.
func (t *tally) due(p event.Progress) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.files.now[p.Host]
	if m == nil || p.Time.Sub(m.told) < progressJSON {
		return false
	}
	m.told = p.Time
	return true
}

// transferFields say how far all transfers are: a bar, bytes, rate, the time
// that is left, who is furthest behind.
func (t *tally) transferFields(bar bool) []string {
	f := &t.files
	done, total, known := f.ended, f.endedTotal, f.endedHosts
	for _, m := range f.now {
		done += m.Bytes
		total += max(m.Total, m.Bytes)
		known++
	}
	if hosts := t.total - f.none; known > 0 && hosts > known { // those that have not begun are like those that have
		total = total / int64(known) * int64(hosts)
	}
	if total == 0 {
		return nil
	}
	part := min(1, float64(done)/float64(total))
	text := FormatBytes(done) + " of " + FormatBytes(total)
	if bar {
		full := int(part * barWidth)
		text = "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + text
	}
	fields := []string{text}
	if rate := f.rate(t.o.Clock(), done); rate > 0 {
		fields = append(fields, FormatBytes(int64(rate))+"/s")
		if done < total {
			fields = append(fields, "eta "+formatETA(float64(total-done)/rate))
		}
	}
	if behind := f.behind(); behind != "" {
		fields = append(fields, "slowest "+behind)
	}
	return fields
}

// rate is bytes per second over the last rateWindow.
func (f *transfers) rate(now time.Time, done int64) float64 {
	f.samples = append(f.samples, byteSample{now, done})
	for len(f.samples) > 1 && now.Sub(f.samples[1].at) >= rateWindow {
		f.samples = f.samples[1:]
	}
	first := f.samples[0]
	if secs := now.Sub(first.at).Seconds(); secs > 0 {
		return float64(done-first.bytes) / secs
	}
	return 0
}

type byteSample struct {
	at    time.Time
	bytes int64
}

// behind names the hosts that are furthest behind, if there are others.
func (f *transfers) behind() string {
	if len(f.now) < 2 {
		return ""
	}
	var list []*moving
	for _, m := range f.now {
		if m.Total > 0 && m.Bytes < m.Total {
			list = append(list, m)
		}
	}
	part := func(m *moving) float64 { return float64(m.Bytes) / float64(m.Total) }
	slices.SortFunc(list, func(a, b *moving) int {
		return cmp.Or(cmp.Compare(part(a), part(b)), cmp.Compare(a.Host, b.Host))
	})
	var names []string
	for _, m := range list[:min(len(list), slowestMax)] {
		names = append(names, fmt.Sprintf("%s %.0f%%", SafeLine(m.Host), 100*part(m)))
	}
	return strings.Join(names, ", ")
}
