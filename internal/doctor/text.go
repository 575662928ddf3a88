package doctor

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"fleet/internal/render"
)

// TextOptions say how a report is shown to people.
type TextOptions struct {
	All   bool // every fact of each host, before the problems
	Width int  // columns to break lines at; 0: none are broken
	// Fold writes host names as one host set.
	Fold func(names []string) string
}

// WriteText writes the report as people read it: problems folded over hosts,
// each with its fix, and the counts. Nothing in it can act on a terminal.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	p := &page{o: o}
	if o.All {
		for _, h := range r.Hosts {
			p.host(h)
		}
	}
	for _, f := range r.fold() {
		p.folded(f)
	}
	p.line("", r.summary())
	_, err := io.WriteString(w, p.b.String())
	return err
}

// foldedProblem is one problem and the hosts that have it.
type foldedProblem struct {
	Problem
	away    bool
	hosts   []string
	details []string // of each host
}

// fold puts hosts with the same problem together: first those that cannot be
// reached, then the problem that most hosts have.
func (r *Report) fold() []*foldedProblem {
	var all []*foldedProblem
	at := make(map[Problem]*foldedProblem)
	for _, h := range r.Hosts {
		for i, problem := range h.Problems {
			key := problem
			key.Detail = ""
			f := at[key]
			if f == nil {
				f = &foldedProblem{Problem: key, away: h.State == Unreachable && i == 0}
				at[key] = f
				all = append(all, f)
			}
			f.hosts = append(f.hosts, h.Name)
			f.details = append(f.details, problem.Detail)
		}
	}
	slices.SortStableFunc(all, func(a, b *foldedProblem) int {
		if a.away != b.away {
			if a.away {
				return -1
			}
			return 1
		}
		return cmp.Compare(len(b.hosts), len(a.hosts))
	})
	return all
}

func (r *Report) summary() string {
	counts := r.Counts()
	words := map[State]string{Fine: "ok", Troubled: "with problems", Unreachable: "unreachable", Canceled: "canceled", Skipped: "skipped"}
	var parts []string
	for _, s := range []State{Fine, Troubled, Unreachable, Canceled, Skipped} {
		if counts[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[s], words[s]))
		}
	}
	hosts := "hosts"
	if len(r.Hosts) == 1 {
		hosts = "host"
	}
	return fmt.Sprintf("%d %s: %s", len(r.Hosts), hosts, strings.Join(parts, ", "))
}

// page is a text under way.
type page struct {
	o TextOptions
	b strings.Builder
}

// maxDetails is how many hosts' details are shown one by one.
const maxDetails = 5

func (p *page) folded(f *foldedProblem) {
	hosts := render.SafeLine(p.o.Fold(f.hosts))
	text := hosts + ": " + f.Text
	alike := !slices.ContainsFunc(f.details, func(d string) bool { return d != f.details[0] })
	if alike && f.details[0] != "" {
		text += " (" + f.details[0] + ")"
	}
	p.line("", text)
	if !alike {
		for i, host := range f.hosts {
			if i == maxDetails && len(f.hosts) > maxDetails+1 {
				p.line("  ", fmt.Sprintf("... and %d more: --all shows each", len(f.hosts)-i))
				break
			}
			p.line("  ", host+": "+f.details[i])
		}
	}
	p.line("  fix: ", f.Fix)
}

// line writes text behind prefix, broken between words where that is wanted.
// Further lines are indented as far as the prefix, two columns at least.
func (p *page) line(prefix, text string) {
	text = render.SafeLine(text)
	if p.o.Width <= 0 || len(prefix)+utf8.RuneCountInString(text) <= p.o.Width {
		p.b.WriteString(prefix + text + "\n")
		return
	}
	indent := strings.Repeat(" ", max(2, len(prefix)))
	col := len(prefix)
	p.b.WriteString(prefix)
	fresh := true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case fresh:
		case col+1+n > p.o.Width:
			p.b.WriteString("\n" + indent)
			col = len(indent)
		default:
			p.b.WriteByte(' ')
			col++
		}
		p.b.WriteString(word)
		col += n
		fresh = false
	}
	p.b.WriteByte('\n')
}

// host writes every fact that is known of a host, one a line.
func (p *page) host(h *Host) {
	p.line("", h.Name+": "+string(h.State))
	for _, f := range h.lines() {
		p.line(fmt.Sprintf("  %-11s ", f.name), f.text)
	}
	p.b.WriteByte('\n')
}

// fact is one line about a host.
type fact struct{ name, text string }

