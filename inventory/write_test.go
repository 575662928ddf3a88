package inventory

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// rewritten writes the inventory and reads it again, and wants the same.
func rewritten(t testing.TB, inv *Inventory) (text string, leftOut []string) {
	t.Helper()
	var b bytes.Buffer
	leftOut, err := inv.WriteYAML(&b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again", b.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	type plain struct {
		Name string
		Settings
		Groups []string
		Vars   map[string]any
	}
	bare := func(inv *Inventory) (list []plain) {
		for _, h := range inv.Hosts() {
			p := plain{h.Name, h.Settings, slices.Sorted(slices.Values(h.Groups)), withoutSecrets(h.Vars)}
			p.Password, p.BecomePassword = Secret{}, Secret{}
			list = append(list, p)
		}
		return list
	}
	if diff := cmp.Diff(bare(inv), bare(again), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("hosts (-before +after):\n%s\nin\n%s", diff, b.String())
	}
	members := func(inv *Inventory) map[string]string {
		all := make(map[string]string)
		for _, g := range inv.Groups() {
			text := Fold(namesOf(g.Hosts)) + " >"
			for _, child := range g.Children {
				text += " " + child.Name
			}
			all[g.Name] = text
		}
		return all
	}
	if diff := cmp.Diff(members(inv), members(again)); diff != "" {
		t.Fatalf("groups (-before +after):\n%s\nin\n%s", diff, b.String())
	}
	for i, h := range inv.Hosts() {
		if h.given&(1<<fieldBits-1) != again.Hosts()[i].given {
			t.Fatalf("%s: given %b, after %b in\n%s", h.Name, h.given, again.Hosts()[i].given, b.String())
		}
	}
	return b.String(), leftOut
}

// fieldBits is how many settings hosts.yaml can hold.
var fieldBits = len(fieldNames())

func withoutSecrets(vars map[string]any) map[string]any {
	out := make(map[string]any)
	for name, value := range vars {
		if !hasSecret(value) {
			out[name] = value
		}
	}
	return out
}

func TestWriteYAML(t *testing.T) {
	sampleText, err := os.ReadFile("../hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"sample": string(sampleText),
		"types":  "hosts:\n  a: {vars: {i: 1, f: 1.0, g: 1e300, n: null, b: false, s: \"1\", d: 2024-01-01, o: \"010\", y: \"yes\", e: \"\", m: {\"<<\": {x: []}, \"1\": {}}, big: 18446744073709551615, t: \"a\\nb\\t\\u00e9\", j: \"{{ x }}\"}}\n",
		"ways":   "defaults: {jump: [g1, g2]}\nhosts:\n  a: {jump: none}\n  b: {proxy_command: \"nc %h\"}\n  c: {become: false, port: 22, key: [x, y], connect_timeout: 90}\n  d: {address: \"::1\"}\n  r[1-3]: {address: \"10.0.0.[7-9]\"}\n",
		"odd":    "hosts:\n  \"on\":\n  \"123\":\n  n:\n  null1:\n  x9:\n  x10:\n  x8:\ngroups:\n  \"yes\": {hosts: [\"on\", n]}\n  e:\n",
		"loose":  "groups: {a: {hosts: [z, y]}, b: {children: a, hosts: x}}\n",
		"none":   "hosts: {}\n",
	} {
		inv, err := Parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		out, left := rewritten(t, inv)
		if len(left) > 0 {
			t.Errorf("%s: left out %v", name, left)
		}
		if name == "sample" && (!strings.Contains(out, "\n  web:\n    hosts: web[01-20]\n") || strings.Count(out, "\n") > 60) {
			t.Errorf("the sample became\n%s", out)
		}
	}
}

// TestWritePrecedence writes sources whose order of strength hosts.yaml does not
// have, and secrets, which stay where they are.
func TestWritePrecedence(t *testing.T) {
	c := NewContent("inv")
	c.SortGroups()
	at := Mark{1, 1}
	for _, name := range []string{"zeta", "alpha", "mid"} {
		g, err := c.Group(name, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.AddHost("web1", at); err != nil {
			t.Fatal(err)
		}
		g.Var("from", name, at)
		g.Var("only_"+name, true, at)
	}
	h, err := c.Host("web1", at)
	if err != nil {
		t.Fatal(err)
	}
	h.Var("token", NewSecret("hush"), at)
	top, _ := c.Group("top", at)
	top.AddChild("zeta", at)
	over := NewContent("group_vars")
	over.Overlay()
	g, _ := over.Group("top", at)
	g.Var("from", "overlay", at)
	if err := g.Setting("user", at, "ops"); err != nil {
		t.Fatal(err)
	}
	z, _ := c.Group("zeta", at)
	if err := z.Setting("user", at, "www"); err != nil {
		t.Fatal(err)
	}
	inv, err := Merge(Source{Content: c}, Source{Content: over})
	if err != nil {
		t.Fatal(err)
	}
	if h := inv.Hosts()[0]; h.Vars["from"] != "overlay" || h.User != "ops" {
		t.Fatalf("%+v", h)
	}
	out, left := rewritten(t, inv)
	if strings.Join(left, " ") != "vars.token" || strings.Contains(out, "hush") || strings.Contains(out, Hidden) {
		t.Errorf("left out %v of\n%s", left, out)
	}
}

// FuzzWrite writes whatever can be read, and wants the same back.
func FuzzWrite(f *testing.F) {
	for _, seed := range []string{
		"defaults: {user: d}\nhosts:\n  web[01-20]: {address: \"10.0.0.[1-20]\"}\ngroups:\n  web: {hosts: [\"web[01-20]\"], vars: {a: 1}}\n",
		"hosts: {a: {jump: none, vars: {x: {\"<<\": 1}}}, b: {proxy_command: none}}\n", "groups: {a: {children: b}, b: {hosts: [x9, x10, x8]}}\n", "hosts: {a: {vars: {x: .inf, y: 1_0, z: 0x10, w: -0.0}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var rep report
		inv, err := build([]string{"f"}, []*document{parseDocument("f", data, &rep, 500)}, &rep, 500)
		if err == nil {
			rewritten(t, inv)
		}
	})
}
