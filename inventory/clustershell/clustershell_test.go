package clustershell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"fleet/inventory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options read the real world, with upcalls by sh.
func options(wanted ...string) Options {
	return Options{
		ReadFile: os.ReadFile, Wanted: wanted,
		Glob: func(pattern string) ([]string, error) {
			files, err := filepath.Glob(pattern)
			slices.Sort(files)
			return files, err
		},
		Run: func(ctx context.Context, dir, command string) ([]byte, error) {
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
			cmd.Dir = dir
			return cmd.Output()
		},
	}
}

// nodeset runs ClusterShell's tool with a groups.conf.
func nodeset(t *testing.T) func(conf string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("nodeset")
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") == "1" {
			t.Fatal("nodeset is not installed (Debian package clustershell)")
		}
		t.Skip("nodeset is not installed (Debian package clustershell)")
	}
	return func(conf string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, append([]string{"--groupsconf=" + conf}, args...)...)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("nodeset %v: %v: %s", args, err, complaint.String())
		}
		return strings.TrimSpace(string(out))
	}
}

// config writes a groups.conf with the files beside it.
func config(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "groups.conf")
}

func mustRead(t testing.TB, conf string, o Options) *Groups {
	t.Helper()
	data, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	g, err := ReadConf(t.Context(), conf, data, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const mainConf = "[Main]\ndefault: local\nconfdir: $CFGDIR/groups.conf.d\nautodir: \"$CFGDIR/groups.d\" $CFGDIR/none\n"

const localConf = `
[local]
# flat file
map: sed -n 's/^$GROUP:\(.*\)/\1/p' $CFGDIR/flat
all: sed -n 's/^all:\(.*\)/\1/p' $CFGDIR/flat
list: sed -n 's/^\([0-9A-Za-z_-]*\):.*/\1/p' $CFGDIR/flat
`

const flat = "adm: example0\noss: example4 example5\nmds: example6\nio: @oss,@mds\nall: example[4-6],example[32-40],example0\ncompute: example[32-40]!example33\n"

const clusterYAML = `
roles:
    adm: 'example0'
    io: '@racks:rack2,example2'
    compute: '@racks:rack[3-4]'
    gpu: '@racks:rack4'
    all: '@io,@compute'
racks:
    rack1: 'example[0,2]'
    rack2: 'example[4-5]'
    rack3: 'example[32-159]'
    rack4: 'example[156-159]'
    old: '@rack[1,3]'
    new: '@rack[2,4]'
    odd: '@old^@new'
    some: '@rack[1-4]!example156&example[0-157]'
    rack5:
        - 'example[200-205]'  # some comment
        - 'example245'
        - 'example300,example[401-406]'
cpu:
    ivy: 'example[32-63]'
    hsw: '@roles:compute!@ivy'
`

// TestAsNodeset compares every group with what nodeset says of it.
func TestAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	conf := config(t, "groups.conf", mainConf+localConf, "flat", flat, "groups.d/cluster.yaml", clusterYAML, "groups.d/ignored.txt", "x",
		"groups.conf.d/more.conf", "[calc,c2]\nmap = echo calc$GROUP $SOURCE &&\n  echo n[1-2]\nlist = echo 1 2\n")
	checkGroups(t, run, conf, mustRead(t, conf, options("calc:1", "c2:*")))
}

func checkGroups(t *testing.T, run func(string, ...string) string, conf string, g *Groups) {
	t.Helper()
	if g.Default != "local" || len(g.Groups) < 5 {
		t.Errorf("default %q, %d groups", g.Default, len(g.Groups))
	}
	got := make(map[string]string)
	for _, group := range g.Groups {
		got["@"+group.Source+":"+group.Name] = inventory.Fold(group.Nodes)
	}
	compared := 0
	for line := range strings.Lines(run(conf, "-LL")) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(name, ":") {
			name = "@local:" + name[1:]
		}
		if name == "@local:all" || name == "@calc:2" { // not a group of ours; not wanted
			continue
		}
		compared++
		if got[name] != want {
			t.Errorf("%s: got %s, nodeset says %s", name, got[name], want)
		}
	}
	if compared != len(got) {
		t.Errorf("nodeset lists %d groups, we have %v", compared, got)
	}
}

