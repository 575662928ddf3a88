package trust

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"fleet/internal/render"
	"fleet/inventory"
	"fleet/sshpool/hostkeys"
)

// View is how keys are shown to people.
type View struct {
	Color bool
	// Short cuts long host sets, for a terminal.
	Short bool
}

// Write shows groups, one a line, with the keys that speak against them below:
//
//	changed  SHA256:... ED25519  web07
//	  known  SHA256:... ED25519  /home/me/.ssh/known_hosts:12
func (v View) Write(w io.Writer, groups []Group) error {
	out := bufio.NewWriter(w) // keeps its error until Flush
	for _, g := range groups {
		key := g.Fingerprint
		if key == "" {
			key = "by " + g.Authority
		}
		fmt.Fprintf(out, "%s  %s %-7s  %s\n", v.state(g.State), key, ShortType(g.Type), v.Hosts(g.Hosts))
		if g.Refusal != nil && g.State != New {
			writeRefusal(out, g.State, g.Refusal)
		}
	}
	return out.Flush()
}

// writeRefusal tells what known_hosts has against a key.
func writeRefusal(w io.Writer, state State, r *hostkeys.Error) {
	if state == Invalid || len(r.Known) == 0 {
		fmt.Fprintf(w, "         %s\n", render.SafeLine(r.Error()))
		return
	}
	word := "  known"
	if state == Revoked {
		word = "revoked"
	}
	for _, k := range r.Known {
		fmt.Fprintf(w, "%s  %s %-7s  %s\n", word, entryFingerprint(k), ShortType(k.Key.Type()), render.SafeLine(k.Place()))
	}
}

// state is a state as the first column.
func (v View) state(s State) string {
	text := fmt.Sprintf("%-7s", s)
	if !v.Color {
		return text
	}
	code := "31"
	switch s {
	case Known:
		code = "32"
	case New:
		code = "33"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Counts is "known 17 · new 2 · changed 1".
func Counts(keys []Key) string {
	counts := Count(keys)
	var fields []string
	for _, s := range States {
		if n := counts[s]; n > 0 {
			fields = append(fields, fmt.Sprintf("%s %d", s, n))
		}
	}
	return strings.Join(fields, " · ")
}

// maxHosts is how many bytes of a host set a terminal gets.
const maxHosts = 160

// Hosts folds names, and cuts them where the view is short.
func (v View) Hosts(names []string) string {
	whole := render.SafeLine(inventory.Fold(names))
	if !v.Short || len(whole) <= maxHosts {
		return whole
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for n := len(names) / 2; ; n /= 2 {
		part := render.SafeLine(inventory.Fold(names[:max(n, 1)]))
		if n <= 1 || len(part) <= maxHosts {
			return fmt.Sprintf("%s and %d more", part, len(names)-max(n, 1))
		}
	}
}

// WriteForgotten shows lines that were removed, or would be.
func (v View) WriteForgotten(w io.Writer, f *Forgotten) error {
	out := bufio.NewWriter(w)
	for _, l := range f.Lines {
		fmt.Fprintf(out, "%s %-7s  %s  %s\n", cmp.Or(l.Fingerprint, "no fingerprint"), ShortType(l.Type), v.Hosts(l.Hosts),
			render.SafeLine(fmt.Sprintf("%s:%d", l.File, l.Line)))
	}
	return out.Flush()
}
