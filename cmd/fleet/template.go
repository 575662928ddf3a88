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
	fs.BoolVarP(&f.on, "template", "T", false, "fill in {{ .Host }}, {{ .Vars.x }} and so on in COMMAND, quoted, in a script's ARGs and in --env")
	fs.BoolVarP(&f.dry, "dry-run", "n", false, "only tell what would be sent to which hosts")
}

// filled is what places made of a run for each host, by its name. Nil is a run
// that is the same for all.
type filled struct {
	lines map[string]string   // the command; of a script, what its run is called
	args  map[string][]string // of a script
	vars  map[string][]string // NAME=VALUE, that the command finds set
}

// fill has each host fill in the places of the command, or of a script's
// arguments, and of variables. Nothing in a script is a place: each language
// would want it quoted in its own way.
func (o *runOptions) fill(hosts []*inventory.Host, words []string) (*filled, error) {
	if !o.template.on {
		return nil, nil
	}
	parse := tasks.ParseWord
	if o.command.script == "" && !o.argv {
		words, parse = []string{strings.Join(words, " ")}, tasks.ParseTemplate
	}
	parts, err := parseAll(words, parse)
	if err != nil {
		return nil, err
	}
	vars, err := o.command.templates()
	if err != nil {
		return nil, err
	}
	all := &filled{args: map[string][]string{}, vars: map[string][]string{}}
	all.lines, err = tasks.Lines(hosts, func(p tasks.Place) (string, error) {
		list, err := lines(vars, p)
		if err == nil {
			all.vars[p.Host] = list
			_, err = tasks.Environment(list)
		}
		if err != nil {
			return "", fmt.Errorf("--env: %w", err)
		}
		list, err = lines(parts, p)
		switch {
		case err != nil:
			return "", err
		case o.command.script != "":
			all.args[p.Host] = list
			return o.command.scriptName(list), nil
		case o.argv:
			return tasks.QuoteAll(list), nil
		}
		return list[0], nil
	})
	if err != nil {
		return nil, usage(fmt.Errorf("--template: nothing was sent\n%w", err))
	}
	return all, nil
}

func parseAll(texts []string, parse func(string) (*tasks.Template, error)) ([]*tasks.Template, error) {
	all := make([]*tasks.Template, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = parse(text); err != nil {
			return nil, usage(fmt.Errorf("--template: %w", err), "a place is {{ .Host }} or {{ .Vars.NAME }}; docs/templates.md has them all")
		}
	}
	return all, nil
}

// lines are templates filled in.
func lines(all []*tasks.Template, p tasks.Place) ([]string, error) {
	list := make([]string, len(all))
	for i, t := range all {
		var err error
		if list[i], err = t.Line(p); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// apply has each host sent what is its own.
func (a *filled) apply(req *engine.Request, f *commandFlags) {
	if a == nil {
		return
	}
	before := req.For
	req.For = func(h *inventory.Host, e *scheduler.Exec) error {
		var err error
		e.Command = a.lines[h.Name]
		if e.Payload, err = f.compose(a.vars[h.Name], a.args[h.Name]); err != nil {
			return err
		}
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
func (o *runOptions) dryRun(e *env, inv *inventory.Inventory, req *engine.Request, own *filled) error {
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
		if own != nil {
			s.command = own.lines[h.Name]
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
