package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/render"
	"fleet/inventory"
	"fleet/inventory/source"
)

type checkOptions struct {
	inventory inventoryFlags
	output    string
	strict    bool
}

const checkExitHelp = `
EXIT STATUS
  0  nothing wrong, or warnings only
  1  an error of fleet's own
  2  something is wrong; with --strict also where there are warnings`

func newHostsCheckCommand(e *env) *cobra.Command {
	o := &checkOptions{}
	c := &cobra.Command{
		Use:   "check [flags]",
		Short: "Find all that is wrong in the inventory",
		Long: `Reads every source of the inventory and prints all problems of all of them, one
a line with file, line and column: errors, and warnings of what is read in
another way than its author may have meant, of groups without hosts, and of key
files that are not there. No host is connected to.`,
		Example: `  fleet hosts check
  fleet hosts check --strict -i hosts.yaml -i staging.ini
  fleet hosts check -o json > problems.json`,
		Args:        noSuch,
		Annotations: map[string]string{"exit": checkExitHelp},
		RunE: func(c *cobra.Command, _ []string) error {
			return runHostsCheck(c.Context(), e, o)
		},
	}
	o.inventory.declare(c)
	c.Flags().StringVarP(&o.output, "output", "o", "text", "`FORMAT`: text, json")
	c.Flags().BoolVar(&o.strict, "strict", false, "end with status 2 where there are warnings too")
	fixedCompletion(c, "output", []string{"text", "json"})
	return c
}

