package ansible

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"fleet/inventory"
)

// judge wants an inventory that keeps its promises, or errors with a place.
func judge(t *testing.T, c *inventory.Content, notes *Notes) {
	t.Helper()
	for _, w := range notes.Warnings() {
		if strings.Contains(w.Error(), "%!") || strings.ContainsAny(w.Error(), "\n\x1b\r") {
			t.Fatal(w)
		}
	}
	inv, err := inventory.Merge(inventory.Source{Content: c})
	if err != nil {
		var list inventory.Errors
		if !errors.As(err, &list) || len(list) == 0 {
			t.Fatalf("%T %v", err, err)
		}
		for _, e := range list {
			if e.File != "f" || e.Line < 0 || e.Column < 0 || strings.ContainsAny(e.Error(), "\n\x1b\r") {
				t.Fatalf("%q", e)
			}
		}
		return
	}
	for _, h := range inv.Hosts() {
		if !inventory.IsName(h.Name) || h.Address == "" || len(h.Groups) == 0 {
			t.Fatalf("%+v", h)
		}
		if h.Fault() == nil && (h.Address[0] == '-' || strings.ContainsAny(h.Address, " ;\n")) {
			t.Fatalf("address %q", h.Address)
		}
		h.Says()
	}
}

func FuzzAnsibleINI(f *testing.F) {
	for _, seed := range []string{
		"a\n[web]\nweb[01:10:2]:22 x=1 y='a b' # c\n[web:vars]\nk=[1, {'a': None}]\n[p:children]\nweb\n", "[a:children]\nb\n[b:children]\na\n", "x[a:Z]y[0:3]\n[", "a ansible_host={{ b }} b=c\n",
		"\xef\xbb\xbfa\r\n# \xff\nb\x0cc\u2028d", "a ansible_ssh_common_args='-J x -o ProxyCommand=\"y z\" -p'", "[all:vars]\nansible_group_priority=x\n[ungrouped]\n[all]\na\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Count(string(data), "[") > 50 || strings.Contains(string(data), "99") { // ranges of millions of hosts are slow, not wrong
			return
		}
		notes := &Notes{}
		judge(t, (&Reader{Notes: notes}).INI("f", data), notes)
	})
}

func FuzzAnsibleYAML(f *testing.F) {
	for _, seed := range []string{
		"all:\n  hosts:\n    web[1:3]: {a: 1, <<: {b: 2}}\n  children: {x: {vars: {y: *z}}}\n", "a: &a {children: *a}\n", "a: &a\n  vars: {x: &b [*b]}\n", "all: {hosts: {a: {v: !vault x}}}\n",
		`{"all": {"hosts": {"a": {"x": 1e5, "y": "\ud83d\ude00"}}}}`, "? [a]\n: b\n", "all: {hosts: a, vars: [1]}\nplugin: x\n", "a: {vars: {1: b, yes: c, 1.0: d}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "99") {
			return
		}
		notes := &Notes{}
		judge(t, (&Reader{Notes: notes}).YAML("f", data), notes)
	})
}

func FuzzAnsibleScript(f *testing.F) {
	for _, seed := range []string{
		`{"a": ["h"], "b": {"hosts": ["h", "i"], "vars": {"x": 1}, "children": ["a"]}, "_meta": {"hostvars": {"h": {"y": [1.5, null]}}}}`, `{"a": {"x": 1}}`, `{"_meta": 5}`, `[]`, `{"a": {"children": ["a"]}}`, `{`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		notes := &Notes{}
		judge(t, (&Reader{Notes: notes}).Script("f", data, func(string) ([]byte, error) { return data, nil }), notes)
	})
}

// FuzzAnsibleValue wants values that are of the types promised, whatever the text.
func FuzzAnsibleValue(f *testing.F) {
	for _, seed := range []string{"1", "[1, 'a', {'b': (None, True)}]", "{1, 2}", "b'x'", "'\\x41' \"b\"", "-0x1F", "1e400", "(((", "1_0j", "'''a'''", "{'a': 1, **x}", "\\", "'\\", "0b", "set()"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		check(t, Value(text))
		if text != "" {
			check(t, scalar(text))
		}
		words, err := splitWords(text, nil)
		for _, w := range words {
			if err == nil && w.at >= len(text) {
				t.Fatalf("%q: %+v", text, w)
			}
		}
	})
}

