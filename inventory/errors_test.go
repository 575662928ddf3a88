package inventory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty file", "", `f:1:1: the inventory is empty (write hosts under a key hosts:)`},
		{"comments only", "# only\n", `f:1:1: the inventory is empty (write hosts under a key hosts:)`},
		{"tab", "hosts:\n\tweb: {}\n", `f:2:1: a tab in the indentation (indent with spaces)`},
		{"unknown field", "hosts:\n  web: {prot: 22}\n", `f:2:9: unknown field "prot" (did you mean "port"?)`},
		{"unknown section", "a: 1\nhots: {}\n", `f:1:1: unknown section "a" (known: defaults, hosts, groups)
f:2:1: unknown section "hots" (did you mean "hosts"?)`},
		{"fields of other tools", "hosts:\n  a: {ansible_host: x, ansible_user: y, password: z, sudo: yes, colour: red}\n", `f:2:7: unknown field "ansible_host" (write "address")
f:2:24: unknown field "ansible_user" (write "user")
f:2:41: unknown field "password" (no secret stands in the inventory: use --ask-pass or --pass-file)
f:2:54: unknown field "sudo" (write "become")
f:2:65: unknown field "colour" (variables of your own go under vars)`},
		{"duplicate key", "hosts:\n  a: {}\n  b: {}\n  a: {}\n", `f:4:3: duplicate key "a" (first at line 2, column 3)`},
		{"duplicate key among many", "hosts: {a: , b: , c: , d: , e: , f: , g: , h: , i: , j: , a: }\n", `f:1:59: duplicate key "a" (first at line 1, column 9)`},
		{"overlapping ranges", "hosts:\n  w[1-5]: {}\n  w[3-9]: {}\n", `f:3:3: duplicate host "w3" (first at line 2, column 3; one name by itself may refine a range)`},
		{"reversed range", "hosts:\n  web[20-01]: {}\n", `f:2:7: range "20-01" is reversed (write 01-20)`},
		{"empty range", "hosts:\n  web[]: {}\n", `f:2:7: empty range (write numbers as in [1-9])`},
		{"huge range", "hosts:\n  web[1-99999999999]: {}\n", `f:2:6: range of 99999999999 names, the limit is 10000000`},
		{"huge product", "hosts:\n  r[1-9999]n[1-9999]: {}\n", `f:2:13: range of 99980001 names, the limit is 10000000`},
		{"very long number", "hosts:\n  r[1-9999999999999999999]: {}\n", `f:2:5: range "1-9999999999999999999": number of 19 digits, the limit is 18`},
		{"uneven padding", "hosts:\n  web[01-100]: {}\n", `f:2:7: range "01-100": zero padding of different width (pad both ends alike, as in [001-100])`},
		{"range in quotes", "hosts:\n  'web[1-2],x[3-1]': {}\n", `f:2:15: range "3-1" is reversed (write 1-3)`},
		{"open bracket", "hosts:\n  \"web[1-2\": {}\n", `f:2:7: "[" without "]"`},
		{"dash", "hosts:\n  -oProxyCommand=x: {}\n", `f:2:3: host name "-oProxyCommand=x" starts with a dash`},
		{"shell and control characters", "hosts:\n  \"a b\": {}\n  \"$(x)\": {}\n  \"a\\nb\": {}\n  \"a\\x1b[31m\": {}\n  ../x: {}\n  a;b: {}\n", `f:2:3: host name "a b" holds ' '
f:3:3: host name "$(x)" holds '$'
f:4:3: host name "a\nb" holds the control character '\n'
f:5:5: character '\x1b' in a name
f:6:3: host name "../x" starts with a dot
f:7:3: host name "a;b" holds ';'`},
		{"pattern characters", "hosts:\n  web*: {}\n  '@x': {}\n  ~x: {}\n", `f:2:3: host name "web*" holds '*'
f:3:3: host name "@x" holds '@'
f:4:3: host name "~x" holds '~'`},
		{"user", "hosts:\n  a: {user: \"x\\ny\"}\n  b: {user: -l}\n  c: {user: a;b}\n  d: {user: ''}\n", `f:2:13: user "x\ny" holds the control character '\n'
f:3:13: user "-l" starts with a dash
f:4:13: user "a;b" holds ';'
f:5:13: empty user`},
		{"address", "hosts:\n  a: {address: -oProxyCommand=x}\n  b: {address: $(x)}\n  c: {address: \"10.0.0.[1-2\"}\n", `f:2:16: address "-oProxyCommand=x" starts with a dash
f:3:16: address "$(x)" holds '$'
f:4:24: "[" without "]"`},
		{"port", "hosts:\n  a: {port: abc}\n  b: {port: 70000}\n  c: {port: 0}\n  d: {port: [1]}\n  e: {port: }\n", `f:2:13: port "abc" is not a number
f:3:13: port 70000 is not in 1-65535
f:4:13: port 0 is not in 1-65535
f:5:13: port: want a word, found a list
f:6:13: port: want a word, found nothing`},
		{"other types", "hosts:\n  a: {become_method: sudu, become: maybe, connect_timeout: soon, jump: '-x', hostkey: foo, proxy_command: '', vars: [1]}\n", `f:2:22: become_method "sudu" is none of sudo, su, doas (did you mean "sudo"?)
f:2:36: become: want true or false, found "maybe"
f:2:60: connect_timeout "soon" is no duration (write 10s or 1m30s)
f:2:72: jump host "-x" has no host name
f:2:87: hostkey "foo" is neither TYPE BASE64 nor SHA256:...
f:2:107: empty proxy_command
f:2:117: vars: want a mapping, found a list`},
		{"two ways", "hosts:\n  a: {jump: [b], proxy_command: nc}\n", `f:2:6: jump and proxy_command exclude each other`},
		{"address count", "hosts:\n  web: {address: \"10.0.0.[1-3]\"}\n  w[1-3]: {address: \"10.0.0.[1-2]\"}\n  v[1-3]: {address: 10.0.0.1}\n", `f:2:18: 3 addresses for 1 host
f:3:21: 2 addresses for 3 hosts
f:4:21: one address for 3 hosts (write a range as in the names, such as 10.0.0.[1-20])`},
		{"address range on a group", "groups:\n  w: {address: \"10.0.0.[1-2]\"}\n", `f:2:16: an address with a range and no host names beside it (put it under hosts)`},
		{"unknown child", "groups:\n  web: {children: [db, wbe, web1], hosts: [web1]}\n", `f:2:20: unknown group "db" as a child of "web"
f:2:24: unknown group "wbe" as a child of "web" (did you mean "web"?)
f:2:29: unknown group "web1" as a child of "web" (it is a host: list it under hosts)`},
		{"group cycle", "groups:\n  a: {children: [b]}\n  b: {children: [c]}\n  c: {children: [a]}\n", `f:4:18: cycle of groups: a > b > c > a`},
		{"group in itself", "groups:\n  g: {children: [g]}\n", `f:2:18: cycle of groups: g > g`},
		{"jump cycle", "hosts:\n  a: {jump: b}\n  b: {jump: a}\n", `f:3:3: cycle of jump hosts: a > b > a (write jump: none on the first of them)`},
		{"all", "hosts:\n  all: {}\ngroups:\n  all: {}\n", `f:2:3: "all" is the group of every host and no name of its own
f:4:3: "all" is the group of every host and not to be defined (use defaults for what holds for every host)`},
		{"group name", "groups:\n  -x: {}\n  w[1-2]: {}\n", `f:2:3: group name "-x" starts with a dash
f:3:3: group name "w[1-2]" holds '['`},
		{"group hosts", "groups:\n  h: {hosts: {b: }}\n  i: {hosts: [[a]]}\n", `f:2:14: want a list of names, found a mapping (settings of a host stand under the section hosts)
f:3:15: want the name of a host, found a list (quote a range inside [ ], as in "web[1-3]")`},
		{"not a mapping", "- a\n- b\n", `f:1:1: the inventory: want a mapping, found a list`},
		{"text", "just text\n", `f:1:1: the inventory: want a mapping, found "just text"`},
		{"section of a wrong type", "hosts: 5\n", `f:1:8: hosts: want a mapping, found "5"`},
		{"two documents", "---\nhosts: {a: }\n---\nhosts: {b: }\n", `f:3:1: a second yaml document (use a file for each, and -i for each file)`},
		{"alias in itself", "hosts:\n  b: {vars: {q: &q [*q]}}\n", `f:2:21: alias *q inside its own anchor`},
		{"merge of itself", "hosts:\n  a: &a {<<: *a}\n", `f:2:14: merges more than 100 levels deep, or an alias inside its own anchor`},
		{"unknown anchor", "hosts:\n  a: *nope\n", `f:2:6: yaml: unknown anchor 'nope' referenced`},
		{"tag", "hosts:\n  a: {vars: {x: !vault abc}}\n", `f:2:17: tag !vault is not known`},
		{"list as key", "hosts:\n  ? [a, b]\n  : {}\n", `f:2:5: hosts: a key is a list (quote a range inside { }, as in "web[1-3]")`},
		{"range in braces", "hosts: {w[1-3]: {}}\n", `f:1:9: yaml: did not find expected ',' or '}' (quote a range inside [ ] or { }, as in "web[1-3]")`},
		{"range in a list", "groups:\n  web: {hosts: [db, web[1-3]]}\n", `f:2:21: yaml: did not find expected ',' or ']' (quote a range inside [ ] or { }, as in "web[1-3]")`},
		{"open brace", "hosts:\n  a: {user: root\n  b: {}\n", `f:2:6: yaml: did not find expected ',' or '}'`},
		{"indentation", "hosts:\n  a:\n    user: x\n   port: 3\n", `f:4:4: yaml: did not find expected key`},
		{"open quote", "hosts:\n  a: 'x\n", `f:2:3: yaml: found unexpected end of stream`},
		{"sign", "hosts:\n  a: @b\n", `f:2:6: yaml: found character that cannot start any token (quote a word that starts with a sign)`},
		{"mapping in a word", "hosts:\n  a: b: c\n", `f:2:3: yaml: mapping values are not allowed in this context`},
		{"nul byte", "\x00", `f:1:1: yaml: control characters are not allowed`},
		{"not UTF-8", "hosts:\n  a: {user: \xff}\n", `f:2:13: yaml: invalid leading UTF-8 octet`},
		{"byte order mark", "\ufeffhosts:\n  a: {prot: 1}\n", `f:2:7: unknown field "prot" (did you mean "port"?)`},
		{"CRLF", "hosts:\r\n  a:\r\n    prot: 1\r\n", `f:3:5: unknown field "prot" (did you mean "port"?)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv, err := Parse("f", []byte(test.text))
			if err == nil {
				t.Fatalf("no error, %d hosts", len(inv.Hosts()))
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			var list Errors
			if !errors.As(err, &list) || len(list) != strings.Count(test.want, "\n")+1 {
				t.Errorf("%T of %d errors", err, len(list))
			}
		})
	}
}

func TestErrorWord(t *testing.T) {
	_, err := Parse("f", []byte("hosts:\n  web: {prot: 22}\n  x[3-1]: {}\n"))
	var list Errors
	if !errors.As(err, &list) {
		t.Fatalf("got %T", err)
	}
	want := Errors{
		{File: "f", Line: 2, Column: 9, Word: "prot", Msg: `unknown field "prot"`, Hint: `did you mean "port"?`},
		{File: "f", Line: 3, Column: 5, Word: "3-1", Msg: `range "3-1" is reversed`, Hint: "write 1-3"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	var one *Error
	if !errors.As(err, &one) || one != list[0] {
		t.Errorf("errors.As gave %v", one)
	}
}

func TestManyErrors(t *testing.T) {
	_, err := Parse("f", []byte("hosts:\n"+strings.Repeat("  -x: {}\n", 300)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors+1 || !strings.HasSuffix(lines[maxErrors], " more errors") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	bad := filepath.Join(dir, "bad.yaml")
	write(t, good, "hosts: {a: {prot: 1}}\n")
	write(t, bad, "hosts: {a: {usr: x}}\n")
	missing := filepath.Join(dir, "missing.yaml")
	_, err := Load(good, missing, dir, bad)
	want := strings.Join([]string{
		good + `:1:13: unknown field "prot" (did you mean "port"?)`,
		missing + ": read inventory: no such file or directory",
		dir + ": read inventory: is a directory (name the file in it)",
		bad + `:1:13: unknown field "usr" (did you mean "user"?)`,
	}, "\n")
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing file is not fs.ErrNotExist")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
