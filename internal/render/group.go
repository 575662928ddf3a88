package render

import (
	"bufio"
	"bytes"
	"cmp"
	"io"
	"slices"
	"strconv"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
)

// group shows equal outputs once, under the hosts that gave them.
type group struct {
	base
	folds map[foldKey]*fold
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
	hosts    []string
	out, err *output.Capture
}

func newGroup(o Options) *group {
	g := &group{folds: make(map[foldKey]*fold)}
	g.init(o, false)
	g.talks = true
	return g
}

// Result implements event.Sink.
func (g *group) Result(r event.Result) {
	g.count(r)
	silent := r.Stdout.Len() == 0 && r.Stderr.Len() == 0
	if silent && r.Outcome != scheduler.OK && r.Outcome != scheduler.Failed {
		discard(r.Stdout, r.Stderr)
		return // nothing ran, as far as is known: the summary tells
	}
	key := foldKey{
		out: r.Stdout.Sum(), err: r.Stderr.Sum(),
		outcome: r.Outcome, end: ending(r), truncated: r.Truncated,
	}
	f := g.folds[key]
	if f == nil {
		g.folds[key] = &fold{key: key, hosts: []string{r.Host}, out: r.Stdout, err: r.Stderr}
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
	for i, f := range g.sorted() {
		g.write(w, f, i > 0)
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
	g.content(w, f.out)
	if f.err.Len() > 0 {
		w.WriteString(g.paint("33", "── stderr ──") + "\n")
		g.content(w, f.err)
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

// content shows a capture, exact in a pipe, and ends its last line.
func (g *group) content(w *bufio.Writer, c *output.Capture) {
	if c.Len() == 0 {
		return
	}
	var tail tailWriter
	var err error
	if g.o.OutTerminal {
		var s stream
		tail = tailWriter{w: &safeLines{w: w, s: &s}}
		_, err = io.Copy(&tail, c.Reader())
		w.Write(s.flush(nil, groupLines{}))
		tail.last = '\n'
	} else {
		tail = tailWriter{w: w}
		_, err = io.Copy(&tail, c.Reader())
	}
	if tail.last != '\n' {
		w.WriteByte('\n')
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

// safeLines writes lines for a terminal.
type safeLines struct {
	w   io.Writer
	s   *stream
	buf []byte
}

func (l *safeLines) Write(p []byte) (int, error) {
	l.buf = l.s.add(l.buf[:0], p, groupLines{})
	_, err := l.w.Write(l.buf)
	return len(p), err
}

// groupLines shows lines without a prefix, for a terminal. A line that looks
// like a header gets a backslash before it.
type groupLines struct{}

func (groupLines) appendLine(dst, line []byte) []byte {
	start := len(dst)
	dst = AppendSafe(dst, bytes.TrimSuffix(line, []byte("\r")))
	if likeHeader(dst[start:]) {
		dst = slices.Insert(dst, start, '\\')
	}
	return append(dst, '\n')
}

// likeHeader says that a line begins with two horizontal strokes.
func likeHeader(line []byte) bool {
	rs := bytes.Runes(line[:min(len(line), 8)])
	return len(rs) >= 2 && stroke(rs[0]) && stroke(rs[1])
}

func stroke(r rune) bool {
	switch r {
	case '─', '━', '═', '—', '―', '╌', '┄', '┈':
		return true
	}
	return false
}