// problem is one thing that is wrong; docs/schema/check.json is its schema.
type problem struct {
	Level  string `json:"level"` // error or warning
	File   string `json:"file"`
	Line   int    `json:"line"` // 0: not known
	Column int    `json:"column"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

func (p problem) String() string {
	text := p.Level + ": " + p.Text
	if place := placeText(inventory.Position{File: p.File, Line: p.Line, Column: p.Column}); place != "" {
		text = place + ": " + text
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

// checked is what became of a check.
type checked struct {
	V        int       `json:"v"`
	Sources  []string  `json:"sources"`
	Hosts    int       `json:"hosts"`
	Groups   int       `json:"groups"`
	Problems []problem `json:"problems"`
}

func (c *checked) count(level string) (n int) {
	for _, p := range c.Problems {
		if p.Level == level {
			n++
		}
	}
	return n
}

func runHostsCheck(ctx context.Context, e *env, o *checkOptions) error {
	if o.output != "text" && o.output != "json" {
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes text, json")
	}
	paths := o.inventory.sources(e)
	if len(paths) == 0 && len(o.inventory.words.words) == 0 {
		_, err := o.inventory.load(e) // says so
		return err
	}
	found := &checked{V: 1, Sources: paths, Problems: []problem{}}
	if found.Sources == nil {
		found.Sources = []string{}
	}
	if err := o.inventory.check(ctx, e, paths, found); err != nil {
		return err
	}
	if err := found.write(e, o.output); err != nil {
		return fmt.Errorf("write problems: %w", err)
	}
	if found.count("error") > 0 || o.strict && len(found.Problems) > 0 {
		return &fault{code: exitUsage}
	}
	return nil
}

// check reads all sources, each for itself and then together.
func (f *inventoryFlags) check(ctx context.Context, e *env, paths []string, found *checked) error {
	o := f.options(e)
	var err error
	if o.VaultPasswords, err = f.read.passwords(e, f.flags); err != nil {
		return err
	}
	f.words.apply(e, &o)
	o.IgnoreBroken = true
	r, err := source.Load(ctx, o, paths...)
	if err != nil {
		found.addError(err) // of the merge: what each source says by itself is in r
	}
	if r == nil {
		return nil
	}
	for _, broken := range r.Broken {
		found.addError(broken)
	}
	for _, w := range r.Warnings {
		found.Problems = append(found.Problems, problem{"warning", w.File, w.Line, w.Column, w.Msg, w.Hint})
	}
	if r.Inventory == nil {
		return nil
	}
	found.Hosts, found.Groups = len(r.Inventory.Hosts()), len(r.Inventory.Groups())
	found.emptyGroups(r.Inventory)
	found.missingFiles(e, r.Inventory)
	return nil
}

func (c *checked) addError(err error) {
	var list inventory.Errors
	if errors.As(err, &list) {
		for _, one := range list {
			c.Problems = append(c.Problems, problem{"error", one.File, one.Line, one.Column, one.Msg, one.Hint})
		}
		return
	}
	p := problem{Level: "error", Text: err.Error()}
	var own *source.Error
	if errors.As(err, &own) {
		p.File, p.Text, p.Hint = own.Source, own.Msg, own.Way
	}
	c.Problems = append(c.Problems, p)
}

func (c *checked) emptyGroups(inv *inventory.Inventory) {
	for _, g := range inv.Groups() {
		if len(g.AllHosts()) == 0 {
			at := g.Source()
			c.Problems = append(c.Problems, problem{"warning", at.File, at.Line, at.Column, fmt.Sprintf("group %q holds no host", g.Name), ""})
		}
	}
}

// missingFiles finds files that settings name and that are not there, or cannot
// be read, once for each and with the first line that names it.
func (c *checked) missingFiles(e *env, inv *inventory.Inventory) {
	type named struct{ setting, file string }
	hosts := make(map[named][]string)
	first := make(map[named]*inventory.Host)
	var order []named
	for _, h := range inv.Hosts() {
		for setting, files := range map[string][]string{"key": h.Key, "certificate": h.Certificate, "known_hosts": h.KnownHosts} {
			for _, file := range files {
				n := named{setting, file}
				if hosts[n] == nil {
					order = append(order, n)
					first[n] = h
				}
				hosts[n] = append(hosts[n], h.Name)
			}
		}
	}
	slices.SortFunc(order, func(a, b named) int { return strings.Compare(a.setting+a.file, b.setting+b.file) })
	for _, n := range order {
		f, err := os.Open(homePath(e, n.file))
		if err == nil {
			f.Close()
			continue
		}
		if strings.Contains(n.file, "%") { // tokens of ssh_config
			continue
		}
		var at *fs.PathError
		cause := err
		if errors.As(err, &at) {
			cause = at.Err
		}
		p := problem{Level: "warning", Text: fmt.Sprintf("%s %s of %s: %v", n.setting, n.file, inventory.Fold(hosts[n]), cause)}
		for _, s := range first[n].Says() { // the last that says it counts
			if s.Setting && s.Name == n.setting {
				p.File, p.Line, p.Column = s.At.File, s.At.Line, s.At.Column
			}
		}
		c.Problems = append(c.Problems, p)
	}
}

// homePath puts the home folder in the place of a leading ~.
func homePath(e *env, file string) string {
	if rest, ok := strings.CutPrefix(file, "~/"); ok && e.getenv("HOME") != "" {
		return filepath.Join(e.getenv("HOME"), rest)
	}
	return file
}

func (c *checked) write(e *env, output string) error {
	out := bufio.NewWriter(e.stdout)
	if output == "json" {
		if err := writeDocument(out, c); err != nil {
			return err
		}
		return out.Flush()
	}
	for _, p := range c.Problems {
		out.Write(render.AppendSafeLine(nil, []byte(p.String()))) //nolint:errcheck // kept until Flush
		out.WriteByte('\n')                                       //nolint:errcheck // as above
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "%s, %s, %s, %s, %s\n", amount(len(c.Sources), "source"), amount(c.Hosts, "host"), amount(c.Groups, "group"),
		amount(c.count("error"), "error"), amount(c.count("warning"), "warning"))
	return nil
}

// fewErrors is how many errors of an inventory commands tell that do something
// else with it.
const fewErrors = 20

// shortened keeps an inventory's errors to a screen.
func shortened(err error) error {
	var list inventory.Errors
	if !errors.As(err, &list) || len(list) <= fewErrors {
		return usage(err)
	}
	return usage(fmt.Errorf("%w\n%d more errors", list[:fewErrors], len(list)-fewErrors), "'fleet hosts check' lists all of them")
}
