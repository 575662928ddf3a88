package inventory

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// template is a setting whose text holds templates of Jinja, to be filled in
// for each host.
type template struct {
	setting field
	name    string
	text    string
	at      Position
}

// Template gives the entry a setting whose text holds templates of Jinja, as in
// "{{ inventory_hostname }}.example.com". For each host they are filled in from
// its variables, in the simple forms that this takes: {{ NAME }}, {{ NAME.KEY }},
// and | default('TEXT') behind it. Where that is not enough, Host.Fault says so.
func (e Entry) Template(setting, text string, at Mark) {
	f, ok := fieldByName(setting)
	if !ok {
		panic("inventory: no setting " + setting)
	}
	p := e.patch()
	p.given |= f
	p.templates = append(p.templates, template{f, setting, text, Position{e.c.doc.file, at.Line, at.Column}})
	p.note(setting, true, at)
}

// Fault says what is wrong with the host's own settings, so that it cannot be
// reached; nil where nothing is. It is an *Error.
func (h *Host) Fault() error {
	if h.fault == nil {
		return nil
	}
	return h.fault
}

// stronger gives the templates that are left when given settings stand above weak ones.
func stronger(weak []template, given field, strong []template) []template {
	if len(weak) == 0 {
		return strong
	}
	if given&(fieldJump|fieldProxyCommand) != 0 {
		given |= fieldJump | fieldProxyCommand
	}
	var out []template
	for _, t := range weak {
		if t.setting&given == 0 {
			out = append(out, t)
		}
	}
	return append(out, strong...)
}

// fill evaluates the host's templates.
func (h *Host) fill(list []template) {
	for i := range list {
		t := &list[i]
		text, err := h.expand(t.text, 0)
		if err == nil {
			err = h.setText(t, text)
		}
		if err != nil && h.fault == nil {
			h.fault = &Error{File: t.at.File, Line: t.at.Line, Column: t.at.Column, Word: t.text, Msg: fmt.Sprintf("%s of %s: %v", t.name, h.Name, err)}
		}
	}
}

// setText sets a setting to what a template came to.
func (h *Host) setText(t *template, text string) error {
	p := &patch{}
	switch t.setting {
	case fieldPassword:
		p.more().Password = NewSecret(text)
	case fieldBecomePassword:
		p.more().BecomePassword = NewSecret(text)
	default:
		var rep report
		r := &reader{rep: &rep, limit: MaxHosts}
		r.setting(p, nil, &yaml.Node{Kind: yaml.ScalarNode, Value: t.name}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text})
		if len(rep.list) > 0 {
			return fmt.Errorf("%s", rep.list[0].Msg)
		}
	}
	p.given = t.setting
	p.apply(&h.Settings)
	return nil
}

var (
	templateForm = regexp.MustCompile(`^\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*|\[\s*(?:'[^']*'|"[^"]*")\s*\])*)\s*(?:\|\s*default\(\s*(?:'([^']*)'|"([^"]*)"|([0-9]+))\s*(?:,\s*true\s*)?\)\s*)?-?\}\}$`)
	templateKey  = regexp.MustCompile(`[A-Za-z0-9_]+`)
)

// expand fills in the templates of a text; those inside values too.
func (h *Host) expand(text string, depth int) (string, error) {
	const deepest = 10
	if depth > deepest {
		return "", fmt.Errorf("jinja templates inside each other more than %d deep", deepest)
	}
	var out strings.Builder
	for {
		from := strings.Index(text, "{{")
		if from < 0 {
			break
		}
		length := strings.Index(text[from:], "}}")
		if length < 0 {
			break
		}
		form := text[from : from+length+2]
		value, err := h.evaluate(form)
		if err == nil {
			value, err = h.expand(value, depth+1)
		}
		if err != nil {
			return "", err
		}
		out.WriteString(text[:from] + value)
		text = text[from+length+2:]
	}
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		return "", fmt.Errorf("%s: a jinja template that is not understood here", abbreviate(text))
	}
	out.WriteString(text)
	return out.String(), nil
}

// evaluate works out one {{ }}.
func (h *Host) evaluate(form string) (string, error) {
	m := templateForm.FindStringSubmatch(form)
	if m == nil {
		return "", fmt.Errorf("%s: a jinja template that is not understood here", abbreviate(form))
	}
	value, ok := h.ofJinja(m[1])
	for _, key := range templateKey.FindAllString(m[2], -1) {
		if !ok {
			break
		}
		inner, isMap := Reveal(value).(map[string]any)
		value, ok = nil, false
		if isMap {
			value, ok = inner[key]
		}
	}
	switch v := Reveal(value).(type) {
	case string:
		return v, nil
	case int64, uint64, float64, bool:
		return fmt.Sprint(v), nil
	}
	if ok {
		return "", fmt.Errorf("%s: no text and no number", abbreviate(form))
	}
	if fallback := m[3] + m[4] + m[5]; strings.Contains(form, "|") {
		return fallback, nil
	}
	return "", fmt.Errorf("%s: there is no variable %s", abbreviate(form), m[1]+m[2])
}

// ofJinja gives a variable of the host, those that every host has among them.
func (h *Host) ofJinja(name string) (any, bool) {
	switch name {
	case "inventory_hostname":
		return h.Name, true
	case "inventory_hostname_short":
		short, _, _ := strings.Cut(h.Name, ".")
		return short, true
	}
	v, ok := h.Vars[name]
	return v, ok
}