func check(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil, bool, int64, uint64, float64, string:
	case []any:
		for _, item := range v {
			check(t, item)
		}
	case map[string]any:
		for _, item := range v {
			check(t, item)
		}
	default:
		t.Fatalf("%T", v)
	}
}

// FuzzVault wants either text or an error.
func FuzzVault(f *testing.F) {
	sealed := `$ANSIBLE_VAULT;1.1;AES256
33363965326261303234626463623963633531343835393833333832643666306435303462393961
3565343033616634303532376339633735326332353463330a613662303936316666646432393162
66626635383161333664393738376637393166396136376431373166643932343139333962376531
3837356264306237370a323631656636336365393864613037386564626439313937306639383066
3934
`
	f.Add([]byte(sealed))
	f.Add([]byte("$ANSIBLE_VAULT;1.2;AES256;dev\n61620a61620a6162\n"))
	f.Add([]byte("$ANSIBLE_VAULT;1.1;AES256\n"))
	v := &Vault{Passwords: []VaultPassword{{Get: func() ([]byte, error) { return []byte("x"), nil }}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := v.Decrypt(data)
		var failed *VaultError
		if err != nil && (!errors.As(err, &failed) || plain != nil || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Fatalf("%q, %q", plain, err)
		}
	})
}

// FuzzPlainYAML wants of the fast way through YAML what the parser gives.
func FuzzPlainYAML(f *testing.F) {
	for _, seed := range []string{
		"all:\n  hosts:\n    web[01:03]:\n      a: 1\n      b: 'x y'\n    c: {}\n  vars: {a: b}\n", "---\na:\n b: c d # e\n", "a: b: c\n", "a:\n  b: c\n   d: e\n", "a:\n    b: 1\n  c: 2\n",
		"a: -1\nb: ~\nc: \"x\"\n'd': 1\n", "a: x\n  y\n", "a:\n- b\n", "a: 'it''s'\n", "# c\n\na:   b  \n# d\n  # e\nc:\n", "a:\n...\n", "a: b\n---\n", "x:y: z\n", "a: [b]\n", "? a\n", "a: 'b' c\n", "a: \"b\n c\"\n",
		"a :\n", "a: .\n", "a: --- b\n", "a: b#c\n", "a: b:c\n", "a: :b\n", " a: b\n", "a:b\n", "'a':b\n", "a: {}x\n", "a: {}\n  b: c\n", "<<: a\n", "a: <<\n", "a: =\n", "--- a: b\n", "---\n---\na: b\n",
		"a: # c\n  b: c # d\n  'e': 'f' # g\n", "a: \"b\"  #c\n", "a: 'b'#c\n", "a: b #\n", "a: {b: c} # d\n", "a: [b, c-d] # e\n", "a: []\n", "a: [b,c]\n", "a: [b, ]\n", "a: [b: c]\n", "a: '#' # b\n", "a: '' '#' # b\n", "a: b# c # d\n",
		"a: {b: c, d-e: 1.2/3_x}\n", "a: {b: c,d: e}\n", "a: {b: c, }\n", "a: {b: -1}\n", "a: {b: c }\n", "a: {b: {c: d}}\n", "a: {b: c\n", "a: {b}\n", "a: {b: c}}\n", "a: {}\n", "a: { }\n", "a: {b: c}\n  d: e\n", "a: {b: ..}\n", "a: {<<: b}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := plainYAML(data)
		if !ok {
			return
		}
		want, err := inventory.ReadYAML("f", data)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		sameNodes(t, data, got, want)
	})
}

func sameNodes(t *testing.T, data []byte, got, want *yaml.Node) {
	t.Helper()
	if isFolded(got) {
		got = openPlain(got)
	}
	null := got.Tag == "!!null" && isNull(want)
	if !null && (got.Kind != want.Kind || got.Value != want.Value || got.Style != want.Style || got.Line != want.Line || got.Column != want.Column || len(got.Content) != len(want.Content)) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", data, got, want)
	}
	for i := range got.Content {
		sameNodes(t, data, got.Content[i], want.Content[i])
	}
}

// The inventories of the benchmark go the fast way, and mean the same both ways.
func TestPlainYAML(t *testing.T) {
	data := largeYAML(2000)
	got, ok := plainYAML(data)
	if !ok {
		t.Fatal("not the fast way")
	}
	want, err := inventory.ReadYAML("f", data)
	if err != nil {
		t.Fatal(err)
	}
	sameNodes(t, data[:40], got, want)
}
