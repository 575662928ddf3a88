package render

import (
	"bufio"
	"cmp"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
)

// group shows equal outputs once, under the hosts that gave them.
type group struct {
	base
	folds  map[foldKey]*fold
	stamps hostStamps
}

// foldKey is what results must share to be shown together.
type foldKey struct {
	out, err  [32]byte
	outcome   scheduler.Outcome
	end       string // how the command ended, as the header shows it
	truncated bool
}

// fold is what equal results show.
type fold struct {
	key      foldKey
	first    string // host whose output is kept
	hosts    []string
	out, err *output.Capture
	stamps   *streamStamps // when its lines came, if that is shown
}

func newGroup(o Options) *group {
	g := &group{folds: make(map[foldKey]*fold)}
	g.init(o, false)
	g.talks = true
	return g
}

// Output implements event.Sink.
func (g *group) Output(o event.Output) {
	g.base.Output(o)
	if g.o.Timestamps {
		g.stamps.add(o)
	}
}

// Resent implements event.RetrySink: only the last try is shown.
func (g *group) Resent(host string) {
	g.base.Resent(host)
	g.stamps.take(host)
}

// Result implements event.Sink.
func (g *group) Result(r event.Result) {
	key := g.count(r)
	came := g.stamps.take(r.Host)
	silent := r.Stdout.Len() == 0 && r.Stderr.Len() == 0
	if silent && r.Outcome != scheduler.OK && r.Outcome != scheduler.Failed {
		discard(r.Stdout, r.Stderr)
		return // nothing ran, as far as is known: the summary tells
	}
	if g.o.Mask == nil {
		key = foldKey{
			out: r.Stdout.Sum(), err: r.Stderr.Sum(),
			outcome: r.Outcome, end: ending(r), truncated: r.Truncated,
		}
	}
	f := g.folds[key]
	if f == nil {
		g.stamps.keep(came)
		g.folds[key] = &fold{key: key, first: r.Host, hosts: []string{r.Host}, out: r.Stdout, err: r.Stderr, stamps: came}
		return
	}
	f.hosts = append(f.hosts, r.Host)
	discard(r.Stdout, r.Stderr)
}

// ending says how a command ended if not well: "exit 1", "signal KILL", "lost".
func ending(r event.Result) string {
	switch {
	case r.Outcome == scheduler.OK:
		return ""
	case r.Signal != "":
		return "signal " + SafeLine(cutText(r.Signal, 32))
	case r.Outcome == scheduler.Failed && r.ExitCode != nil:
		return "exit " + strconv.Itoa(*r.ExitCode)
	case r.Outcome == scheduler.Failed && r.Cause != nil:
		return string(r.Cause.Kind)
	}
	return string(r.Outcome)
}

// Finish implements event.Sink.
func (g *group) Finish(s event.Summary) error {
	g.way.endData()
	w := bufio.NewWriterSize(g.way.out, 64<<10)
	all := g.sorted()
	most := g.most(all)
	if at := slices.Index(all, most); at > 0 { // it comes before what is shown against it
		all = slices.Insert(slices.Delete(all, at, at+1), 0, most)
	}
	for i, f := range all {
		if most != nil && f != most && !f.silent() {
			g.difference(w, most, f)
		} else {
			g.write(w, f, i > 0)
		}
	}
	for _, f := range all {
		discard(f.out, f.err)
	}
	w.Flush() // the first error stays in the way
	if len(g.folds) > 0 && g.o.OutTerminal && g.o.ErrTerminal {
		g.way.err.Write([]byte("\n"))
	}
	return g.finish(s, true)
}

// sorted gives what is shown in the order of reading: the common before the
// rare, the good before the bad, so that what needs a look stands at the end.
func (g *group) sorted() []*fold {
	all := make([]*fold, 0, len(g.folds))
	for _, f := range g.folds {
		slices.Sort(f.hosts)
		all = append(all, f)
	}
	slices.SortFunc(all, func(x, y *fold) int {
		return cmp.Or(
			cmp.Compare(rank(x), rank(y)),
			cmp.Compare(len(y.hosts), len(x.hosts)),
			cmp.Compare(x.hosts[0], y.hosts[0]),
		)
	})
	return all
}

func rank(f *fold) int {
	switch f.key.outcome {
	case scheduler.OK:
		if f.silent() {
			return 0
		}
		return 1
	case scheduler.Failed:
		return 3
	}
	return 2
}

func (f *fold) silent() bool { return f.out.Len() == 0 && f.err.Len() == 0 }

// write shows one fold: a header, stdout, then stderr behind a mark.
func (g *group) write(w *bufio.Writer, f *fold, more bool) {
	if more && !f.silent() {
		w.WriteByte('\n')
	}
	g.header(w, f)
	if f.silent() {
		return
	}
	g.whole(w, f)
}

// whole shows what a fold's hosts wrote.
func (g *group) whole(w *bufio.Writer, f *fold) {
	g.content(w, f, event.Stdout)
	if f.err.Len() > 0 {
		w.WriteString(g.paint("33", "── stderr ──") + "\n")
		g.content(w, f, event.Stderr)
	}
	if f.key.truncated {
		w.WriteString(g.paint("33", "── cut: more was written than is kept ──") + "\n")
	}
}

// header is one line: the hosts, how many, how the command ended.
func (g *group) header(w *bufio.Writer, f *fold) {
	text := "── " + g.foldFor(f.hosts, g.o.OutTerminal) + " (" + plural(len(f.hosts), "host") + ")"
	if f.key.end != "" {
		text += " " + f.key.end
	}
	if f.silent() {
		text += ": no output"
	}
	if g.o.Timestamps && len(f.hosts) > 1 && !f.silent() {
		text += ", times of " + SafeLine(f.first)
	}
	color := "1"
	if f.key.outcome != scheduler.OK {
		color = "1;31"
	}
	w.WriteString(g.paint(color, text+" ──") + "\n")
}

func (g *group) paint(code, text string) string {
	if !g.o.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// likeHeader says that a line begins, for the eye, with two horizontal strokes: marks
// that stand on other characters, or only choose how these look, are passed over.
func likeHeader(line []byte) bool {
	for strokes := 0; strokes < 2; {
		r, n := utf8.DecodeRune(line)
		switch {
		case stroke(r):
			strokes++
		case !unicode.In(r, unicode.Mn, unicode.Me):
			return false
		}
		line = line[n:]
	}
	return true
}

func stroke(r rune) bool {
	switch r {
	case '─', '━', '═', '—', '―', '–', '‒', '╌', '╍', '┄', '┅', '┈', '┉', '╴', '╶', '╸', '╺', '╼', '╾',
		'⎯', '⎺', '⎻', '⎼', '⎽', '⸺', '⸻', '－', 'ー':
		return true
	}
	return false
}
