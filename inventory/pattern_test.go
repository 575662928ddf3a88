package inventory

import (
	"errors"
	"slices"
	"testing"
)

func sample(t testing.TB) *Inventory {
	t.Helper()
	inv, err := Load("../hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func hostNames(hosts []*Host) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = h.Name
	}
	return out
}

func TestSelect(t *testing.T) {
	inv := sample(t)
	for _, test := range []struct{ pattern, want string }{
		{"web01", "web01"},
		{"web[03-05]", "web[03-05]"},
		{"web[02-08/3]", "web[02,05,08]"},
		{"web", "web[01-20]"},
		{"@web", "web[01-20]"},
		{"prod", "db[1-2],web[01-20]"},
		{"all", "bastion,db[1-2],rack[1-2]-node[1-2],web[01-20]"},
		{"@all", "bastion,db[1-2],rack[1-2]-node[1-2],web[01-20]"},
		{"web0?", "web[01-09]"},
		{"*1", "db1,rack[1-2]-node1,web[01,11]"},
		{"rack[1-2]*1", "rack[1-2]-node1"},
		{"@w*", "web[01-20]"},
		{"web[01-02],db", "db[1-2],web[01-02]"},
		{" db , bastion ", "bastion,db[1-2]"},
		{"web&web[01-03]", "web[01-03]"},
		{"prod!web", "db[1-2]"},
		{"prod!web01!db", "web[02-20]"},
		{"web[01-03]^web[02-05]", "web[01,04-05]"},
		{"!web", "bastion,db[1-2],rack[1-2]-node[1-2]"},
		{"!prod&rack*", "rack[1-2]-node[1-2]"},
		{"!all", ""},
		{"web&db", ""},
		// From left to right: or does not wait for and.
		{"db,web&web01", "web01"},
		{"web01&web,db", "db[1-2],web01"},
		{"all!zz*", "bastion,db[1-2],rack[1-2]-node[1-2],web[01-20]"},
		// A regular expression goes to the end, with what looks like operators.
		{"~^web0[1-3]$", "web[01-03]"},
		{"~web01|db,x?1", "web01"},
		{"~^db[1,2]$", "db[1-2]"},
		{"db1,~^web0[12]", "db1,web[01-02]"},
		// Between slashes it ends there.
		{"~/^web0[12]/,db1", "db1,web[01-02]"},
		{"~/^web/&~/5$/", "web[05,15]"},
		{"all!~/./", ""},
	} {
		hosts, err := inv.Select(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		if got := Fold(hostNames(hosts)); got != test.want {
			t.Errorf("%q: got %s, want %s", test.pattern, got, test.want)
		}
		if !slices.IsSortedFunc(hosts, func(a, b *Host) int { return int(a.index) - int(b.index) }) {
			t.Errorf("%q: not in inventory order: %v", test.pattern, hostNames(hosts))
		}
	}
}

func TestSelectErrors(t *testing.T) {
	inv := sample(t)
	for _, test := range []struct {
		pattern string
		column  int
		word    string
		want    string
	}{
		{"", 1, "", `"": column 1: empty pattern (write "all" for every host)`},
		{" ", 1, " ", `" ": column 1: empty pattern (write "all" for every host)`},
		{"web,", 5, "", `"web,": column 5: name missing at the end`},
		{"web,,db", 5, ",", `"web,,db": column 5: name missing before ","`},
		{"web,!", 5, "!", `"web,!": column 5: name missing before "!" (web!db is all of web but db, without a comma)`},
		{"!", 2, "", `"!": column 2: name missing at the end`},
		{"&web", 1, "&", `"&web": column 1: name missing before "&"`},
		{"web&", 5, "", `"web&": column 5: name missing at the end`},
		{"wbe", 1, "wbe", `"wbe": column 1: no host or group "wbe" (did you mean "web"?)`},
		{"@wbe", 1, "@wbe", `"@wbe": column 1: no group "wbe" (did you mean "web"?)`},
		{"@db1", 1, "@db1", `"@db1": column 1: no group "db1" (it is a host: write it without @)`},
		{"web[1-5]", 1, "web[1-5]", `"web[1-5]": column 1: no host or group "web[1-5]" (there is web[01-20])`},
		{"web[15-25]", 1, "web[21-25]", `"web[15-25]": column 1: no host or group "web[21-25]" (there is web[01-20])`},
		{"@web[1-2]", 1, "@web[1-2]", `"@web[1-2]": column 1: no group "web[1-2]" (did you mean "web"?)`},
		{"web[1]", 1, "web[1]", `"web[1]": column 1: no host or group "web1" (there is web[01-20]; the first of a group is web[0:0])`},
		{"@web[20]", 5, "[20]", `"@web[20]": column 5: @web has 20 hosts, counted from 0`},
		{"wob*", 1, "wob*", `"wob*": column 1: no host matches "wob*"`},
		{"pr*", 1, "pr*", `"pr*": column 1: no host matches "pr*" (groups do: write "@pr*")`},
		{"@zz*", 1, "@zz*", `"@zz*": column 1: no group matches "@zz*"`},
		{"~zzz", 1, "~zzz", `"~zzz": column 1: no host matches "~zzz"`},
		{"~(", 1, "~(", "\"~(\": column 1: regular expression: missing closing ): `(`"},
		{"~/x", 1, "~/x", `"~/x": column 1: "~/" without a closing "/"`},
		{"~/x/y", 5, "y", `"~/x/y": column 5: "y" after a regular expression (write , & ! or ^ after the closing "/")`},
		{"web[1-", 4, "[1-", `"web[1-": column 4: "[" without "]"`},
		{"a[1-2][3-4]", 7, "[", `"a[1-2][3-4]": column 7: two ranges side by side (put a character that is no digit between them)`},
		{"web[5-1]", 5, "5-1", `"web[5-1]": column 5: range "5-1" is reversed (write 1-5)`},
		{"all!wbe", 5, "wbe", `"all!wbe": column 5: no host or group "wbe" (did you mean "web"?)`},
		{"we?", 1, "we?", `"we?": column 1: no host matches "we?" (groups do: write "@we?")`},
		{"web01 web02", 1, "web01 web02", `"web01 web02": column 1: space inside "web01 web02" (separate names with a comma)`},
		{"web[1-99999999999]", 4, "[1-99999999999]", `"web[1-99999999999]": column 4: range of 99999999999 names, the limit is 10000000`},
		{"web]", 4, "]", `"web]": column 4: "]" without "["`},
		{"~", 1, "~", `"~": column 1: empty regular expression`},
		{"~//", 1, "~//", `"~//": column 1: empty regular expression`},
		{"web\x1b", 4, "\x1b", `"web\x1b": column 4: character '\x1b' in a name`},
		{"web\xff", 4, "\xff", `"web\xff": column 4: byte 0xff is not UTF-8`},
		{"*[1-5000]", 1, "*[1-5000]", `"*[1-5000]": column 1: range of 5000 names beside a wildcard, the limit is 1000`},
		{"db1,@web,nope", 10, "nope", `"db1,@web,nope": column 10: no host or group "nope"`},
		{"bastoin", 1, "bastoin", `"bastoin": column 1: no host or group "bastoin" (did you mean "bastion"?)`},
	} {
		hosts, err := inv.Select(test.pattern)
		var at *PatternError
		if !errors.As(err, &at) {
			t.Errorf("%q: got %v and %v", test.pattern, hostNames(hosts), err)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.pattern, err, test.want)
		}
		if at.Column != test.column || at.Word != test.word {
			t.Errorf("%q: got column %d, word %q", test.pattern, at.Column, at.Word)
		}
	}
}

func TestSelectHostAndGroup(t *testing.T) {
	inv, err := Parse("f", []byte("hosts: {db: , db1: , db2: }\ngroups: {db: {hosts: [db1]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{"db": "db,db1", "@db": "db1", "!db": "db2"} {
		hosts, err := inv.Select(pattern)
		if got := Fold(hostNames(hosts)); got != want || err != nil {
			t.Errorf("%s: got %s (%v), want %s", pattern, got, err, want)
		}
	}
}

func TestMatchGlob(t *testing.T) {
	for _, test := range []struct {
		mask, name string
		want       bool
	}{
		{"*", "", true}, {"a*", "a", true}, {"a*b", "acb", true}, {"a*b", "acbc", false}, {"*a*b*", "xxaxxbxx", true},
		{"?", "", false}, {"?", "é", true}, {"??", "é", false}, {"a**", "abc", true}, {"*?c", "abc", true}, {"a?c*", "abd", false},
	} {
		if got := matchGlob(test.mask, test.name); got != test.want {
			t.Errorf("%q, %q: got %v", test.mask, test.name, got)
		}
	}
}
