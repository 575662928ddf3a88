package sshconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want, word string }{
		{"\n\nPort 0", `config:3: "0" is not a port`, "0"},
		{"Port x y", `config:1: extra argument "y"`, "y"},
		{"User", `config:1: "user" has no argument`, "user"},
		{`User ""`, `config:1: "user" has no argument`, "user"},
		{`User "a`, `config:1: quote without an end`, ""},
		{"ConnectTimeout 5x", `config:1: "5x" is not a time`, "5x"},
		{"ConnectTimeout 99999999w", `config:1: "99999999w" is too long a time`, "99999999w"},
		{"ConnectTimeout 99999999999", `config:1: "99999999999" is not a time`, "99999999999"},
		{"ConnectionAttempts -1", `config:1: "-1" is not a number from 0 to 2147483647`, "-1"},
		{"BatchMode maybe", `config:1: "maybe" is neither yes nor no`, "maybe"},
		{"AddressFamily inet5", `config:1: "inet5" is not one of any, inet, inet6`, "inet5"},
		{"Match host", `config:1: "host" has no argument`, "host"},
		{"Match", `config:1: "match" has no argument`, "match"},
		{"Match # x", `config:1: "match" has no criteria`, "match"},
		{"Match moon full", `config:1: unknown criterion "moon" of Match`, "moon"},
		{"Match all user x", `config:1: "user" stands after "all"`, "user"},
		{"Match user a host b all", `config:1: "all" stands beside other criteria`, "all"},
		{`Host ""`, `config:1: "host" has an empty argument`, "host"},
		{"ProxyJump a,,b", `config:1: "" is not a jump host`, ""},
		{"ProxyJump -oProxyCommand=x", `config:1: "-oProxyCommand=x" is not a jump host`, "-oProxyCommand=x"},
		{"ProxyJump $(x)", `config:1: "$(x)" is not a jump host`, "$(x)"},
		{"ProxyJump a:b", `config:1: "a:b" is not a jump host`, "a:b"},
		{"SetEnv A", `config:1: "A" is not NAME=VALUE`, "A"},
		{"SendEnv A=1", `config:1: "A=1" is not the name of a variable`, "A=1"},
		{"UserKnownHostsFile a none", `config:1: "none" stands beside "a"`, "a"},
		{"UserKnownHostsFile none b", `config:1: "none" stands beside "b"`, "b"},
		{"Include ${NO}", `config:1: variable "NO" is not set`, "NO"},
		{"Include [", `config:1: "[" is not a pattern of files`, "["},
		{"User " + strings.Repeat("x", 70) + " b", `config:1: extra argument "b"`, "b"},
	} {
		_, err := Parse(testEnv(t), "config", c.text)
		var e *Error
		if !errors.As(err, &e) || err.Error() != c.want || e.Word != c.word {
			t.Errorf("%q:\n got %v (%+v)\nwant %s (%s)", c.text, err, e, c.want, c.word)
		}
	}
	_, err := Parse(testEnv(t), "config", "Port x\nUser a\nPort y\n")
	if want := "config:1: \"x\" is not a port\nconfig:3: \"y\" is not a port"; err == nil || err.Error() != want {
		t.Errorf("got %v, want both mistakes", err)
	}
	_, err = Parse(testEnv(t), "config", strings.Repeat("Port x\n", 1000))
	if n := strings.Count(err.Error(), "\n") + 1; n != maxErrors {
		t.Errorf("%d mistakes reported, want %d", n, maxErrors)
	}
}

func TestResolveErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		q    Query
		want string
	}{
		{"\nIdentityFile ${NO}/x", Query{Host: "a"}, `config:2: variable "NO" is not set`},
		{"Host a\n RefuseConnection \"a is retired: use b\"", Query{Host: "a"}, `config:2: RefuseConnection: "a is retired: use b"`},
		{"Match final host b\n RefuseConnection no\nHost a\n HostName b", Query{Host: "a"}, `config:2: RefuseConnection: "no"`},
		{"IdentityFile ${}", Query{Host: "a"}, `config:1: "${}" has a ${ without a name and }`},
		{"IdentityFile %z", Query{Host: "a"}, `config:1: unknown token "%z"`},
		{"IdentityFile a%", Query{Host: "a"}, `config:1: "a%" ends in %`},
		{"IdentityFile ~no-such-user-here/x", Query{Host: "a"}, `config:1: "~no-such-user-here/x": no such user`},
		{"ProxyCommand x %d", Query{Host: "a"}, `config:1: unknown token "%d"`},
		{"HostName %p", Query{Host: "a"}, `config:1: unknown token "%p"`},
		{"HostName -oProxyCommand=x", Query{Host: "a"}, `config:1: "-oProxyCommand=x" is not the name of a host`},
		{"Host b\nUser $(x)", Query{Host: "b"}, `config:2: "$(x)" is not the name of a user`},
		{"", Query{Host: "-oProxyCommand=x"}, `"-oProxyCommand=x" is not the name of a host`},
		{"", Query{Host: ""}, `"" is not the name of a host`},
		{"", Query{Host: "a;b"}, `"a;b" is not the name of a host`},
		{"", Query{Host: "a", User: "x\ny"}, `"x\ny" is not the name of a user`},
		{"ConnectionAttempts 0", Query{Host: "a"}, `config:1: "0" connection attempts reach nobody`},
		{"Match exec %q", Query{Host: "a", Exec: func(string) (bool, error) { return true, nil }}, `config:1: unknown token "%q"`},
	} {
		_, err := parse(t, testEnv(t), c.text).Resolve(c.q)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	var many strings.Builder
	for n := range 101 {
		fmt.Fprintf(&many, "IdentityFile k%d\n", n)
	}
	_, err := parse(t, testEnv(t), many.String()).Resolve(Query{Host: "a"})
	if want := `config:101: "k100" is one identityfile more than 100`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	c := parse(t, testEnv(t), "FooBar x\nfoobar \"y\nIgnoreUnknown qu*\nQuux 1\nHost -oX=y ok\nMatch localnetwork 10.0.0.0/8\nPort 7\nMatch exec true user x\nUser u\nMatch !exec false\nUser v\n\"User x\nCanonicalizeHostname no\nCanonicalizeHostname always\nPKCS11Provider none\nKnownHostsCommand x\nKnownHostsCommand y\nControlPath z\nProxyUseFdpass no\nProxyUseFdpass yes\n")
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.String())
	}
	want := []string{
		`config:1: unknown keyword "foobar" is ignored`,
		`config:5: "-oX=y" cannot be the name of a host`,
		`config:6: Match localnetwork is not supported: its lines have no effect`,
		`config:12: quote without an end: the line is ignored`,
		`config:14: names are not canonicalized by the resolver`,
		`config:16: keyword "knownhostscommand" has no effect here`,
		`config:20: keyword "proxyusefdpass" has no effect here`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if names := c.HostNames(); !slices.Equal(names, []string{"ok"}) {
		t.Errorf("names %q", names)
	}
	if execs := c.MatchExecs(); len(execs) != 2 || execs[0].Line != 8 || execs[1].Line != 10 {
		t.Errorf("execs at %v", execs)
	}
	if r := resolve(t, c, Query{Host: "a"}); r.Port.V != 22 || r.User.V != "ann" {
		t.Errorf("a block that cannot be told had effect: port %v, user %v", r.Port, r.User)
	}
}

