package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

const (
	causeMax = 600 // bytes of one cause that a summary shows
	// foldCols is how many columns a host set may take on a terminal before it
	// is shortened; pipes get all of it.
	foldCols = 160
	// causeIndent is how far a cause that is wider than the terminal goes on.
	causeIndent = 3
)

// causeOrder is the order of causes in a summary: what matters most comes last,
// next to the prompt.
var causeOrder = []scheduler.Outcome{
	scheduler.Skipped, scheduler.Canceled, scheduler.Lost, scheduler.Unreachable, scheduler.Failed,
}

// summary is the end of a run for people: counts per outcome, how it ended
// early, causes folded over hosts, hints.
func (b *base) summary(s event.Summary) []byte {
	var p []byte
	p = b.appendCounts(p, s)
	p = append(p, b.early(s)...)
	p = b.appendTransfers(p)
	rest := "the rest was not kept"
	switch {
	case s.Recorded && s.RecordCut:
		rest = "the record is not whole either"
	case s.Recorded:
		rest = "the record has the rest"
	}
	p = b.appendRemark(p, b.tally.cut, "output cut at --max-output, "+rest)
	for _, text := range slices.Sorted(maps.Keys(b.tally.kept)) {
		p = b.appendRemark(p, b.tally.kept[text], text)
	}
	p = b.appendRemark(p, b.tally.unkept, "output cut, as the rest could not be kept on this machine")
	p = b.appendRemark(p, b.tally.open, "a background process kept the output open after the command had ended")
	for _, text := range slices.Sorted(maps.Keys(b.tally.tries)) {
		p = b.appendRemark(p, b.tally.tries[text], text)
	}
	if s.Halted {
		p = b.appendRemark(p, b.tally.oks, "ok")
	}
	p = b.appendNoise(p)
	causes := b.tally.sortedCauses()
	p = b.appendCauses(p, causes)
	p = b.appendDifference(p)
	p = b.appendHints(p, causes)
	if (s.Halted || s.Deadline || s.Interrupted) && s.Recorded && s.Counts[scheduler.Skipped] > 0 {
		p = append(p, b.wrap(b.o.Prog+": hint: ", "`"+b.o.Prog+" rerun "+SafeLine(s.Run)+"` goes on with the hosts that did not run; with --not-ok, with all that are not ok")...)
	}
	return p
}

// appendCauses tells each cause once for its hosts.
func (b *base) appendCauses(p []byte, causes []foldedCause) []byte {
	for _, c := range causes {
		p = b.appendOf(p, c.hosts, outcomeColor(b.o.ErrColor, c.outcome, causeText(c.causeKey)))
		p = b.appendDetails(p, c.details)
	}
	return p
}

// appendOf tells text of hosts, in one line that a terminal may break.
func (b *base) appendOf(p []byte, hosts []string, text string) []byte {
	names := b.foldFor(hosts, b.o.ErrTerminal) + ": "
	if b.o.ErrTerminal {
		return append(p, wrapAt(names, text, causeIndent, b.o.Width())...)
	}
	return append(p, names+text+"\n"...)
}

// appendRemark tells what is true of hosts whatever became of them.
func (b *base) appendRemark(p []byte, hosts []string, text string) []byte {
	if len(hosts) == 0 {
		return p
	}
	return b.appendOf(p, hosts, text)
}

// appendNoise tells what login shells wrote where nobody asked them.
func (b *base) appendNoise(p []byte) []byte {
	b.tally.mu.Lock()
	defer b.tally.mu.Unlock()
	for _, text := range slices.Sorted(maps.Keys(b.tally.noise)) {
		p = b.appendRemark(p, b.tally.noise[text], "written by the login shell before the command, and left out: "+SafeLine(text))
	}
	return p
}

// appendCounts writes "5 hosts in 1.2s: ok 3 · failed 2".
func (b *base) appendCounts(p []byte, s event.Summary) []byte {
	total := 0
	var fields []string
	for _, o := range scheduler.Outcomes {
		n := s.Counts[o]
		total += n
		if n > 0 {
			fields = append(fields, outcomeColor(b.o.ErrColor, o, fmt.Sprintf("%s %d", o, n)))
		}
	}
	p = append(p, plural(total, "host")...)
	p = append(p, " in "+formatWall(s.Wall)...)
	if len(fields) > 0 {
		p = append(p, ": "+strings.Join(fields, " · ")...)
	}
	return append(p, '\n')
}

// early says how the run ended before its time, if it did.
func (b *base) early(s event.Summary) string {
	switch {
	case s.Halted && s.Refused != "":
		return b.o.Prog + ": stopped " + refusals[s.Refused] + "\n"
	case s.Halted:
		return b.o.Prog + ": stopped by --max-fail\n"
	case s.Deadline:
		return b.o.Prog + ": stopped at --deadline\n"
	case s.Interrupted:
		return b.o.Prog + ": interrupted\n"
	}
	return ""
}

// refusals say what stopped a run between two batches.
var refusals = map[event.GateKind]string{
	event.GateCanary:  "after the canary",
	event.GatePause:   "in the pause between two batches",
	event.GateCommand: "by --gate",
	event.GateAsk:     "between two batches, as the answer was not yes",
}

