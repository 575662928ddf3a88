package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fleet/internal/event"
)

// appendSpread adds what a push with --spread tells of one host.
func appendSpread(dst []byte, t *event.Transfer) []byte {
	if t.Seed {
		dst = append(dst, `,"seed":true`...)
	}
	if t.From != "" {
		dst = appendString(append(dst, `,"from":`...), t.From)
	}
	if t.Direct != "" {
		dst = appendString(append(dst, `,"direct":`...), t.Direct)
	}
	return dst
}

// spread is what a tally knows of files that went from host to host.
type spread struct {
	seeds  []string
	served int
	by     map[string]bool     // hosts that served others
	direct map[string][]string // hosts that were to be served and were not, by the reason
}

func (s *spread) add(host string, t *event.Transfer) {
	switch {
	case t.Seed:
		s.seeds = append(s.seeds, host)
	case t.From != "":
		if s.by == nil {
			s.by = make(map[string]bool)
		}
		s.by[t.From] = true
		s.served++
	case t.Direct != "":
		if s.direct == nil {
			s.direct = make(map[string][]string)
		}
		s.direct[t.Direct] = append(s.direct[t.Direct], host)
	}
}

// appendSpread tells who got the files from whom, and why others did not.
func (b *base) appendSpread(p []byte) []byte {
	s := &b.tally.files.spread
	if len(s.seeds) == 0 && s.served == 0 && len(s.direct) == 0 {
		return p
	}
	var parts []string
	if n := len(s.seeds); n > 0 {
		slices.Sort(s.seeds)
		parts = append(parts, fmt.Sprintf("%s (%s)", plural(n, "seed"), b.foldFor(s.seeds, b.o.ErrTerminal)))
	}
	if s.served > 0 {
		var by []string
		for host := range s.by {
			by = append(by, host)
		}
		slices.Sort(by)
		parts = append(parts, fmt.Sprintf("%d by %s", s.served, b.foldFor(by, b.o.ErrTerminal)))
	}
	type line struct {
		why   string
		hosts []string
	}
	var lines []line
	n := 0
	for why, hosts := range s.direct {
		slices.Sort(hosts)
		lines = append(lines, line{why, hosts})
		n += len(hosts)
	}
	if n > 0 {
		parts = append(parts, fmt.Sprintf("%d direct", n))
	}
	p = append(p, "spread: "+strings.Join(parts, ", ")+"\n"...)
	slices.SortFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(len(y.hosts), len(x.hosts)), cmp.Compare(x.hosts[0], y.hosts[0]))
	})
	if b.o.ErrTerminal && len(lines) > transfersMax {
		lines = lines[:transfersMax]
	}
	for _, l := range lines {
		p = append(p, b.foldFor(l.hosts, b.o.ErrTerminal)+" direct: "+SafeLine(l.why)+"\n"...)
	}
	return p
}
