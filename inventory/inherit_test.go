package inventory

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, text string) *Inventory {
	t.Helper()
	inv, err := Parse("hosts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func hostOf(t *testing.T, inv *Inventory, name string) *Host {
	t.Helper()
	h, ok := inv.Host(name)
	if !ok {
		t.Fatalf("no host %s", name)
	}
	return h
}

func TestInheritance(t *testing.T) {
	inv := parse(t, `
defaults: {user: d, port: 1, shell: d, vars: {a: d, b: d, c: d, d: d, e: d}}
hosts:
  h1: {vars: {e: host}, connect_timeout: 5}
  h2:
groups:
  child: {hosts: [h1], shell: child, vars: {c: child, d: child, e: child}}
  parent: {children: [child], port: 2, shell: parent, vars: {b: parent, c: parent, d: parent}}
  other: {hosts: [h1], port: 3, vars: {d: other}}
  late: {hosts: [h1], port: 4}
`)
	h := hostOf(t, inv, "h1")
	// other and late have depth 0 like parent and come after it; child is deeper
	// than all of them.
	if diff := cmp.Diff([]string{"parent", "other", "late", "child"}, h.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	want := Settings{Address: "h1", User: "d", Port: 4, Shell: "child", ConnectTimeout: 5 * time.Second}
	if diff := cmp.Diff(want, h.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	wantVars := map[string]any{"a": "d", "b": "parent", "c": "child", "d": "child", "e": "host"}
	if diff := cmp.Diff(wantVars, h.Vars); diff != "" {
		t.Errorf("vars (-want +got):\n%s", diff)
	}
	if h.Given("address") || !h.Given("port") || !h.Given("connect_timeout") || h.Given("key") || h.Given("nonsense") {
		t.Errorf("given: %b", h.given)
	}
	h2 := hostOf(t, inv, "h2")
	if len(h2.Groups) != 0 || h2.Groups == nil || h2.Port != 1 || h2.Vars["e"] != "d" {
		t.Errorf("h2: %+v", h2)
	}
}

// Depth is the longest way: base stands directly under top and under mid too.
func TestDepthIsLongestWay(t *testing.T) {
	inv := parse(t, `
groups:
  base: {hosts: [h], user: base}
  top: {children: [base, mid], user: top}
  mid: {children: [base], user: mid}
`)
	h := hostOf(t, inv, "h")
	if diff := cmp.Diff([]string{"top", "mid", "base"}, h.Groups); diff != "" || h.User != "base" {
		t.Errorf("user %s, groups (-want +got):\n%s", h.User, diff)
	}
}

func TestFieldsAndTypes(t *testing.T) {
	inv := parse(t, `
hosts:
  a:
    address: "[fd00::1]"
    port: "2222"
    user: 'DOM\user'
    key: ~/.ssh/ops
    certificate: [a-cert.pub, b-cert.pub]
    jump: ops@b1:2200, b2
    become: yes
    become_user: root
    become_method: doas
    hostkey: SHA256:abc
    known_hosts: [kh]
    connect_timeout: 1m30s
    shell: /bin/bash
  b: {proxy_command: "nc %h %p", hostkey: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="], become: false}
  c: {jump: none}
`)
	want := Settings{
		Address: "fd00::1", Port: 2222, User: `DOM\user`, Key: []string{"~/.ssh/ops"},
		Certificate: []string{"a-cert.pub", "b-cert.pub"}, Jump: []string{"ops@b1:2200", "b2"},
		Become: true, BecomeUser: "root", BecomeMethod: "doas", HostKey: []string{"SHA256:abc"},
		KnownHosts: []string{"kh"}, ConnectTimeout: 90 * time.Second, Shell: "/bin/bash",
	}
	if diff := cmp.Diff(want, hostOf(t, inv, "a").Settings); diff != "" {
		t.Errorf("a (-want +got):\n%s", diff)
	}
	want = Settings{Address: "b", ProxyCommand: "nc %h %p", HostKey: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="}}
	if diff := cmp.Diff(want, hostOf(t, inv, "b").Settings); diff != "" {
		t.Errorf("b (-want +got):\n%s", diff)
	}
	if c := hostOf(t, inv, "c"); !c.Given("jump") || len(c.Jump) != 0 {
		t.Errorf("c: %+v", c)
	}
}

func TestRanges(t *testing.T) {
	inv := parse(t, `
hosts:
  web[08-11]: {address: "10.0.[0-1].[1-2]", user: x, vars: {k: range}}
  web09: {port: 9, vars: {k: single}}
  "n[1-4/3],m": {address: "a1,b,c"}
groups:
  g: {hosts: ["web[08-09]", new1, "new[1-2]"]}
`)
	var got []string
	for _, h := range inv.Hosts() {
		got = append(got, fmt.Sprint(h.Name, " ", h.Address, " ", h.Port, " ", h.User, " ", h.Vars["k"], " ", h.Groups))
	}
	want := []string{
		"web08 10.0.0.1 0 x range [g]", "web09 10.0.0.2 9 x single [g]", "web10 10.0.1.1 0 x range []", "web11 10.0.1.2 0 x range []",
		"n1 a1 0  <nil> []", "n4 b 0  <nil> []", "m c 0  <nil> []",
		"new1 new1 0  <nil> [g]", "new2 new2 0  <nil> [g]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

// A single name refines a range of its file wherever it stands; a later file
// refines both.
func TestLayers(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.yaml"), filepath.Join(dir, "two.yaml")
	write(t, one, `
defaults: {user: one, shell: one}
hosts:
  w2: {port: 2, address: single}
  w[1-3]: {port: 1, address: "r[1-3]", vars: {a: one}}
groups:
  g: {hosts: w1, become_user: one, vars: {x: 1}}
`)
	write(t, two, `
defaults: {user: two}
hosts: {"w[2-3]": {key: k, address: "z[2-3]"}, w3: {port: 33}, v: }
groups:
  g: {hosts: w3, become: true, vars: {y: 2}}
`)
	inv, err := Load(one, two)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range inv.Hosts() {
		got = append(got, fmt.Sprint(h.Name, h.Address, h.Port, h.User, h.Shell, h.Key, h.Groups, h.Become, h.BecomeUser, h.Vars))
	}
	want := []string{
		"w2z22twoone[k][]false" + "map[a:one]",
		"w1r11twoone[][g]trueonemap[a:one x:1 y:2]",
		"w3z333twoone[k][g]trueonemap[a:one x:1 y:2]",
		"vv0twoone[][]falsemap[]",
	}
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "")
		want[i] = strings.ReplaceAll(want[i], " ", "")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if h := hostOf(t, inv, "v"); h.Source != (Position{File: two, Line: 3, Column: 64}) {
		t.Errorf("v is at %+v", h.Source)
	}
	if g, ok := inv.Group("g"); !ok || Fold(hostNames(g.Hosts)) != "w[1,3]" {
		t.Errorf("g: %v", g)
	}
}

func TestJumpLists(t *testing.T) {
	inv := parse(t, `
defaults: {jump: [b1, ops@b2:22]}
hosts:
  a:
  b1:
  b2: {user: x}
  c: {proxy_command: nc}
groups:
  direct: {hosts: d, jump: none}
`)
	for name, want := range map[string]string{"a": "b1 ops@b2:22", "b1": "", "b2": "b1", "c": "", "d": ""} {
		if got := strings.Join(hostOf(t, inv, name).Jump, " "); got != want {
			t.Errorf("%s jumps through %q, want %q", name, got, want)
		}
	}
}

func TestVarsAreJSON(t *testing.T) {
	inv := parse(t, `
x-base: &base {port: 1022, vars: {deep: &deep {list: [1, 2]}}}
hosts:
  a:
    <<: *base
    vars: {s: text, i: 42, big: 18446744073709551615, f: 1.5, t: true, n: null, d: 2026-01-02, id: 0123, neg: -07, hex: 0x1F, inf: .inf, y: yes,
      1: one, m: {2: two, e: {}}, l: [a, [b], *deep], q: "42", v: *deep}
  b: *base
`)
	a := hostOf(t, inv, "a")
	got, err := json.Marshal(a.Vars)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"1":"one","big":18446744073709551615,"d":"2026-01-02","f":1.5,"hex":31,"i":42,"id":"0123","inf":".inf",` +
		`"l":["a",["b"],{"list":[1,2]}],"m":{"2":"two","e":{}},"n":null,"neg":"-07","q":"42","s":"text","t":true,"v":{"list":[1,2]},"y":"yes"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("vars (-want +got):\n%s", diff)
	}
	if b := hostOf(t, inv, "b"); a.Port != 1022 || b.Port != 1022 || b.Vars["deep"] == nil {
		t.Errorf("a %+v, b %+v", a, b)
	}
}

func TestTree(t *testing.T) {
	inv := sample(t)
	var out strings.Builder
	var show func(g *Group, indent string)
	show = func(g *Group, indent string) {
		fmt.Fprintf(&out, "%s%s: %s\n", indent, g.Name, Fold(hostNames(g.Hosts)))
		for _, child := range g.Children {
			show(child, indent+" ")
		}
	}
	show(inv.Tree(), "")
	want := `all: bastion
 batch: rack[1-2]-node[1-2]
 prod: 
  web: web[01-20]
  db: db[1-2]
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	prod, ok := inv.Group("prod")
	if !ok || Fold(hostNames(prod.AllHosts())) != "db[1-2],web[01-20]" {
		t.Errorf("prod: %v", prod)
	}
	if all, ok := inv.Group(All); !ok || len(all.Children) != 2 {
		t.Errorf("all: %v", all)
	}
	if _, ok := inv.Group("nope"); ok {
		t.Error("found a group nope")
	}
	if len(inv.Groups()) != 4 {
		t.Errorf("%d groups", len(inv.Groups()))
	}
}

func TestEmptySections(t *testing.T) {
	for _, text := range []string{"{}", "hosts:\n", "hosts: {}\ngroups: {}\ndefaults: {}\n", "groups: {g: }\n"} {
		if inv := parse(t, text); len(inv.Hosts()) != 0 {
			t.Errorf("%q: %v", text, inv.Hosts())
		}
	}
	inv := parse(t, "hosts: [b, \"a[1-2]\"]\n")
	if got := Fold(hostNames(inv.Hosts())); got != "a[1-2],b" {
		t.Errorf("list of hosts: %s", got)
	}
	hosts, err := parse(t, "{}").Select("all")
	if len(hosts) != 0 || err != nil {
		t.Errorf("all of nothing: %v, %v", hosts, err)
	}
}

// The limits of memory and time hold on hostile files.
func TestBombs(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("x-0: &a0 [lol]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&laughs, "x-%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	laughs.WriteString("hosts: {h: {vars: {v: *a11}}}\n")
	var merges strings.Builder
	merges.WriteString("x-0: &a0 {user: x}\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&merges, "x-%d: &a%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	merges.WriteString("hosts: {h: *a11}\n")
	deep := "hosts: {h: {vars: {v: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}}"
	var product strings.Builder
	product.WriteString("hosts:\n")
	for i := range 10 {
		fmt.Fprintf(&product, "  n%dx[1-900000]: {}\n", i)
	}
	for _, test := range []struct{ name, text, want string }{
		{"laughs", laughs.String(), "f:13:19: vars of more than 100000 values with aliases followed"},
		{"merges", merges.String(), "merges of more than 10000000 entries"},
		{"depth", deep, "vars more than 100 levels deep"},
		{"hosts", product.String(), "f:4:3: more than 2000000 hosts"},
		{"set", "hosts: {h: }\ngroups: {g: {hosts: \"a[1-3000000]\"}}", "f:2:21: 3000000 names, the limit is 2000000"},
		{"brackets", strings.Repeat("[", 100_000), "f:1:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("f", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "\n") > 1 {
				t.Errorf("got %.300v, want %s", err, test.want)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestMembershipLimit(t *testing.T) {
	var groups strings.Builder
	for i := range 30 {
		fmt.Fprintf(&groups, "  g%02d: {hosts: \"a[1-100]\"}\n", i)
	}
	var rep report
	doc := parseDocument("f", []byte("groups:\n"+groups.String()), &rep, 200)
	_, err := build([]string{"f"}, []*document{doc}, &rep, 200)
	want := "f:22:16: groups name hosts more than 2000 times (put groups into groups by children)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadSample(t *testing.T) {
	data, err := os.ReadFile("../hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inv := parse(t, string(data))
	if len(inv.Hosts()) != 27 {
		t.Errorf("%d hosts", len(inv.Hosts()))
	}
	db1 := hostOf(t, inv, "db1")
	want := Settings{
		Address: "10.0.1.1", Port: 2222, User: "root", Key: []string{"~/.ssh/ops"}, Jump: []string{"bastion"},
		Become: true, BecomeUser: "postgres", ConnectTimeout: 10 * time.Second,
	}
	if diff := cmp.Diff(want, db1.Settings); diff != "" {
		t.Errorf("db1 (-want +got):\n%s", diff)
	}
	wantVars := map[string]any{"env": "production", "tier": "back", "backup": "nightly", "role": "primary"}
	if diff := cmp.Diff(wantVars, db1.Vars); diff != "" {
		t.Errorf("vars of db1 (-want +got):\n%s", diff)
	}
}

// Tags are groups, whether a groups section has them or not, and take what such a
// group says.
func TestTags(t *testing.T) {
	inv, err := Parse("f", []byte("hosts:\n  web[1-3]: {tags: [eu, canary]}\n  web2: {tags: us}\n  db: {tags: [], port: 1}\ngroups:\n  eu: {user: ops, hosts: db}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{"@eu": "db,web[1-3]", "canary": "web[1-3]", "eu!us": "db,web[1,3]", "us": "web2"} {
		hosts, err := inv.Select(pattern)
		if got := Fold(hostNames(hosts)); got != want || err != nil {
			t.Errorf("%s: %s (%v), want %s", pattern, got, err, want)
		}
	}
	if h := hostOf(t, inv, "web2"); h.User != "ops" || strings.Join(h.Groups, " ") != "eu canary us" {
		t.Errorf("web2: %+v", h)
	}
	for text, want := range map[string]string{
		"hosts: {a: {tags: all}}":       `"all" is the group of every host`,
		"hosts: {a: {tags: {x: y}}}":    "want a list of names",
		"hosts: {a: {tags: [-x]}}":      "starts with a dash",
		"groups: {a: {tags: x}}":        `unknown field "tags"`,
		"defaults: {tags: x}\nhosts: a": `unknown field "tags"`,
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
