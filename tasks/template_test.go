package tasks

import (
	"os/exec"
	"strings"
	"testing"

	"fleet/inventory"
)

const templateHosts = `
hosts:
  web[01-03]:
    address: 10.0.0.[1-3]
    port: 2222
    user: deploy
    vars:
      role: front end
      quote: it's "here"
      list: [a b, c, 3]
      deep: {er: [x]}
      n: 1234567
      f: 1.5
      on: true
      opts: "-a -b"
      none: ~
  db1: {vars: {role: data}}
groups:
  web: {hosts: ["web[01-03]"]}
`

func templateInventory(t testing.TB) []*inventory.Host {
	inv, err := inventory.Parse("hosts.yaml", []byte(templateHosts))
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := inv.Select("all")
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

func TestTemplateLines(t *testing.T) {
	web01 := templateInventory(t)[0]
	for text, want := range map[string]string{
		"uptime":                                             "uptime",
		"echo {{ .Host }}":                                   "echo web01",
		"echo {{.Address}}:{{.Port}} {{.User}}":              "echo 10.0.0.1:2222 deploy",
		"echo {{ .Vars.role }}":                              "echo 'front end'",
		"echo {{ raw .Vars.role }}":                          "echo front end",
		"echo {{ .Vars.role | raw }}":                        "echo front end",
		"echo {{ .Vars.quote }}":                             `echo 'it'\''s "here"'`,
		"run {{ raw .Vars.opts }} x":                         "run -a -b x",
		"echo {{ .Vars.list }}":                              "echo 'a b' c 3",
		"echo {{ .Groups }}":                                 "echo web",
		"echo {{ index .Vars.deep.er 0 }}":                   "echo x",
		"echo {{ .Vars.n }} {{ .Vars.f }} {{ .Vars.on }}":    "echo 1234567 1.5 true",
		"shard {{ .Index }}/{{ .Count }}":                    "shard 0/4",
		`echo {{ or (index .Vars "nothing") "by default" }}`: "echo 'by default'",
		`{{ if eq .Vars.role "front end" }}front {{ .Host }}{{ else }}{{ .Vars.x }}{{ end }}`: "front web01",
		`{{ range .Vars.list }}[{{ . }}]{{ end }}`:                                            "['a b'][c][3]",
		`{{ with .Vars.opts }}{{ . }}{{ end }}`:                                               "'-a -b'",
		`{{ $x := .Vars.role }}echo {{ $x }}`:                                                 "echo 'front end'",
		`{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .Vars.role }}`:                     "<'front end'>",
		`echo {{ printf "%s-%s" .Host .Vars.role }}`:                                          "echo 'web01-front end'",
		`docker ps --format {{ "{{.Names}}" }}`:                                               "docker ps --format '{{.Names}}'",
		"{{/* nothing */}}true":                                                               "true",
		`echo {{ .Vars.role | quote | raw }}`:                                                 "echo 'front end'",
	} {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := tmpl.Line(PlaceOf(web01, 0, 4)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	web01 := templateInventory(t)[0]
	for text, want := range map[string]string{
		"echo {{ .Vars.rolle }}":     `{{ .Vars.rolle }}: no variable "rolle"`,
		"echo {{ .Vars.deep.ex }}":   `{{ .Vars.deep.ex }}: no variable "ex"`,
		"echo {{ .Vars.none }}":      "no value",
		"echo {{ .Vars.deep }}":      "a map, where one value is wanted",
		"echo {{ raw .Vars.list }}":  "{{ raw .Vars.list }}: a list, where one value is wanted",
		"echo {{ .Hostname }}":       "{{ .Hostname }}: can't evaluate field Hostname in type tasks.Place",
		`echo {{ "\x00" | raw }}`:    "a NUL byte cannot stand in a command",
		"echo {{ index .Groups 9 }}": "{{ index .Groups 9 }}: index out of range: 9",
	} {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := tmpl.Line(PlaceOf(web01, 0, 1)); err == nil || err.Error() != want {
			t.Errorf("%s: %q, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"{{ .Host", "{{ nothing .Host }}", "{{ end }}", "{{ if }}"} {
		if _, err := ParseTemplate(text); err == nil || strings.Contains(err.Error(), "template:") {
			t.Errorf("%s: %v", text, err)
		}
	}
	secret := *web01
	token := inventory.NewSecret("hunter2")
	secret.Vars = map[string]any{"token": token, "list": []any{token}, "map": map[string]any{"t": token}}
	for _, text := range []string{"{{ .Vars.token.Reveal }}", "{{ .Vars.token.Text }}", "{{ .Vars.map.t.Text }}", "{{ (index .Vars.list 0).Text }}", "{{ .Vars.list }}", "{{ .Vars.token }}", "{{ raw .Vars.token }}", "{{ printf \"%v\" .Vars.token }}", "{{ print .Vars }}", "{{ len (print .Vars.token) }}"} {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Line(PlaceOf(&secret, 0, 1)); err == nil && !strings.Contains(text, "print") || strings.Contains(got, "hunter2") || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// TestVariablesMayBeSecret fills in what no command line may hold.
func TestVariablesMayBeSecret(t *testing.T) {
	host := &inventory.Host{Name: "a", Vars: map[string]any{"pin": inventory.NewSecret(1234), "deep": inventory.NewSecret(map[string]any{"x": 1})}}
	tmpl, err := ParseVariable("PIN=it's {{ .Vars.pin }}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.Line(PlaceOf(host, 0, 1)); err != nil || got != "PIN=it's 1234" {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"{{ printf \"%#v\" .Vars.pin }}", "{{ print .Vars }}", "{{ len .Vars.deep }}"} {
		if tmpl, err = ParseVariable(text); err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Line(PlaceOf(host, 0, 1)); strings.Contains(got, "1234") || err != nil && strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if tmpl, err = ParseVariable("{{ .Vars.deep }}"); err != nil {
		t.Fatal(err)
	}
	if got, err := tmpl.Line(PlaceOf(host, 0, 1)); err == nil || err.Error() != "a map, where one value is wanted" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Literal("A={{ .Host }}").Line(PlaceOf(host, 0, 1)); err != nil || got != "A={{ .Host }}" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLinesNameAllHosts(t *testing.T) {
	hosts := templateInventory(t)
	tmpl, err := ParseTemplate("echo {{ .Vars.opts }} {{ .Vars.role }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lines(hosts, tmpl.Line); err == nil || err.Error() != `db1: {{ .Vars.opts }}: no variable "opts"` {
		t.Errorf("%v", err)
	}
	tmpl, _ = ParseTemplate("{{ if eq .Host \"db1\" }}{{ .Vars.x }}{{ else }}{{ .Vars.y }}{{ end }}")
	want := "web[01-03]: {{ .Vars.y }}: no variable \"y\"\ndb1: {{ .Vars.x }}: no variable \"x\""
	if _, err := Lines(hosts, tmpl.Line); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	lines, err := Lines(hosts, func(p Place) (string, error) { return p.Host, nil })
	if err != nil || len(lines) != 4 || lines["web02"] != "web02" {
		t.Errorf("%v, %v", lines, err)
	}
}

// FuzzTemplateQuotes has what a variable holds come out of a real shell as one
// word, exactly as it is.
func FuzzTemplateQuotes(f *testing.F) {
	for _, s := range []string{"", "a b", "it's", "$(id)", "`id`", "\\", "\n", "-n", "{{ .Host }}", "é", "*", "~", "a;b&c|d<e>f"} {
		f.Add(s)
	}
	tmpl, err := ParseTemplate("printf '<%s>' {{ .Vars.x }}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // Quote cuts there, as every argv would
		}
		line, err := tmpl.Line(Place{Vars: map[string]any{"x": s}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("/bin/sh", "-c", line).Output()
		if err != nil || string(out) != "<"+s+">" {
			t.Errorf("%q: %s gave %q, %v", s, line, out, err)
		}
	})
}
