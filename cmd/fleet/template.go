package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

// templateFlags say that the command has places that each host fills in. They
// are not looked for unasked: what stands between {{ and }} is often for the
// command itself, as in docker ps --format '{{.Names}}'.
type templateFlags struct {
	on  bool
	dry bool
}

func (f *templateFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.BoolVarP(&f.on, "template", "T", false, "fill in {{ .Host }}, {{ .Vars.x }} and so on in COMMAND, quoted")
	fs.BoolVarP(&f.dry, "dry-run", "n", false, "only tell what would be sent to which hosts")
}

// lines are the commands of hosts, nil if all have the same.
func (f *templateFlags) lines(hosts []*inventory.Host, words []string, argv bool) (map[string]string, error) {
	if !f.on {
		return nil, nil
	}
	make := func(text string, parse func(string) (*tasks.Template, error)) (*tasks.Template, error) {
		t, err := parse(text)
		if err != nil {
			return nil, usage(fmt.Errorf("--template: %w", err), "a place is {{ .Host }} or {{ .Vars.NAME }}; docs/templates.md has them all")
		}
		return t, nil
	}
	var line func(tasks.Place) (string, error)
	if argv {
		parts := []*tasks.Template{}
		for _, word := range words {
			t, err := make(word, tasks.ParseWord)
			if err != nil {
				return nil, err
			}
			parts = append(parts, t)
		}
		line = func(p tasks.Place) (string, error) { return quotedLine(parts, p) }
	} else {
		t, err := make(strings.Join(words, " "), tasks.ParseTemplate)
		if err != nil {
			return nil, err
		}
		line = t.Line
	}
	lines, err := tasks.Lines(hosts, line)
	if err != nil {
		return nil, usage(fmt.Errorf("--template: nothing was sent\n%w", err))
	}
	return lines, nil
}

// quotedLine has each word filled in, and then quoted.
func quotedLine(parts []*tasks.Template, p tasks.Place) (string, error) {
	words := make([]string, len(parts))
	for i, t := range parts {
		var err error
		if words[i], err = t.Line(p); err != nil {
			return "", err
		}
	}
	return tasks.QuoteAll(words), nil
}

// applyLines has each host sent its own line.
func applyLines(req *engine.Request, lines map[string]string) {
	if lines == nil {
		return
	}
	before := req.For
	req.For = func(h *inventory.Host, e *scheduler.Exec) error {
		e.Command = lines[h.Name]
		if before != nil {
			return before(h, e)
		}
		return nil
	}
}

var placeRE = regexp.MustCompile(`\{\{-?\s*(?:raw\s+)?\.(?:Host|Address|Port|User|Groups|Vars)\b[^}]*\}\}`)

// untouched is a place that looks like one of a template, where none was asked for.
func (f *templateFlags) untouched(line string) string {
	if f.on {
		return ""
	}
	return placeRE.FindString(line)
}

// dryRun tells what req would send.
func (o *runOptions) dryRun(e *env, inv *inventory.Inventory, req *engine.Request, lines map[string]string) error {
	if !slices.Contains(render.Modes, o.show.output) {
		_, err := render.New(o.show.output, render.Options{})
		return usage(err)
	}
	if err := o.become.check(req.Hosts); err != nil {
		return err
	}
	ask := &prompter{}
	if _, err := o.connect.access(e, ask); err != nil {
		return err
	}
	if err := o.guard.apply(inv, req, ask); err != nil {
		return err
	}
	return dryRun(e, o.show.output, req, o.command.describeScript(), func(h *inventory.Host) sending {
		s := sending{req.Command, o.become.as(h)}
		if lines != nil {
			s.command = lines[h.Name]
		}
		return s
	})
}

// as is whom a host's command runs as, as engine.Become has it.
func (f *becomeFlags) as(h *inventory.Host) runAs {
	on := h.Become
	if f.set("become") {
		on = f.on
	}
	if !on {
		return runAs{}
	}
	return runAs{cmp.Or(f.user, h.BecomeUser, "root"), cmp.Or(f.method, h.BecomeMethod, "sudo")}
}
