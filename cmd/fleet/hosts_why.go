package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fleet/internal/render"
	"fleet/inventory"
)

// runHostsWhy prints for each value of a host which line says it, and what that
// line stands above.
func runHostsWhy(e *env, o *hostsOptions, name string) error {
	if o.output != "names" && o.output != "json" {
		return usagef("--why goes with --output json, or none")
	}
	o.inventory.want(name)
	inv, err := o.inventory.load(e)
	if err != nil {
		return err
	}
	host, err := oneHost(inv, name)
	if err != nil {
		return err
	}
	reasons := reasonsOf(host)
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	write := writeWhy
	if o.output == "json" {
		write = writeWhyJSON
	}
	if err = write(out, host, reasons); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write reasons: %w", err)
	}
	return nil
}

// reason is a value of a host, and those that it stands above, the strongest
// first.
type reason struct {
	inventory.Saying
	over []inventory.Saying
}

// reasonsOf sorts what the inventory says of a host: settings in the order of
// hosts.yaml, then variables by name.
func reasonsOf(h *inventory.Host) []reason {
	var list []reason
	at := make(map[string]int)
	for _, s := range h.Says() { // weakest first
		key := "vars." + s.Name
		switch {
		case s.Setting && (s.Name == "jump" || s.Name == "proxy_command"):
			key = "jump" // one setting in two words
		case s.Setting:
			key = s.Name
		}
		i, known := at[key]
		if !known {
			at[key] = len(list)
			list = append(list, reason{Saying: s})
			continue
		}
		list[i].over = append([]inventory.Saying{list[i].Saying}, list[i].over...)
		list[i].Saying = s
	}
	order := inventory.SettingNames()
	slices.SortStableFunc(list, func(a, b reason) int {
		switch {
		case a.Setting != b.Setting && a.Setting:
			return -1
		case a.Setting != b.Setting:
			return 1
		case a.Setting:
			return slices.Index(order, a.Name) - slices.Index(order, b.Name)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

func writeWhy(w io.Writer, h *inventory.Host, reasons []reason) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  # %s\n", h.Name, placeText(h.Source))
	if len(h.Groups) > 0 {
		fmt.Fprintf(&b, "  groups: %s\n", strings.Join(h.Groups, ", "))
	}
	for _, r := range reasons {
		name := r.Name
		if !r.Setting {
			name = "vars." + name
		}
		fmt.Fprintf(&b, "  %s: %s  # %s, %s\n", name, valueText(r.Saying), r.By, placeText(r.At))
		for _, s := range r.over {
			other := ""
			if s.Name != r.Name {
				other = s.Name + ": "
			}
			fmt.Fprintf(&b, "    not %s%s  # %s, %s\n", other, valueText(s), s.By, placeText(s.At))
		}
	}
	for line := range strings.Lines(b.String()) {
		if _, err := w.Write(append(render.AppendSafeLine(nil, []byte(strings.TrimSuffix(line, "\n"))), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// placeText is FILE:LINE:COLUMN, as far as it is known.
func placeText(p inventory.Position) string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// valueText is a value on one line: texts of settings as they are, all else as
// JSON.
func valueText(s inventory.Saying) string {
	switch v := s.Value.(type) {
	case string:
		if s.Setting {
			return v
		}
	case time.Duration:
		return v.String()
	case []string:
		return strings.Join(v, ", ")
	}
	text, err := json.Marshal(s.Value)
	if err != nil {
		return fmt.Sprint(s.Value)
	}
	return string(text)
}

// saidJSON is a value as --output json shows it; docs/schema/why.json is its schema.
type saidJSON struct {
	Name    string `json:"name"`
	Setting bool   `json:"setting"`
	Value   any    `json:"value"`
	By      string `json:"by"`
	placeJSON
}

type placeJSON struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

type reasonJSON struct {
	saidJSON
	Over []saidJSON `json:"over"`
}

func sayingJSON(s inventory.Saying) saidJSON {
	value := s.Value
	if d, ok := value.(time.Duration); ok {
		value = d.String()
	}
	return saidJSON{s.Name, s.Setting, value, s.By, placeJSON(s.At)}
}

func writeWhyJSON(w io.Writer, h *inventory.Host, reasons []reason) error {
	doc := struct {
		V      int          `json:"v"`
		Host   string       `json:"host"`
		Source placeJSON    `json:"source"`
		Groups []string     `json:"groups"`
		Values []reasonJSON `json:"values"`
	}{1, h.Name, placeJSON(h.Source), h.Groups, make([]reasonJSON, len(reasons))}
	if doc.Groups == nil {
		doc.Groups = []string{}
	}
	for i, r := range reasons {
		doc.Values[i] = reasonJSON{saidJSON: sayingJSON(r.Saying), Over: []saidJSON{}}
		for _, s := range r.over {
			doc.Values[i].Over = append(doc.Values[i].Over, sayingJSON(s))
		}
	}
	return writeDocument(w, doc)
}