func TestHostNames(t *testing.T) {
	env := testEnv(t)
	write(t, filepath.Join(env.UserDir, "more.conf"), "Host web2 web3\n")
	c := parse(t, env, "Host web1 web? !web9\nHost web2\nHost none\n Include more.conf\nHost *\nMatch host db\nHost web1 \"w 4\"\n")
	if got, want := c.HostNames(), []string{"web1", "web2", "none", "web3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaultFiles(t *testing.T) {
	env := testEnv(t)
	if c, err := Default(env); err != nil || len(c.HostNames()) != 0 {
		t.Fatalf("no files at all: %v", err)
	}
	user := write(t, filepath.Join(env.UserDir, "config"), "Include conf.d/* ~/more\nHost web1\n User u\n")
	write(t, filepath.Join(env.UserDir, "conf.d", "a"), "Port 7\n")
	write(t, filepath.Join(env.UserDir, "conf.d", "b"), "Port 8\nConnectTimeout 5\n")
	write(t, filepath.Join(env.UserDir, "conf.d", ".hidden"), "BindAddress 1.1.1.1\n")
	write(t, filepath.Join(env.UserDir, "conf.d", "folder", "x"), "BindAddress 1.1.1.2\n")
	more := write(t, filepath.Join(env.Home, "more"), "BatchMode yes\n")
	system := write(t, filepath.Join(env.SystemDir, "ssh_config"), "Include ssh_config.d/[!x]*\nUser s\nHashKnownHosts yes\n")
	inner := write(t, filepath.Join(env.SystemDir, "ssh_config.d", "one"), "ServerAliveInterval 4\n")
	write(t, filepath.Join(env.SystemDir, "ssh_config.d", "x"), "ServerAliveInterval 5\n")
	c, err := Default(env)
	if err != nil {
		t.Fatal(err)
	}
	r := resolve(t, c, Query{Host: "web1"})
	for _, v := range []struct {
		what      string
		from      From
		file      string
		line      int
		got, want any
	}{
		{"User", r.User.From, user, 3, r.User.V, "u"},
		{"Port", r.Port.From, filepath.Join(env.UserDir, "conf.d", "a"), 1, r.Port.V, 7},
		{"BatchMode", r.BatchMode.From, more, 1, r.BatchMode.V, true},
		{"HashKnownHosts", r.HashKnownHosts.From, system, 3, r.HashKnownHosts.V, true},
		{"ServerAliveInterval", r.ServerAliveInterval.From, inner, 1, r.ServerAliveInterval.V.String(), "4s"},
		{"BindAddress", r.BindAddress.From, "", 0, r.BindAddress.V, ""},
	} {
		if v.got != v.want || v.from != (From{v.file, v.line}) {
			t.Errorf("%s is %v from %v, want %v from %s:%d", v.what, v.got, v.from, v.want, v.file, v.line)
		}
	}
	if r := resolve(t, c, Query{Host: "db"}); r.User.V != "s" || r.User.String() != system+":2" {
		t.Errorf("db: user %s from %v", r.User.V, r.User.From)
	}
}

func TestFilesRefused(t *testing.T) {
	env := testEnv(t)
	config := write(t, filepath.Join(env.UserDir, "config"), "User u\n")
	refused := func(what, want string, load func() (*Config, error)) {
		t.Helper()
		if _, err := load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	byDefault := func() (*Config, error) { return Default(env) }
	parsed := func(text string) func() (*Config, error) {
		return func() (*Config, error) { return Parse(env, "config", text) }
	}
	if err := os.Chmod(config, 0o620); err != nil {
		t.Fatal(err)
	}
	refused("others may write", "bad owner or mode -rw--w----", byDefault)
	refused("the same included", "config:1: read "+config+": bad owner", parsed("Include config"))
	if _, err := Load(env, config); err != nil {
		t.Errorf("a file that is named is not looked at so: %v", err)
	}
	refused("missing", "no such file", func() (*Config, error) { return Load(env, config+".no") })
	write(t, filepath.Join(env.UserDir, "loop"), "Include loop\n")
	refused("a loop", `loop:1: Include of "loop" is more than 16 deep`, parsed("Include loop"))
	write(t, filepath.Join(env.UserDir, "twice"), "Include twice twice\n")
	_, err := Parse(env, "config", "Include twice")
	if want := filepath.Join(env.UserDir, "twice") + `:1: Include of "twice" is more than 16 deep`; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), want) != 1 {
		t.Errorf("a loop that doubles: %v", err)
	}
	write(t, filepath.Join(env.UserDir, "small"), "User u\n")
	refused("too many", "more than 4096 files", parsed("Include"+strings.Repeat(" small", 4097)))
	write(t, filepath.Join(env.UserDir, "bad"), "User u\nPort x\n")
	refused("a mistake inside", "bad:2: \"x\" is not a port", parsed("Host none\nInclude bad"))
	refused("without end", "more than 64 MiB", func() (*Config, error) { return Load(env, "/dev/zero") })
	system := write(t, filepath.Join(env.SystemDir, "ssh_config"), "Include ~/x\n")
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	refused("home in the system's", system+`:1: "~/x": no home folders in the system's file`, byDefault)
}

// TestIncludeMissing: a pattern that matches nothing is no mistake.
func TestIncludeMissing(t *testing.T) {
	c := parse(t, testEnv(t), "Include no.conf none/*\nPort 7\n")
	if r := resolve(t, c, Query{Host: "a"}); r.Port.V != 7 {
		t.Errorf("port %d", r.Port.V)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range corpus {
		f.Add(text, "web1")
	}
	f.Add("Host "+strings.Repeat("*a", 50)+"\nUser x", strings.Repeat("a", 200))
	f.Fuzz(func(t *testing.T, text, host string) {
		if strings.Contains(strings.ToLower(text), "include") || strings.Contains(text, "~") {
			return // would read this machine's files
		}
		env := &Env{User: "ann", UID: "1", Home: "/home/ann", HostName: "desk", UserDir: "/nowhere", SystemDir: "/nowhere"}
		c, err := Parse(env, "config", text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.File != "config" || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("mistake without a place: %v", err)
			}
			return
		}
		r, err := c.Resolve(Query{Host: host, Exec: func(string) (bool, error) { return true, nil }})
		if err != nil {
			return
		}
		if !isSafeHost(r.HostName.V) || !isSafeUser(r.User.V) || r.Port.V < 1 || r.Port.V > 65535 {
			t.Fatalf("unsafe answer: %q %q %d", r.User.V, r.HostName.V, r.Port.V)
		}
		for _, s := range r.Settings() {
			if strings.ContainsAny(s.Value, "\n\x00") {
				t.Fatalf("%s holds a line break: %q", s.Key, s.Value)
			}
			if s.IsSet() && (s.File != "config" || s.Line < 1 || s.Line > strings.Count(text, "\n")+1) {
				t.Fatalf("%s comes from %v", s.Key, s.From)
			}
		}
	})
}

// FuzzWords quotes a word in each way and reads it again.
func FuzzWords(f *testing.F) {
	f.Add(`a b`, `"`)
	f.Add(`\`, `'\"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "\x00\n") {
			return
		}
		quote := func(s string, by string) string {
			return by + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `\'`).Replace(s) + by
		}
		for _, by := range []string{`"`, `'`} {
			words, ok := splitWords(quote(a, by) + " \t" + quote(b, by) + " # c")
			if !ok || !slices.Equal(words, []string{a, b}) {
				t.Fatalf("%q and %q read as %q", a, b, words)
			}
		}
	})
}
