package render

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/rogpeppe/go-internal/diff"

	"fleet/internal/event"
)

const (
	// diffMax is the longest output that is compared line by line.
	diffMax = 1 << 20
	// diffLines is how many lines of one difference a terminal gets; pipes get all.
	diffLines = 500
)

// most is the fold that the others are shown against: of those with output the
// one of most hosts. It is nil if differences are not asked for.
func (g *group) most(all []*fold) (most *fold) {
	if !g.o.Diff {
		return nil
	}
	for _, f := range all {
		if !f.silent() && (most == nil || len(f.hosts) > len(most.hosts)) {
			most = f
		}
	}
	return most
}

// difference shows how f differs from most.
func (g *group) difference(w *bufio.Writer, most, f *fold) {
	w.WriteByte('\n')
	g.header(w, f)
	old, new := g.foldFor(most.hosts, g.o.OutTerminal), g.foldFor(f.hosts, g.o.OutTerminal)
	if most.key.out == f.key.out && most.key.err == f.key.err {
		w.WriteString(g.paint("33", "── the same output as "+old+" ──") + "\n")
		return
	}
	for _, s := range []event.Stream{event.Stdout, event.Stderr} {
		a, b := most.capture(s), f.capture(s)
		if a.Sum() == b.Sum() {
			continue
		}
		if s == event.Stderr {
			old, new = old+" stderr", new+" stderr"
		}
		if n := max(a.Len(), b.Len()); n > diffMax {
			w.WriteString(g.paint("33", fmt.Sprintf("── too large to compare with %s (%d MiB) ──", old, n>>20)) + "\n")
			g.content(w, f, s)
			continue
		}
		g.unified(w, diff.Diff(old, g.text(most, s), new, g.text(f, s)))
	}
	if f.key.truncated || most.key.truncated {
		w.WriteString(g.paint("33", "── only what is kept was compared ──") + "\n")
	}
}

// text is a stream of a fold as it is compared.
func (g *group) text(f *fold, s event.Stream) []byte {
	c := f.capture(s)
	text, whole := c.Bytes()
	if !whole {
		var err error
		if text, err = io.ReadAll(c.Reader()); err != nil {
			g.Note(g.o.Prog + ": read kept output: " + err.Error())
		}
	}
	return g.o.Mask.masked(text, g.o.Mask.names(f.first, g.o.Aliases))
}

// unified writes a unified difference, coloured where colours are wanted.
func (g *group) unified(w *bufio.Writer, d []byte) {
	_, d, _ = bytes.Cut(d, []byte("\n")) // "diff OLD NEW" says nothing that the next lines do not
	n := 0
	for line := range bytes.Lines(d) {
		if n++; n > diffLines && g.o.OutTerminal {
			rest := bytes.Count(d, []byte("\n")) - diffLines
			w.WriteString(g.paint("33", fmt.Sprintf("── and %s of difference ──", plural(rest, "more line"))) + "\n")
			return
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if g.o.OutTerminal {
			line = AppendSafe(nil, bytes.TrimSuffix(line, []byte("\r")))
		}
		if code := diffColor(line, n); code != "" {
			line = []byte(g.paint(code, string(line)))
		}
		w.Write(line)
		w.WriteByte('\n')
	}
}

// diffColor is the colour of the n-th line of a unified difference.
func diffColor(line []byte, n int) string {
	switch {
	case n <= 2:
		return "1"
	case bytes.HasPrefix(line, []byte("+")):
		return "32"
	case bytes.HasPrefix(line, []byte("-")):
		return "31"
	case bytes.HasPrefix(line, []byte("@@")):
		return "36"
	}
	return ""
}