// TestGeneratedAsNodeset holds expressions of groups in groups to nodeset's.
func TestGeneratedAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 3))
		var b strings.Builder
		b.WriteString("local:\n")
		for i := range 8 {
			fmt.Fprintf(&b, "    g%d: '", i)
			for j := range 1 + r.IntN(4) {
				if j > 0 {
					b.WriteByte(",!&^"[r.IntN(4)])
				}
				low := r.IntN(30)
				switch k := r.IntN(4); {
				case k == 0 && i > 0:
					fmt.Fprintf(&b, "@g%d", r.IntN(i))
				case k == 1 && i > 2:
					fmt.Fprintf(&b, "@local:g[0-%d]", r.IntN(i))
				default:
					fmt.Fprintf(&b, "n[%d-%d]", low, low+r.IntN(20))
				}
			}
			b.WriteString("'\n")
		}
		conf := config(t, "groups.conf", mainConf, "groups.d/a.yaml", b.String())
		checkGroups(t, run, conf, mustRead(t, conf, options()))
		if t.Failed() {
			t.Fatalf("seed %d\n%s", seed, b.String())
		}
	}
}

// TestUpcalls wants no more commands run than are needed, each with its names in
// place, and none with names that could mean more to a shell.
func TestUpcalls(t *testing.T) {
	conf := config(t, "groups.conf", "[Main]\ndefault: a\n[a]\nmap: map $GROUP ${SOURCE} $CFGDIR\nlist: list\nall: everything\n[b]\nmap: other $GROUP\nlist: others\n[c]\nmap: m $GROUP\nall: every\nreverse: r $NODE\n")
	dir := filepath.Dir(conf)
	answers := map[string]string{
		"list": "x y\nx;reboot $(z) y\n", "map x a " + dir: "n1 n[2-3]\nn4", "map y a " + dir: "", "everything": "n[1-5]", "other q": "m1", "others": "q r", "other r": "m2",
		"every": "k1 k2", "r k1": "u v", "r k2": "v", "m u": "k1", "m v": "k1,k2",
	}
	var mu sync.Mutex
	var calls []string
	o := options("b:q", "c:*")
	o.Run = func(_ context.Context, in, command string) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, command)
		out, ok := answers[command]
		if !ok || in != dir {
			return nil, fmt.Errorf("no %s in %s", command, in)
		}
		return []byte(out), nil
	}
	g := mustRead(t, conf, o)
	var got []string
	for _, group := range g.Groups {
		got = append(got, group.Source+":"+group.Name+"="+inventory.Fold(group.Nodes))
	}
	if want := "a:x=n[1-4] a:y= b:q=m1 c:u=k1 c:v=k[1-2]"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if len(g.Nodes) != 1 || g.Nodes[0].Name != "n5" {
		t.Errorf("loose nodes %v", g.Nodes)
	}
	if len(g.Warnings) != 2 || !strings.Contains(g.Warnings[0].Error(), `conf:3:1: group "x;reboot" of source a left out`) {
		t.Errorf("warnings %v", g.Warnings)
	}
	if slices.Contains(calls, "others") || slices.Contains(calls, "other r") {
		t.Errorf("commands that nobody needs: %v", calls)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"map: x\n":                              "groups.conf:1:1: an option before the first section",
		"[a\n":                                  "groups.conf:1:1: a section wants a name in brackets",
		"[a]\nlist: x\n":                        `groups.conf:1:1: group source "a" has no map upcall`,
		"[a]\nmap: x\n[a]\nmap: y\n":            `groups.conf:3:1: duplicate section "a" (first at line 1)`,
		"[a]\nmap: x\n[b,a]\nmap: y\n":          `groups.conf:3:1: group source "a" is there already`,
		"[a]\nmap: x\nnonsense\n":               `groups.conf:3:1: "nonsense" is neither a section nor an option`,
		"[Main]\ndefault: z\n[a]\nmap: x\n":     `groups.conf:2:10: default group source "z" is not there (sources: a)`,
		"[a]\nmap: x\nlist: false\n":            `groups.conf:1:1: list upcall of group source "a": exit status 1`,
		"[a]\nmap: exit 3\nlist: echo g\n":      `map upcall of group source "a": of group "g": exit status 3`,
		"[a]\nmap: echo @g\nlist: echo g\n":     `group @a:g is part of itself`,
		"[a]\nmap: echo @z:g\nlist: echo g\n":   `no group source "z" (sources: a)`,
		"[a]\nmap: echo 'n[9-1]'\nlist: echo g": `range "9-1" is reversed`,
		"[a]\nmap: echo 'n*'\nlist: echo g":     `wildcard in "n*"`,
	} {
		_, err := ReadConf(t.Context(), "groups.conf", []byte(text), options())
		var list inventory.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"a: [x]\n":               `f.yaml:1:4: group source "a" is no mapping`,
		"a:\n  1: x\n":           "f.yaml:2:3: name of a group is no text",
		"1: {a: x}\n":            "f.yaml:1:1: name of a group source is no text",
		"a:\n  g: {x: y}\n":      `f.yaml:2:6: nodes of "g" are no text`,
		"a:\n  g: '@h'\n":        `f.yaml:2:6: no group "h" in group source "a"`,
		"a:\n  g: x\n  g: y\n":   `f.yaml:3:3: duplicate group "g" (first at line 2)`,
		"a:\n  g: 'n[1-'\n":      `f.yaml:2:6: "n[1-": column 2: "[" without "]"`,
		"- a\n":                  "want group sources",
		"a:\n\tg: x\n":           "f.yaml:2:1: yaml: ",
		"a:\n  g: 'x!!y'\n":      "a name is missing",
		"a:\n  g: [[x]]\n":       "nodes of \"g\" are no text",
		"a:\n  g: x\na:\n  h: y": `is there already`,
	} {
		_, err := ReadYAML(t.Context(), "f.yaml", []byte(text), options())
		var list inventory.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := ReadConf(t.Context(), "groups.conf", []byte("[a]\nmap: x\nlist: y\n"), Options{Glob: options().Glob}); err == nil || !strings.Contains(err.Error(), "runs commands") {
		t.Errorf("upcalls that are not allowed: %v", err)
	}
}

func TestRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		mainConf + localConf: true, "[x]\nmap: y\n": true, "[web]\nweb1 map=1\n": false, "[web:vars]\nmap=x\n": false, "": false, "map: x\n": false, "[Main]\nhost1\n": false,
	} {
		if IsConf([]byte(text)) != want {
			t.Errorf("IsConf(%q) is not %v", text, want)
		}
	}
	for text, want := range map[string]bool{
		clusterYAML: true, "a: {b: x}": true, "hosts: {a: }": false, "groups: {a: {hosts: b}}": false, "web:\n  hosts:\n    a:\n": false, "web: {children: {}}": false,
		"all:\n  x: y": false, "a: b": false, "- a": false, "{}": false, "": false, "a: [": false, "web:\n  vars: x": false, "defaults: {user: x}": false,
		"\ufeffhosts:\n  a:\n": false, "\"hosts\": {a: , b: }": false, "  hosts:\n    a:\n": false, "'x-y': {a: b}": false, "\ufeffa: {b: x}": true,
	} {
		if IsYAML([]byte(text)) != want {
			t.Errorf("IsYAML(%q) is not %v", text, want)
		}
	}
}

func FuzzConf(f *testing.F) {
	for _, seed := range []string{mainConf + localConf, "[a,b]\nmap: x\nlist = y\n  z\nall: @a:*\n", "[Main]\nautodir: 'x y' \"\n", "[", "[a]\n=x\n"} {
		f.Add(seed, "n[1-3] @a:x @b")
	}
	f.Fuzz(func(t *testing.T, text, answer string) {
		IsConf([]byte(text))
		o := Options{
			Wanted: []string{"a:x", "b:*"}, ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
			Glob: func(string) ([]string, error) { return nil, nil },
			Run:  func(context.Context, string, string) ([]byte, error) { return []byte(answer), nil },
		}
		if len(answer) > 100 || strings.Contains(answer, "0000") {
			return // a large range is allowed to take its time
		}
		checkRead(t)(ReadConf(t.Context(), "f", []byte(text), o))
	})
}

func FuzzYAML(f *testing.F) {
	for _, seed := range []string{clusterYAML, "a: {b: '@b', c: '@a:b'}", "a: &x {b: n}\nc: *x\n", "a: {b: [x, y, '@z']}", "? [a]\n: b", "a: {b: !!binary eA==}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "0000") {
			return
		}
		IsYAML([]byte(text))
		checkRead(t)(ReadYAML(t.Context(), "f", []byte(text), Options{}))
	})
}

// checkRead wants groups, or errors with a place.
func checkRead(t *testing.T) func(*Groups, error) {
	return func(g *Groups, err error) {
		t.Helper()
		var list inventory.Errors
		switch {
		case err == nil:
			for _, group := range g.Groups {
				if slices.Contains(group.Nodes, "") {
					t.Fatalf("%+v", group)
				}
			}
		case !errors.As(err, &list) || len(list) == 0 || list[0].File == "" || strings.ContainsAny(list[0].Error(), "\n\x1b"):
			t.Fatalf("%T %v", err, err)
		}
	}
}
