package inventory

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzSet holds expanding and folding to each other: what a set names, its
// folded form names too, and folding again changes nothing.
func FuzzSet(f *testing.F) {
	for _, seed := range []string{
		"web[01-20]", "web[1-9/2]", "a[1-2]b[3-4]", "web[08-11,099-101],db,10.0.0.[1-3]", "a[1,01,001]x[0-3]", "a%s[1-2]%d", "[1-3]",
		"a09,a98,a99,a100", "a[1-2]3", "b, a", "x[1-3,2-5]y", "é[1-2]", "a[1-2][3]", "a[9-1]", "a[", "12345678901234567890[1-2]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseSet(text)
		if err != nil {
			var at *PatternError
			if !errors.As(err, &at) || at.Column < 1 || at.Column > len(text)+1 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if set.size > 3000 {
			return
		}
		names := slices.Collect(set.All())
		if len(names) != set.Len() {
			t.Fatalf("%q: %d names, length %d", text, len(names), set.Len())
		}
		folded := Fold(names)
		again, err := ExpandSet(folded)
		if err != nil {
			t.Fatalf("%q folds to %q: %v", text, folded, err)
		}
		if refolded := Fold(again); refolded != folded {
			t.Fatalf("%q folds to %q, that to %q", text, folded, refolded)
		}
		slices.Sort(names)
		slices.Sort(again)
		if len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Fatalf("%q names a host twice: %q", text, names)
		}
		if !slices.Equal(names, again) {
			t.Fatalf("%q names %q, its folded form %q names %q", text, names, folded, again)
		}
	})
}

// FuzzSelect holds operators to what they mean on sets of names.
func FuzzSelect(f *testing.F) {
	for _, seed := range []string{
		"web", "@prod!db2", "web[01-20]&web*", "~/^web/,db1", "!all", "~^web0[1-3]$", "rack[1-2]*1^rack*", "all!web[01-19]!db", "web01,~x|", "a,,b", "@", "@[1-2]", "!", "!!a", "~/a\\/b/&all",
		"web:db", "web:&prod:!db1", "web,!db1,&prod", "!web:db", "&web,db", "web[0:2]", "web[-1]:db[1:]", "~a:&b", "2001:db8::1,!web", "a:b:", ":&", "web01:22", "@/dev/null", "@web[1]",
	} {
		f.Add(seed)
	}
	inv := sample(f)
	f.Fuzz(func(t *testing.T, pattern string) {
		hosts, err := inv.Select(pattern)
		if err != nil {
			var at *PatternError
			if !errors.As(err, &at) || at.Column < 1 || at.Column > len(pattern)+1 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		for i := 1; i < len(hosts); i++ {
			if hosts[i-1].index >= hosts[i].index {
				t.Fatalf("%q: order %v", pattern, hostNames(hosts))
			}
		}
		if len(hosts) == 0 {
			return
		}
		if rest, err := inv.Select("!" + strings.Join(hostNames(hosts), "!")); err != nil || len(rest)+len(hosts) != len(inv.Hosts()) {
			t.Fatalf("%q: %d hosts and %d others (%v)", pattern, len(hosts), len(rest), err)
		}
	})
}

// FuzzParse wants an inventory that keeps its promises, or errors with a place.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"defaults: {user: d}\nhosts:\n  web[01-20]: {address: \"10.0.0.[1-20]\"}\ngroups:\n  web: {hosts: [\"web[01-20]\"], vars: {a: 1}}\n",
		"x: &a [*a]\nhosts: {a: {vars: *a, <<: *a}}\n", "hosts:\n\ta: 1\n", "hosts: {a: {jump: [b, c]}, b: {jump: a}}\n", "groups: {a: {children: [b]}, b: {children: a}}\n",
		"hosts: {a: {port: 0x10, connect_timeout: 1e3, become: Y}}\n", "? {a: b}\n: c\n", "hosts: [a, \"b[1-3]\"]\n--- \n", "\xef\xbb\xbfhosts: {a: }\r\n", "hosts: {a: {address: \"[::1]\"}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var rep report
		inv, err := build([]string{"f"}, []*document{parseDocument("f", data, &rep, 2000)}, &rep, 2000)
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, e := range list {
				if e.File != "f" || e.Msg == "" || strings.ContainsAny(e.Error(), "\n\x1b") {
					t.Fatalf("%#v", e)
				}
			}
			return
		}
		for i, h := range inv.Hosts() {
			if checkName(h.Name) != "" || checkAddress(h.Address) != "" || h.Port < 0 || h.Port > 65535 || strings.ContainsAny(h.User, "\n \x00") {
				t.Fatalf("%+v", h)
			}
			if at, ok := inv.Host(h.Name); !ok || at != h || int(h.index) != i {
				t.Fatalf("%s is not found", h.Name)
			}
			if _, err := json.Marshal(h.Vars); err != nil {
				t.Fatalf("%s: %v", h.Name, err)
			}
		}
		if all, err := inv.Select("all"); err != nil || len(all) != len(inv.Hosts()) {
			t.Fatalf("all is %d of %d hosts (%v)", len(all), len(inv.Hosts()), err)
		}
	})
}

// FuzzBlocks wants the same from a file read in blocks of a line or so as from
// the file read whole.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{
		"defaults: {user: d}\nhosts:\n  web[01-20]: {address: \"10.0.0.[1-20]\"}\n  db:\n    port: 1\n    vars:\n      a: 1\n# c\n\n  x:\ngroups:\n  web: {hosts: [\"web[01-20]\"]}\n",
		"hosts:\n  a: {user: x,\n  port: 1}\n  b: 'x\n  y'\n", "hosts:\n  a:\n  a:\nhosts:\n  b:\n", "hosts:\n- a\n- b\n", "hosts:\n  a: {vars: {t: |\n     x\n     y\n  }}\n  b:\n    shell: >\n     q\n  c:\n",
		"x-a: \"\nhosts:\n  a: \"\nhosts:\n  b: \n", "hosts:\r\n  a: {prot: 1}\r\n  b:\r\n", "hosts:\n  a:\n b:\n", "hosts:\n  a:\n   user: b\n   c\n  d:\n", "\xef\xbb\xbfhosts:\n  a:\n  b:\n",
		"hosts:\n  ? a\n  : {port: 1}\n  b:\n", "hosts:\n  \"a\n\n  b\": \n  c:\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, errs, ok := readBlocks("f", data, 2000, 1)
		if !ok {
			return
		}
		blockRep := report{list: errs}
		var wholeRep report
		whole := &document{file: "f"}
		root, failed := readYAML("f", data)
		if failed != nil && root == nil {
			if len(doc.hosts)+len(doc.groups) == 0 && doc.defaults == nil {
				return // nothing but an empty section
			}
			t.Fatalf("%q: blocks give %d hosts, the whole %v", data, len(doc.hosts), failed)
		}
		newReader("f", &wholeRep, 2000).sections(whole, root, &keySet{})
		got, gotErr := build([]string{"f"}, []*document{doc}, &blockRep, 2000)
		want, wantErr := build([]string{"f"}, []*document{whole}, &wholeRep, 2000)
		if gotErr != nil || wantErr != nil {
			if gotErr == nil || wantErr == nil || gotErr.Error() != wantErr.Error() {
				t.Fatalf("%q: blocks give\n%v\nthe whole\n%v", data, gotErr, wantErr)
			}
			return
		}
		if diff := cmp.Diff(want.Hosts(), got.Hosts(), cmpopts.IgnoreUnexported(Host{})); diff != "" {
			t.Fatalf("%q (-whole +blocks):\n%s", data, diff)
		}
	})
}
