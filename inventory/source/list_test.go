package source

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/inventory"
)

// judge finds a tool that is the judge; where a run must prove something, its
// absence is an error.
func judge(t *testing.T, tool, pkg string) func(env []string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") == "1" {
			t.Fatalf("%s is not installed (Debian package %s)", tool, pkg)
		}
		t.Skipf("%s is not installed (Debian package %s)", tool, pkg)
	}
	return func(env []string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(os.Environ(), env...)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", tool, args, err, complaint.String())
		}
		return strings.TrimSpace(string(out))
	}
}

func mustLoad(t testing.TB, o Options, sources ...string) *Result {
	t.Helper()
	r, err := Load(t.Context(), o, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(hosts []*inventory.Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name
	}
	return out
}

func TestList(t *testing.T) {
	dir := write(t, "list", "# all of them\r\nweb[01-03], db1 # comment\n\n#include more/inc\nops@bastion:2222\n::1 root@[fd00::1]:2200 fd00::2\n", "more/inc", "#include inner\nz1\n", "more/inner", "z2\n")
	r := mustLoad(t, Options{}, dir+"/list")
	if got := strings.Join(names(r.Inventory.Hosts()), " "); got != "web01 web02 web03 db1 z2 z1 bastion ::1 fd00::1 fd00::2" {
		t.Errorf("hosts %s", got)
	}
	for name, want := range map[string]string{"bastion": "ops 2222", "fd00::1": "root 2200", "web01": " 0"} {
		if h, ok := r.Inventory.Host(name); !ok || fmt.Sprintf("%s %d", h.User, h.Port) != want {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h, _ := r.Inventory.Host("z2"); h.Source.Line != 1 {
		t.Errorf("z2 comes from %+v", h.Source)
	}
	r = mustLoad(t, Options{Stdin: strings.NewReader("a1 a2\n")}, "-")
	if got := strings.Join(names(r.Inventory.Hosts()), " "); got != "a1 a2" {
		t.Errorf("from standard input: %s", got)
	}
	r = mustLoad(t, Options{Stdin: strings.NewReader("hosts: {b1: {port: 1}}\n")}, "-")
	if h, ok := r.Inventory.Host("b1"); !ok || h.Port != 1 {
		t.Errorf("yaml from standard input: %v", names(r.Inventory.Hosts()))
	}
}

func TestListErrors(t *testing.T) {
	dir := write(t, "loop", "#include loop\n")
	for text, want := range map[string]string{
		"a\n web[3-1]\n":     `list:2:6: range "3-1" is reversed (write 1-3)`,
		"a b:x\n":            `list:1:3: "b:x" is not [USER@]HOST[:PORT]`,
		"a b:99999\n":        "list:1:3: ",
		"@b c\n":             `list:1:1: "@b" is not [USER@]HOST[:PORT]`,
		"-x y\n":             `list:1:1: host name "-x" starts with a dash`,
		"#include nothere\n": "list:1:1: #include " + dir + "/nothere: no such file or directory",
	} {
		if err := os.WriteFile(dir+"/list", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(t.Context(), Options{}, "hostfile:"+dir+"/list")
		var list inventory.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := Load(t.Context(), Options{}, dir+"/loop"); err == nil || !strings.Contains(err.Error(), "#include more than 10 levels deep") {
		t.Errorf("loop: %v", err)
	}
	for o, want := range map[*Options]string{{}: "standard input is no inventory here", {Stdin: strings.NewReader(" \n")}: "standard input is empty"} {
		if _, err := Load(t.Context(), *o, "-"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestListAsPdsh reads what pdsh reads by WCOLL.
func TestListAsPdsh(t *testing.T) {
	run := judge(t, "pdsh", "pdsh")
	dir := write(t, "list", "# hosts\na1\nb[1-2] c #tail\n\n#include inc\nrack[1-2]-n[01-03]\n", "inc", "z9\n")
	out := run([]string{"WCOLL=" + dir + "/list"}, "-R", "exec", "-Q")
	r := mustLoad(t, Options{}, "hostfile:"+dir+"/list")
	if got, want := inventory.Fold(names(r.Inventory.Hosts())), inventory.Fold(targets(out)); got != want || got == "" {
		t.Errorf("got %s, pdsh says %s", got, want)
	}
	if got := WCOLL(func(string) string { return dir + "/list" }); got != "hostfile:"+dir+"/list" {
		t.Errorf("WCOLL gives %q", got)
	}
	if got := WCOLL(func(string) string { return dir + "/none" }); got != "" {
		t.Errorf("WCOLL of no file gives %q", got)
	}
}

// targets are the nodes at the end of what pdsh -Q writes.
func targets(out string) []string {
	_, list, _ := strings.Cut(out, "-- Target nodes --\n")
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' })
}

// TestWordsAsPdsh holds -w to pdsh's.
func TestWordsAsPdsh(t *testing.T) {
	run := judge(t, "pdsh", "pdsh")
	dir := write(t, "list", "l[1-3]\n", "some", "l2 web3\n")
	cases := []string{"web[1-3,5]", "web[1-9],-web2", "web[1-12],/1$/", "web[1-12],-/1$/", "a,b,c,-b", "^" + dir + "/list,x", "web[1-4],^" + dir + "/list,-^" + dir + "/some", "u@h1,h2", "rack[1-2]-n[01-02]", "web[08-11]", "/9$/,web[1-20]"}
	r := rand.New(rand.NewPCG(4, 4))
	for range 12 {
		low := r.IntN(20)
		cases = append(cases, fmt.Sprintf("n[%d-%d],-n[%d-%d],m%d,-/%d/,left", low, low+r.IntN(20), low, low+r.IntN(3), r.IntN(5), r.IntN(10)))
	}
	for _, words := range cases {
		want := targets(run(nil, "-R", "exec", "-Q", "-w", words))
		res, err := Load(t.Context(), Options{Words: []string{words}})
		if err != nil && len(want) > 0 {
			t.Errorf("%s: %v, pdsh says %v", words, err, want)
			continue
		}
		if err == nil && inventory.Fold(res.Named) != inventory.Fold(want) {
			t.Errorf("%s: got %v, pdsh says %v", words, res.Named, want)
		}
	}
}

func TestWords(t *testing.T) {
	dir := write(t, "hosts.yaml", "hosts: {web1: {port: 1, user: a}, db: }\n")
	r := mustLoad(t, Options{Words: []string{"web1,root@web2:2200", "-web3"}, Stdin: strings.NewReader("")}, dir+"/hosts.yaml")
	if got := strings.Join(r.Named, " "); got != "web1 web2" {
		t.Errorf("named %s", got)
	}
	if h, _ := r.Inventory.Host("web1"); h.Port != 1 || h.User != "a" {
		t.Errorf("web1 %+v", h.Settings)
	}
	if h, _ := r.Inventory.Host("web2"); h.Port != 2200 || h.User != "root" {
		t.Errorf("web2 %+v", h.Settings)
	}
	r = mustLoad(t, Options{Words: []string{"-"}, Stdin: strings.NewReader("s1 s2\n")})
	if got := strings.Join(r.Named, " "); got != "s1 s2" {
		t.Errorf("from standard input: %s", got)
	}
	for words, want := range map[string]string{
		"web[1-": `-w "web[1-": `, "a,-a": "-w: no host is left of a,-a", "^": "names no file", "/x": "stands between two slashes", "/[/": "missing closing ]",
		"^/none/there": "no such file", "a/b/": `-w "a/b/": `, "-": "standard input is no inventory here",
	} {
		if _, err := Load(t.Context(), Options{Words: []string{words}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
}

const gendersText = `# a cluster
login   login,mgmt,cpus=2
node[1-3],spare compute,cpus=4,rack=r%n,note=100%%
node3 gpu,vendor=acme=1
empty
	tab	x
`

// TestGendersAsNodeattr compares nodes, attributes and values with nodeattr.
func TestGendersAsNodeattr(t *testing.T) {
	run := judge(t, "nodeattr", "genders")
	file := write(t, "genders", gendersText) + "/genders"
	r := mustLoad(t, Options{}, file)
	if got, want := inventory.Fold(names(r.Inventory.Hosts())), inventory.Fold(strings.Fields(run(nil, "-f", file, "-n", "-A"))); got != want {
		t.Errorf("got %s, nodeattr says %s", got, want)
	}
	attrs := strings.Fields(run(nil, "-f", file, "-l"))
	if len(attrs) < 8 {
		t.Errorf("attributes %v", attrs)
	}
	for _, attr := range attrs {
		g, ok := r.Inventory.Group(attr)
		if !ok {
			t.Errorf("no group %s", attr)
			continue
		}
		if got, want := inventory.Fold(names(g.AllHosts())), inventory.Fold(strings.Fields(run(nil, "-f", file, "-n", attr))); got != want {
			t.Errorf("%s: got %s, nodeattr says %s", attr, got, want)
		}
		for _, h := range g.AllHosts() {
			value, _ := h.Vars[attr].(string)
			if want := run(nil, "-f", file, "-v", h.Name, attr); value != want {
				t.Errorf("%s of %s: got %q, nodeattr says %q", attr, h.Name, value, want)
			}
		}
	}
}

func TestGendersErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a b c\n":       "genders:1:1: 3 words, where",
		"n[2-1] a\n":    `genders:1:3: range "2-1" is reversed`,
		"n a,b\n n c,a": `genders:2:6: attribute "a" of n for the second time (first at line 1)`,
		"n a/b\n":       "genders:1:3: group name",
		"-n a\n":        "genders:1:1: host name",
	} {
		_, err := Load(t.Context(), Options{}, write(t, "genders", text)+"/genders")
		var list inventory.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestClusterShell(t *testing.T) {
	dir := write(t, "groups.conf", "[Main]\ndefault: a\nautodir: $CFGDIR\n[a]\nmap: echo n[1-3]\nlist: echo g 'b&d'\nall: echo n[1-4]\n[up]\nmap: echo m$GROUP\n", "roles.yaml", "roles: {io: '@up:7,n9', all: n9}\n")
	r := mustLoad(t, Options{Wanted: []string{"up:5"}}, dir+"/groups.conf")
	for pattern, want := range map[string]string{"@g": "n[1-3]", "@a:g": "n[1-3]", "@up:5": "m5", "@roles:io": "m7,n9", "@roles:*": "m7,n9", "all": "m[5,7],n[1-4,9]"} {
		hosts, err := r.Inventory.Select(pattern)
		if got := inventory.Fold(names(hosts)); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", pattern, got, err, want)
		}
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), `group "b&d" of source a left out`) {
		t.Errorf("warnings %v", r.Warnings)
	}
	if h, _ := r.Inventory.Host("n9"); h.Source.File != dir+"/roles.yaml" || h.Source.Line != 1 {
		t.Errorf("n9 comes from %+v", h.Source)
	}
	r = mustLoad(t, Options{Getenv: func(name string) string { return map[string]string{"CLUSTERSHELL_CFGDIR": dir, "HOME": dir}[name] }}, "clustershell")
	if len(r.Inventory.Hosts()) < 4 {
		t.Errorf("the usual groups.conf gives %v", names(r.Inventory.Hosts()))
	}
	if _, err := Load(t.Context(), Options{Getenv: func(string) string { return "/none" }}, "clustershell"); err == nil || !strings.Contains(err.Error(), "no groups.conf of ClusterShell is there") {
		t.Error(err)
	}
	if err := os.Chmod(dir+"/groups.conf", 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), Options{}, dir+"/groups.conf"); err == nil || !strings.Contains(err.Error(), "anybody may write to "+dir) {
		t.Errorf("a file that anybody may write to: %v", err)
	}
	dir = write(t, "groups.conf", "[a]\nmap: echo oops >&2; exit 4\nlist: echo g\n")
	if _, err := Load(t.Context(), Options{}, dir+"/groups.conf"); err == nil || !strings.Contains(err.Error(), "exit status 4: oops") {
		t.Errorf("an upcall that fails: %v", err)
	}
}

// TestUpcallBounds wants an end of upcalls that have none, and of all that they
// started.
func TestUpcallBounds(t *testing.T) {
	for command, want := range map[string]string{
		"sleep 600 & sleep 600; echo g": "all upcalls together took longer than 500ms",
		"cat /dev/zero":                 fmt.Sprintf("wrote more than %d bytes", upcallOutput),
	} {
		dir := write(t, "groups.conf", "[a]\nmap: echo n\nlist: "+command+"\n")
		o := Options{ScriptLimit: 500 * time.Millisecond}
		if strings.HasPrefix(command, "cat") {
			o.ScriptLimit = time.Minute
		}
		began := time.Now()
		_, err := Load(t.Context(), o, dir+"/groups.conf")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", command, err, want)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %v", command, took)
		}
	}
}

func TestHostsJSON(t *testing.T) {
	dir := write(t, "doc", `{"v":1,"hosts":[
 {"name":"web01","address":"10.0.0.1","port":22,"user":"","groups":["web","prod"],"vars":{"a":1,"b":[true,null,1.5],"big":18446744073709551615}},
 {"name":"db1","address":"db1","port":2222,"user":"root","groups":[],"key":["~/.ssh/a","b"],"tags":"eu"}]}`,
		"list", `["a", "b"]`)
	r := mustLoad(t, Options{}, dir+"/doc")
	web, _ := r.Inventory.Host("web01")
	db, _ := r.Inventory.Host("db1")
	if web.Address != "10.0.0.1" || web.Given("port") || web.Source.Line != 2 || strings.Join(web.Groups, " ") != "web prod" || web.Vars["a"] != int64(1) || web.Vars["big"] != uint64(18446744073709551615) {
		t.Errorf("web01 %+v", web)
	}
	if db.Given("address") || db.Port != 2222 || db.User != "root" || !slices.Equal(db.Key, []string{"~/.ssh/a", "b"}) || strings.Join(db.Groups, " ") != "eu" || db.Source.Line != 3 {
		t.Errorf("db1 %+v", db)
	}
	if got := names(mustLoad(t, Options{}, dir+"/list").Inventory.Hosts()); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("list %v", got)
	}
	for text, want := range map[string]string{
		`["a", 1]`:                        "x:1:7: json: a host is neither",
		"[\n{\"nme\":\"a\"}]":             `x:2:1: json: a host without a text "name"`,
		`["a"`:                            "the text ends too early",
		`["a"] x`:                         "x:1:7: json: text after the end",
		`{"v":1,"hosts":{}}`:              "json: hosts is no list",
		`[{"name":"a","prot":1}]`:         "x:1:2: unknown setting prot",
		`[{"name":"a","groups":{"b":1}}]`: "groups of \"a\" is no list of texts",
		`[{"name":"a","vars":[]}]`:        `vars of "a" is no object`,
		`[{"name":"a","port":99999}]`:     "x:1:2: ",
		`[{"name":"-a"}]`:                 "starts with a dash",
		"[\"a\",\n \"b\" \"c\"]":          "x:2:5: ",
	} {
		_, err := Load(t.Context(), Options{}, "hosts.json:"+filepath.Join(write(t, "x", text), "x"))
		var list inventory.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// FuzzSources reads a text as each of the kinds that are lists: hosts, or errors
// with a place, come of it.
func FuzzSources(f *testing.F) {
	for _, seed := range []string{gendersText, "web[1-3] ops@db:22 [::1]:2 #include x\n", `{"v":1,"hosts":[{"name":"a","groups":["b"],"vars":{"x":[1]}}]}`, `["a"]`, "[a]\nmap: x\n", "a: {b: 'n[1-2]'}\n", "hosts: {a: }\n"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 || strings.Contains(text, "0000") || strings.Contains(text, "include") {
			return
		}
		for _, kind := range []string{"hostfile", "genders", "hosts.json", ""} {
			file := filepath.Join(dir, "f")
			l := &loader{ctx: t.Context(), Options: Options{Getenv: func(string) string { return "" }}}
			it := &item{text: file, path: file, data: []byte(text), read: true, info: standardInput{int64(len(text))}}
			var err error
			if kind == "" {
				if clusterish(it) {
					continue // would run commands
				}
				err = l.claim(it)
			} else {
				err = kindByName(kind).read(l, it)
			}
			var list inventory.Errors
			var other *Error
			switch {
			case err == nil, errors.As(err, &other):
			case !errors.As(err, &list) || list[0].File != file || list[0].Msg == "" || strings.ContainsAny(err.Error(), "\x1b"):
				t.Fatalf("%s: %T %v", kind, err, err)
			}
		}
		w := &loader{ctx: t.Context(), Options: Options{Words: []string{strings.ReplaceAll(text, "^", "")}}}
		if named, err := w.readWords(); err == nil && len(named) == 0 {
			t.Fatal("words that mean nothing and are no error")
		}
	})
}

// clusterish says whether a text might be a groups.conf, or a program.
func clusterish(it *item) bool {
	return bytes.Contains(it.data, []byte("map")) || bytes.HasPrefix(it.data, []byte("#!"))
}