// lines are the facts that are known, in the order of a connection's life.
func (h *Host) lines() []fact {
	list := []fact{{"address", fmt.Sprintf("%s port %d, user %s", h.Address, h.Port, h.User)}}
	add := func(name, text string) { list = append(list, fact{name, text}) }
	if len(h.Via) > 0 {
		add("via", strings.Join(h.Via, ", then "))
	}
	if c := h.Connect; c != nil {
		if len(c.Addresses) > 0 && !slices.Equal(c.Addresses, []string{h.Address}) {
			add("dns", fmt.Sprintf("%s in %s", strings.Join(c.Addresses, ", "), c.DNS))
		}
		add("connect", fmt.Sprintf("tcp %s, banner %s, kex %s, login %s", c.TCP, c.Banner, c.Kex, c.Auth))
	}
	if h.Server != nil {
		add("server", *h.Server)
	}
	if a := h.Crypto; a != nil {
		note := "not post-quantum"
		if a.PostQuantum {
			note = "post-quantum"
		}
		add("kex", a.Kex+" ("+note+")")
		add("cipher", strings.TrimSuffix(a.Cipher+", "+a.MAC, ", "))
	}
	if k := h.HostKey; k != nil {
		add("host key", k.Type+" "+k.Fingerprint)
		add("", strings.Join(append([]string{k.State}, k.Places...), " "))
	}
	if l := h.Login; l != nil {
		add("login", strings.Join(l.Methods, ", then "))
		for _, key := range l.Keys {
			add("", key)
		}
	}
	if h.RTT != nil {
		add("round trip", h.RTT.String())
	}
	return append(list, h.remoteLines()...)
}

// remoteLines are the facts that the host itself told.
func (h *Host) remoteLines() (list []fact) {
	add := func(name, text string) { list = append(list, fact{name, text}) }
	if s := h.System; s != nil {
		add("system", strings.TrimSuffix(strings.Join([]string{s.Kernel, s.Release, s.Machine}, " ")+", "+s.OS, ", "))
	}
	if s := h.Shell; s != nil {
		noise := "silent"
		if n := s.Stdout.Bytes + s.Stderr.Bytes; n > 0 {
			noise = fmt.Sprintf("writes %d bytes before each command", n)
		}
		add("shell", fmt.Sprintf("%s, %s, starts a command in %s", s.Path, noise, s.Profile))
	}
	if b := h.Become; b != nil {
		add("become", b.text())
	}
	if t := h.Tools; t != nil {
		text := t.Present
		for _, name := range t.Missing {
			text = append(text[:len(text):len(text)], "no "+name)
		}
		add("tools", strings.Join(text, ", "))
	}
	if t := h.Tmp; t != nil {
		add("/tmp", t.text())
	}
	if c := h.Clock; c != nil {
		if math.Abs(c.Offset) <= c.Error {
			add("clock", fmt.Sprintf("right to within %.1f s", math.Abs(c.Offset)+c.Error))
		} else {
			add("clock", fmt.Sprintf("%s, to within %.1f s", c.text(), c.Error))
		}
	}
	if s := h.SFTP; s != nil {
		add("sftp", fmt.Sprintf("version %d", s.Version))
	}
	if s := h.Sessions; s != nil {
		more := ""
		if s.AtLeast {
			more = " or more"
		}
		add("sessions", fmt.Sprintf("%d%s at once", s.Open, more))
	}
	return list
}

func (b *Become) text() string {
	if b.Root {
		return "is root"
	}
	ways := []string{map[string]string{
		"yes": "sudo without a password", "password": "sudo with a password", "denied": "sudo, not allowed",
		"broken": "sudo, broken", "absent": "no sudo", "unknown": "sudo, no answer"}[b.Sudo]}
	if b.Doas {
		ways = append(ways, "doas")
	}
	if b.Su {
		ways = append(ways, "su")
	}
	return strings.Join(ways, ", ")
}

func (t *Tmp) text() string {
	text := size(t.FreeBytes) + " free on " + t.Mount
	if t.FreeInodes != nil {
		text += fmt.Sprintf(", %d inodes", *t.FreeInodes)
	}
	if t.Noexec != nil && *t.Noexec {
		text += ", noexec"
	}
	if t.ReadOnly != nil && *t.ReadOnly {
		text += ", read-only"
	}
	return text
}

// String is the duration as people read it.
func (m Millis) String() string {
	switch {
	case m >= 1000:
		return fmt.Sprintf("%.1f s", m/1000)
	case m >= 10:
		return fmt.Sprintf("%.0f ms", float64(m))
	}
	return fmt.Sprintf("%.1f ms", float64(m))
}
