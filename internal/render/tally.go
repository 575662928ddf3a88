package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

const (
	waitingMax = 5                // hosts named in the status line at the end
	rateWindow = 10 * time.Second // over which hosts per second are measured
)

// causeKey is what results must share to be told in one line.
type causeKey struct {
	outcome scheduler.Outcome
	cause   scheduler.Cause
	kill    event.Kill
}

// tally counts hosts as they start and end.
type tally struct {
	o Options

	mu      sync.Mutex
	began   time.Time
	total   int
	done    int
	counts  map[scheduler.Outcome]int
	running map[string]struct{}
	causes  map[causeKey][]string
	details map[causeKey]map[string][]string // of those causes that have some: hosts by detail
	cut     []string                         // hosts with more output than the limit
	unkept  []string                         // hosts with output that could not be kept
	tries   map[string][]string              // hosts by how often they were tried, where more than once
	open    []string                         // hosts with a process left that held the output open
	noise   map[string][]string              // hosts by what their login shell wrote before the command
	kept    map[string][]string              // hosts by how much of their output the record has, where not all
	oks     []string                         // of a run that may halt
	guarded bool
	phase   string   // what the run waits for between its batches
	samples []sample // for the rate, oldest first
	files   transfers
}

type sample struct {
	at   time.Time
	done int
}

func (t *tally) init(o Options) {
	t.o = o
	t.counts = make(map[scheduler.Outcome]int)
	t.running = make(map[string]struct{})
	t.causes = make(map[causeKey][]string)
}

func (t *tally) begin(r event.Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total, t.guarded = r.Hosts, r.Guarded
	t.began = t.o.Clock()
	t.samples = append(t.samples, sample{t.began, 0})
}

func (t *tally) started(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[host] = struct{}{}
}

func (t *tally) result(r event.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, r.Host)
	t.done++
	t.counts[r.Outcome]++
	switch {
	case r.Kept != nil:
		if t.kept == nil {
			t.kept = make(map[string][]string)
		}
		text := keptText(r)
		t.kept[text] = append(t.kept[text], r.Host)
	case r.Unstored:
		t.unkept = append(t.unkept, r.Host)
	case r.Truncated:
		t.cut = append(t.cut, r.Host)
	}
	if r.Lingering {
		t.open = append(t.open, r.Host)
	}
	t.transferred(r)
	if r.NoiseBytes > 0 {
		if t.noise == nil {
			t.noise = make(map[string][]string)
		}
		t.noise[r.Noise] = append(t.noise[r.Noise], r.Host)
	}
	if r.Tries > 1 {
		if t.tries == nil {
			t.tries = make(map[string][]string)
		}
		text := triesText(r)
		t.tries[text] = append(t.tries[text], r.Host)
	}
	if r.Outcome == scheduler.OK {
		if t.guarded {
			t.oks = append(t.oks, r.Host)
		}
		return
	}
	key := causeKey{outcome: r.Outcome, kill: r.Kill}
	if r.Cause != nil {
		key.cause = *r.Cause
	} else {
		key.cause.Text = string(r.Outcome)
	}
	t.causes[key] = append(t.causes[key], r.Host)
	if text := leftText(r); text != "" {
		t.detail(key, text, r.Host)
	}
	if r.Detail != "" {
		t.detail(key, r.Detail, r.Host)
	}
}

// triesText says how often a host was tried.
func triesText(r event.Result) string {
	if r.Outcome == scheduler.OK {
		return fmt.Sprintf("ok, but not before try %d", r.Tries)
	}
	return fmt.Sprintf("tried %d times", r.Tries)
}

// keptText says how much of a host's output the record has.
func keptText(r event.Result) string {
	if r.Kept.Partial {
		return "the output is partial: " + plural(int(r.Kept.Stdout+r.Kept.Stderr), "byte") + " had come to the record when fleet died"
	}
	var parts []string
	for _, s := range []struct {
		name    event.Stream
		kept, n int64
	}{{event.Stdout, r.Kept.Stdout, r.StdoutBytes}, {event.Stderr, r.Kept.Stderr, r.StderrBytes}} {
		if s.kept < s.n {
			parts = append(parts, fmt.Sprintf("%d of %d bytes of %s", s.kept, s.n, s.name))
		}
	}
	return "truncated: the record has " + strings.Join(parts, ", ")
}

