package shell

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
)

// Status tells, over several lines, what the last command came to, equal ends
// folded, and which hosts of the target set have a connection.
func (s *Session) Status(connected func(host string) bool) string {
	var b strings.Builder
	s.lastStatus(&b)
	var there, away []string
	for _, h := range s.now {
		if connected(h.Name) {
			there = append(there, h.Name)
		} else {
			away = append(away, h.Name)
		}
	}
	writeHosts(&b, "connected", there)
	writeHosts(&b, "not connected", away)
	return strings.TrimSuffix(b.String(), "\n")
}

func writeHosts(b *strings.Builder, what string, names []string) {
	fmt.Fprintf(b, "%s: %d", what, len(names))
	if len(names) > 0 {
		fmt.Fprintf(b, ", %s", inventory.Fold(names))
	}
	b.WriteByte('\n')
}

func (s *Session) lastStatus(b *strings.Builder) {
	if !s.last.ran {
		b.WriteString("no command was run yet\n")
		return
	}
	fmt.Fprintf(b, "last command: %s\n", render.SafeLine(s.last.line))
	hosts := map[result][]string{}
	for _, h := range s.inv.Hosts() { // so that names come in order
		if r, ran := s.last.results[h.Name]; ran {
			hosts[r] = append(hosts[r], h.Name)
		}
	}
	ends := make([]result, 0, len(hosts))
	for r := range hosts {
		ends = append(ends, r)
	}
	slices.SortFunc(ends, func(x, y result) int {
		return cmp.Or(
			cmp.Compare(slices.Index(scheduler.Outcomes, x.outcome), slices.Index(scheduler.Outcomes, y.outcome)),
			cmp.Compare(x.text, y.text),
		)
	})
	for _, r := range ends {
		fmt.Fprintf(b, "  %s %d: %s", r.outcome, len(hosts[r]), inventory.Fold(hosts[r]))
		if r.text != "" {
			fmt.Fprintf(b, ": %s", render.SafeLine(r.text))
		}
		b.WriteByte('\n')
	}
}
