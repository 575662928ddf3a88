package render

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"sync"

	"fleet/internal/event"
	"fleet/scheduler"
)

// gather finds hosts that say the same, masked, as their output comes. It keeps
// no output, so that it works beside any mode.
type gather struct {
	mask    *Mask
	aliases func(host string) []string

	mu    sync.Mutex
	open  map[string]*digests
	kinds map[foldKey][]string // hosts that said the same
}

// digests are the sums of what one host has written up to now.
type digests struct {
	mu       sync.Mutex // of a run that is left at once, a host's result comes while it writes
	out, err digest
}

// digest sums the lines of one stream. It is used by one call at a time.
type digest struct {
	sum   hash.Hash
	lines stream
	w     maskedLines
	buf   []byte
}

func newGather(o Options) *gather {
	return &gather{mask: o.Mask, aliases: o.Aliases, open: map[string]*digests{}, kinds: map[foldKey][]string{}}
}

// output takes what a host wrote; for one host and stream in order.
func (g *gather) output(o event.Output) {
	if g == nil {
		return
	}
	g.mu.Lock()
	d := g.open[o.Host]
	if d == nil {
		w := maskedLines{mask: g.mask, names: g.mask.names(o.Host, g.aliases)}
		d = &digests{out: digest{w: w}, err: digest{w: w}}
		g.open[o.Host] = d
	}
	g.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.Stream == event.Stderr {
		d.err.add(o.Data)
	} else {
		d.out.add(o.Data)
	}
}

// forget gives up what a host wrote.
func (g *gather) forget(host string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, host)
}

func (d *digest) add(data []byte) {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	if d.w.mask == nil {
		d.sum.Write(data)
		return
	}
	d.buf = d.lines.add(d.buf[:0], data, d.w)
	d.sum.Write(d.buf)
}

func (d *digest) end() (sum [32]byte) {
	if d.sum == nil {
		return sha256.Sum256(nil)
	}
	if len(d.lines.part) > 0 {
		d.sum.Write(d.w.mask.apply(nil, d.lines.part, d.w.names))
	}
	d.sum.Sum(sum[:0])
	return sum
}

// take says with what a result's host is told together.
func (g *gather) take(r event.Result) foldKey {
	g.mu.Lock()
	d := g.open[r.Host]
	delete(g.open, r.Host)
	g.mu.Unlock()
	if d == nil {
		d = &digests{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return foldKey{out: d.out.end(), err: d.err.end(), outcome: r.Outcome, end: ending(r), truncated: r.Truncated}
}

// result counts a result's host to one of the kinds. Hosts of which nothing is known
// to have run are no kind of their own.
func (g *gather) result(r event.Result) {
	key := g.take(r)
	key.truncated = false // in what is shown
	if compared(r) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.kinds[key] = append(g.kinds[key], r.Host)
	}
}

// compared says that a host has something to compare: it ran to an end, or
// wrote before it was lost.
func compared(r event.Result) bool {
	switch r.Outcome {
	case scheduler.OK:
		return true
	case scheduler.Skipped:
		return false
	}
	return r.ExitCode != nil || r.Signal != "" || r.StdoutBytes+r.StderrBytes > 0
}

// kind is one of the things that hosts said.
type kind struct {
	hosts []string // sorted
	end   string
}

// sorted gives the kinds, that of most hosts first.
func (g *gather) sorted() []kind {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []kind
	for key, hosts := range g.kinds {
		all = append(all, kind{slices.Sorted(slices.Values(hosts)), key.end})
	}
	slices.SortFunc(all, func(x, y kind) int {
		return cmp.Or(cmp.Compare(len(y.hosts), len(x.hosts)), cmp.Compare(x.hosts[0], y.hosts[0]))
	})
	return all
}

// Differ implements Sink.
func (b *base) Differ() bool {
	return b.same != nil && len(b.same.sorted()) > 1
}

// sameJSON says in JSON whether outputs are all the same: null if that was not
// asked, or if there are none to compare.
func (b *base) sameJSON() string {
	if b.same == nil || len(b.same.sorted()) == 0 {
		return "null"
	}
	return strconv.FormatBool(!b.Differ())
}

// kindsMax is how many kinds of output a terminal gets; pipes get all.
const kindsMax = 20

// appendDifference says which hosts differ from most, if that is not expected.
func (b *base) appendDifference(p []byte) []byte {
	if !b.Differ() {
		return p
	}
	kinds := b.same.sorted()
	p = append(p, b.say("not the same (--expect-same): "+plural(len(kinds), "kind")+" of output")...)
	for i, k := range kinds {
		if i == kindsMax && b.o.ErrTerminal {
			return append(p, "  and "+plural(len(kinds)-i, "more kind")+"\n"...)
		}
		text := plural(len(k.hosts), "host")
		if k.end != "" {
			text += ", " + k.end
		}
		p = b.appendOf(append(p, "  "...), k.hosts, text)
	}
	return p
}
