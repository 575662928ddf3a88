package sshconfig

import (
	"os/exec"
	"strings"
	"testing"
)

func TestQueryHostNameIsAsTheOption(t *testing.T) {
	t.Parallel()
	text := "Host web1\n HostName of-file\n Port 7\nMatch host 10.0.0.5\n User by-address\nMatch host of-file\n User by-file\n" +
		"Host *\n UserKnownHostsFile /x/%h_%n\n"
	file := write(t, t.TempDir()+"/config", text)
	out, err := exec.Command("ssh", "-G", "-F", file, "-o", "HostName=10.0.0.5", "web1").Output()
	if err != nil {
		t.Fatal(err)
	}
	env, err := ThisUser()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(env, file)
	if err != nil {
		t.Fatal(err)
	}
	r := resolve(t, c, Query{Host: "web1", HostName: "10.0.0.5"})
	for _, s := range r.Settings() {
		switch s.Key {
		case "hostname", "user", "port", "userknownhostsfile":
			if line := s.Key + " " + s.Value + "\n"; !strings.Contains(string(out), line) {
				t.Errorf("ssh does not print %q:\n%s", line, out)
			}
		}
	}
	if r.HostName.V != "10.0.0.5" || r.HostName.IsSet() || r.User.V != "by-address" {
		t.Errorf("hostname %v, user %v", r.HostName, r.User)
	}
	if _, err := c.Resolve(Query{Host: "web1", HostName: "-oProxyCommand=x"}); err == nil {
		t.Error("an option as a host name was accepted")
	}
}

func TestParseHop(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]Hop{
		"web1":                    {Host: "web1"},
		"ann@web1:2222":           {"ann", "web1", 2222},
		"ssh://ann@web1:2222/":    {"ann", "web1", 2222},
		"ssh://[::1]:22":          {Host: "::1", Port: 22},
		"[::1]:2222":              {Host: "::1", Port: 2222},
		"::1":                     {Host: "::1"},
		"ann@fe80::1":             {User: "ann", Host: "fe80::1"},
		"ann@10.0.0.1":            {User: "ann", Host: "10.0.0.1"},
		"a@b@web1":                {User: "a@b", Host: "web1"},
		"ssh://an%40n@web1.x:022": {"an@n", "web1.x", 22},
	} {
		if got, err := ParseHop(spec); err != nil || got != want {
			t.Errorf("%q: %+v, %v", spec, got, err)
		}
	}
	for _, spec := range []string{"", "@web1", "web1:x", "web1:70000", "-oProxyCommand=x", "a b", "@::1", "-x@::1", "web1:22:23", "$(x)"} {
		if got, err := ParseHop(spec); err == nil {
			t.Errorf("%q: %+v", spec, got)
		}
	}
}