// foldedCause is a cause and the hosts that share it.
type foldedCause struct {
	causeKey
	hosts   []string
	details []detail
}

// detail is what a cause leaves out, and the hosts of which it is true.
type detail struct {
	hosts []string // sorted
	text  string
}

// sortedCauses gives the causes in causeOrder, the one of most hosts last.
func (t *tally) sortedCauses() []foldedCause {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]foldedCause, 0, len(t.causes))
	for key, hosts := range t.causes {
		all = append(all, foldedCause{key, hosts, sortedDetails(t.details[key])})
	}
	slices.SortFunc(all, func(x, y foldedCause) int {
		return cmp.Or(
			cmp.Compare(slices.Index(causeOrder, x.outcome), slices.Index(causeOrder, y.outcome)),
			cmp.Compare(len(x.hosts), len(y.hosts)),
			cmp.Compare(x.cause.Text, y.cause.Text),
			cmp.Compare(x.cause.Kind, y.cause.Kind),
			cmp.Compare(x.cause.Stage, y.cause.Stage),
			cmp.Compare(x.kill, y.kill),
		)
	})
	return all
}

// sortedDetails gives details in the order of their first hosts.
func sortedDetails(by map[string][]string) []detail {
	var all []detail
	for text, hosts := range by {
		all = append(all, detail{slices.Sorted(slices.Values(hosts)), text})
	}
	slices.SortFunc(all, func(x, y detail) int {
		return cmp.Or(cmp.Compare(x.hosts[0], y.hosts[0]), cmp.Compare(x.text, y.text))
	})
	return all
}

// detailsMax is how many details of one cause a terminal gets; pipes get all.
const detailsMax = 20

// appendDetails writes what a cause leaves out, below its line.
func (b *base) appendDetails(p []byte, details []detail) []byte {
	rest := 0
	if b.o.ErrTerminal && len(details) > detailsMax {
		rest = len(details) - detailsMax
		details = details[:detailsMax]
	}
	for _, d := range details {
		p = append(p, b.wrap("  "+b.foldFor(d.hosts, b.o.ErrTerminal)+": ", SafeLine(d.text))...)
	}
	if rest > 0 {
		p = append(p, fmt.Sprintf("  and %d more\n", rest)...)
	}
	return p
}

// causeText is the cause as one safe line.
func causeText(k causeKey) string {
	text := k.cause.Text
	if text == "" {
		text = string(cmp.Or(k.cause.Kind, scheduler.Kind(k.outcome)))
	}
	text = cutText(text, causeMax)
	text = SafeLine(text)
	switch {
	case k.outcome == scheduler.Lost && k.cause.Stage == scheduler.StageTransfer:
		text += "; some files may be in their place"
	case k.outcome == scheduler.Lost:
		text += "; the command may have run"
	case k.kill == event.Killed:
		text += "; killed"
	case k.kill == event.KillUnconfirmed:
		text += "; kill unconfirmed"
	}
	return text
}

// cutText shortens s to about n bytes, at the end of a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-incomplete([]byte(s[:n]))] + "…"
}

// foldFor folds hosts, on a terminal shortened to what can be read.
func (b *base) foldFor(hosts []string, terminal bool) string {
	if len(hosts) == 1 {
		return SafeLine(hosts[0])
	}
	whole := SafeLine(b.o.Fold(hosts))
	if !terminal || columns(whole) <= foldCols {
		return whole
	}
	sorted := slices.Clone(hosts)
	slices.Sort(sorted)
	for n := min(len(sorted)-1, foldCols/2); ; n /= 2 {
		part := SafeLine(b.o.Fold(sorted[:n]))
		if n == 1 || columns(part) <= foldCols {
			return fmt.Sprintf("%s and %d more", part, len(sorted)-n)
		}
	}
}

// appendVerbose tells the end of one host.
func appendVerbose(p []byte, r event.Result) []byte {
	p = append(p, SafeLine(r.Host)...)
	p = append(p, ": "+string(r.Outcome)...)
	if r.Cause != nil {
		p = append(p, ": "+causeText(causeKey{r.Outcome, *r.Cause, r.Kill})...)
	}
	var notes []string
	if r.Connect > 0 {
		notes = append(notes, "connect "+formatWall(r.Connect))
	}
	if r.Run > 0 {
		notes = append(notes, "run "+formatWall(r.Run))
	}
	if r.Attempts > 1 {
		notes = append(notes, plural(r.Attempts, "attempt"))
	}
	if r.Tries > 1 {
		notes = append(notes, fmt.Sprintf("%d tries", r.Tries))
	}
	if r.Truncated {
		notes = append(notes, "output cut")
	}
	if r.Lingering {
		notes = append(notes, "a background process kept the output open")
	}
	if len(notes) > 0 {
		p = append(p, " ("+strings.Join(notes, ", ")+")"...)
	}
	return append(p, '\n')
}

// plural is "1 host", "2 hosts".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// formatWall rounds a duration to what people read.
func formatWall(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Second).String()
}