// leftText says which processes of a command that was given up are still there.
func leftText(r event.Result) string {
	switch {
	case r.Kill != event.KillUnconfirmed || r.PID == 0:
		return ""
	case len(r.Left) == 0:
		return fmt.Sprintf("process %d", r.PID)
	}
	pids := make([]string, len(r.Left))
	for i, pid := range r.Left {
		pids[i] = strconv.Itoa(pid)
	}
	return "still there: process " + strings.Join(pids, ", ")
}

// detail notes what key leaves out of a host.
func (t *tally) detail(key causeKey, text, host string) {
	if t.details == nil {
		t.details = make(map[causeKey]map[string][]string)
	}
	if t.details[key] == nil {
		t.details[key] = make(map[string][]string)
	}
	t.details[key][text] = append(t.details[key][text], host)
}

// notOK says that some host did not end ok.
func (t *tally) notOK() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.causes) > 0
}

// status is the text of the status line now.
func (t *tally) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if moved := t.transferFields(true); len(t.files.now) > 0 && len(moved) > 0 {
		return strings.Join(append(t.countFields(false), moved...), " · ")
	}
	fields := t.countFields(true)
	if n := len(t.running); n > 0 {
		fields = append(fields, fmt.Sprintf("running %d", n))
	}
	left := t.total - t.done
	rate := t.rate()
	switch {
	case t.phase != "":
		fields = append(fields, t.phase)
	case left > 0 && left <= waitingMax && len(t.running) == left:
		fields = append(fields, "waiting for "+t.waiting())
	case rate > 0 && left > 0:
		fields = append(fields, formatRate(rate), "eta "+formatETA(float64(left)/rate))
	}
	return strings.Join(fields, " · ")
}

// countFields say how many hosts are done, and how they ended; also if well, if
// there is room for it.
func (t *tally) countFields(well bool) []string {
	fields := []string{fmt.Sprintf("%d/%d", t.done, t.total)}
	for _, o := range scheduler.Outcomes {
		if n := t.counts[o]; o == scheduler.OK && well || o != scheduler.OK && n > 0 {
			fields = append(fields, outcomeColor(t.o.ErrColor, o, fmt.Sprintf("%s %d", o, n)))
		}
	}
	return fields
}

// waiting names the hosts that run.
func (t *tally) waiting() string {
	names := make([]string, 0, len(t.running))
	for host := range t.running {
		names = append(names, SafeLine(host))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// rate is hosts per second over the last rateWindow.
func (t *tally) rate() float64 {
	now := t.o.Clock()
	for len(t.samples) > 1 && now.Sub(t.samples[1].at) >= rateWindow {
		t.samples = t.samples[1:]
	}
	if len(t.samples) == 0 {
		return 0
	}
	first := t.samples[0]
	t.samples = append(t.samples, sample{now, t.done})
	secs := now.Sub(first.at).Seconds()
	if secs <= 0 {
		return 0
	}
	return float64(t.done-first.done) / secs
}

func formatRate(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f host/s", perSecond)
	}
	return fmt.Sprintf("%.0f host/s", perSecond)
}

// formatETA is M:SS, or H:MM:SS from an hour on.
func formatETA(seconds float64) string {
	if seconds > 100*3600 {
		return "days"
	}
	s := int(seconds + 0.999)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// outcomeColor paints text in the colour of an outcome.
func outcomeColor(color bool, o scheduler.Outcome, text string) string {
	if !color {
		return text
	}
	code := "33" // yellow: not run, or not known
	switch o {
	case scheduler.OK:
		code = "32"
	case scheduler.Failed:
		code = "31"
	case scheduler.Lost:
		code = "35"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
