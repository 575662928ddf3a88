package facts

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fleet/internal/render"
)

// Host is a host and what is known of it.
type Host struct {
	Name  string
	Facts *Facts
}

// WriteText writes the facts as people read them: hosts that are alike in one
// line, under their folded name. What hosts say is made safe for a terminal; on
// one of width columns, 0 if there is none, lines are broken between words.
func WriteText(w io.Writer, hosts []Host, fold func([]string) string, width int) error {
	alike := make(map[string][]string)
	var order []string
	for _, h := range hosts {
		line := h.Facts.line()
		if alike[line] == nil {
			order = append(order, line)
		}
		alike[line] = append(alike[line], h.Name)
	}
	out := bufio.NewWriter(w)
	for _, line := range order {
		names, text := fold(alike[line])+": ", safe(line)
		switch {
		case width <= 0:
			fmt.Fprintf(out, "%s%s\n", names, text)
		case len(names) <= width/2:
			fmt.Fprint(out, render.Wrap(names, text, width))
		default:
			fmt.Fprintf(out, "%s\n%s", strings.TrimSpace(names), render.Wrap("  ", text, width))
		}
	}
	return out.Flush()
}

func safe(s string) string { return string(render.AppendSafeLine(nil, []byte(s))) }

// line is what is worth knowing at first sight, without what differs between
// hosts of a kind.
func (f *Facts) line() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	name := f.OSName
	if name == "" {
		name = strings.TrimSpace(f.OS + " " + f.OSVersion)
	}
	if name != "" {
		add("%s", name)
	}
	if kernel := strings.Join(strings.Fields(f.System+" "+f.Kernel+" "+f.Arch), " "); kernel != "" {
		add("%s", kernel)
	}
	switch {
	case f.CPUs == 1:
		add("1 cpu")
	case f.CPUs > 1:
		add("%d cpus", f.CPUs)
	}
	if f.Memory != nil {
		add("%s", size(f.Memory.Total))
	}
	if f.Virt != "" && f.Virt != "none" {
		add("%s", f.Virt)
	}
	if len(parts) == 0 {
		return "nothing that it tells"
	}
	return strings.Join(parts, ", ")
}

// WriteAll writes all facts of each host, a block a host.
func WriteAll(w io.Writer, hosts []Host, now time.Time) error {
	out := bufio.NewWriter(w)
	for _, h := range hosts {
		fmt.Fprintf(out, "%s:\n", h.Name)
		for _, r := range h.Facts.rows(now) {
			if r[1] != "" {
				fmt.Fprintf(out, "  %-12s %s\n", r[0], safe(r[1]))
			}
		}
	}
	return out.Flush()
}

// rows are the facts with their names in patterns, where they have one.
func (f *Facts) rows(now time.Time) [][2]string {
	rows := [][2]string{
		{"os", f.OS}, {"os_version", f.OSVersion}, {"os_name", f.OSName}, {"os_like", strings.Join(f.OSLike, " ")},
		{"kernel", f.Kernel}, {"system", f.System}, {"arch", f.Arch}, {"hostname", f.Hostname},
		{"cpus", countOrNone(f.CPUs)}, {"cpu_model", f.CPUModel},
	}
	if m := f.Memory; m != nil {
		rows = append(rows, [2]string{"mem", size(m.Total)}, [2]string{"mem_free", size(m.Available)}, [2]string{"swap", size(m.Swap)})
	}
	for _, d := range f.Disks {
		rows = append(rows, [2]string{"device", d.Name + " " + size(d.Size)})
	}
	for _, s := range f.Filesystems {
		rows = append(rows, [2]string{"disk", fmt.Sprintf("%s %s, %s free (%s)", s.Mount, size(s.Size), size(s.Free), s.Device)})
	}
	for _, a := range f.Addresses {
		text := a.Address
		if a.Bits > 0 {
			text = fmt.Sprintf("%s/%d", a.Address, a.Bits)
		}
		rows = append(rows, [2]string{"ip", text + " " + a.Interface})
	}
	rows = append(rows, [2]string{"virt", f.Virt}, [2]string{"packages", f.Packages}, [2]string{"services", f.Services})
	if up, ok := uptime(f, "", now).(time.Duration); ok {
		rows = append(rows, [2]string{"uptime", Age(up)})
	}
	rows = append(rows, [2]string{"age", Age(max(0, now.Sub(f.At)))})
	if len(f.Missing) > 0 {
		rows = append(rows, [2]string{"missing", strings.Join(f.Missing, " ")})
	}
	return rows
}

func countOrNone(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// size writes bytes in the largest unit of which there is one: 7.8 GiB.
func size(n int64) string {
	if n < 0 {
		return ""
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, at := float64(n), 0
	for v >= 1024 && at < len(units)-1 {
		v /= 1024
		at++
	}
	if at == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[at])
}

// Sorted gives hosts of found in the order of names.
func Sorted(names []string, found map[string]*Facts) []Host {
	var out []Host
	for _, name := range names {
		if f := found[name]; f != nil {
			out = append(out, Host{name, f})
		}
	}
	return slices.Clip(out)
}
