package sshconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestResolvedFields(t *testing.T) {
	env := testEnv(t)
	c := parse(t, env, `Host web1
  HostName %h.example.net
  Port 2222
  User deploy
  IdentityFile ~/.ssh/%r_${SITE}
  IdentityFile none
  IdentityFile /k/%h-%L
  CertificateFile c_%n
  IdentityAgent $AGENT
  ProxyJump u@%h.gate:7,two
  UserKnownHostsFile ~/kh /x/%k
  GlobalKnownHostsFile none
  HostKeyAlias Alias
  StrictHostKeyChecking off
  ConnectTimeout 1m30
  ServerAliveInterval 15
  PreferredAuthentications publickey,password
  PubkeyAuthentication host-bound
  SetEnv A=1 "B=x y"
  SendEnv LC_* X
  ForwardAgent ~/agent_%p
  RequestTTY yes
  Ciphers ^aes128-gcm@openssh.com
`)
	r := resolve(t, c, Query{Host: "web1"})
	home := env.Home
	for _, v := range []struct{ what, got, want any }{
		{"HostName", r.HostName, Value[string]{"web1.example.net", From{"config", 2}}},
		{"Port", r.Port, Value[int]{2222, From{"config", 3}}},
		{"User", r.User, Value[string]{"deploy", From{"config", 4}}},
		{"IdentityFiles", r.IdentityFiles, []Value[string]{{home + "/.ssh/deploy_north", From{"config", 5}}, {"/k/web1.example.net-desk", From{"config", 7}}}},
		{"CertificateFiles", r.CertificateFiles, []Value[string]{{"c_web1", From{"config", 8}}}},
		{"IdentityAgent", r.IdentityAgent, Value[string]{"none", From{"config", 9}}}, // the variable is not set
		{"ProxyJump", r.ProxyJump, Value[[]Hop]{[]Hop{{"u", "web1.example.net.gate", 7}, {"", "two", 0}}, From{"config", 10}}},
		{"UserKnownHosts", r.UserKnownHosts, []Value[string]{{home + "/kh", From{"config", 11}}, {"/x/alias", From{"config", 11}}}},
		{"GlobalKnownHosts", r.GlobalKnownHosts, []Value[string](nil)},
		{"HostKeyAlias", r.HostKeyAlias, Value[string]{"alias", From{"config", 13}}},
		{"StrictHostKeyChecking", r.StrictHostKeyChecking.V, "no"},
		{"ConnectTimeout", r.ConnectTimeout.V, 90 * time.Second},
		{"ServerAliveInterval", r.ServerAliveInterval.V, 15 * time.Second},
		{"ServerAliveCountMax", r.ServerAliveCountMax, Value[int]{V: 3}},
		{"PreferredAuthentications", r.PreferredAuthentications.V, []string{"publickey", "password"}},
		{"PubkeyAuthentication", r.PubkeyAuthentication.V, true},
		{"SetEnv", r.SetEnv, []Value[string]{{"A=1", From{"config", 19}}, {"B=x y", From{"config", 19}}}},
		{"SendEnv", r.SendEnv, []Value[string]{{"LC_*", From{"config", 20}}, {"X", From{"config", 20}}}},
		{"ForwardAgent", r.ForwardAgent.V, home + "/agent_2222"},
		{"RequestTTY", r.RequestTTY.V, "yes"},
		{"Ciphers", r.Ciphers, Value[Algorithms]{"^aes128-gcm@openssh.com", From{"config", 23}}},
		{"ProxyCommand", r.ProxyCommand, Value[string]{}},
	} {
		if got, want := fmt.Sprintf("%#v", v.got), fmt.Sprintf("%#v", v.want); got != want {
			t.Errorf("%s\n got %s\nwant %s", v.what, got, want)
		}
	}
}

func TestResolvedDefaults(t *testing.T) {
	env := testEnv(t)
	r := resolve(t, parse(t, env, ""), Query{Host: "Web1"})
	if r.HostName.V != "web1" || r.Host != "Web1" || r.User.V != "ann" || r.Port.V != 22 || r.StrictHostKeyChecking.V != "ask" {
		t.Errorf("got %+v", r)
	}
	if len(r.IdentityFiles) != 5 || r.IdentityFiles[3].V != env.UserDir+"/id_ed25519" || r.IdentityFiles[3].IsSet() {
		t.Errorf("identity files %v", r.IdentityFiles)
	}
	if len(r.UserKnownHosts) != 2 || r.UserKnownHosts[0].V != env.UserDir+"/known_hosts" || len(r.GlobalKnownHosts) != 2 {
		t.Errorf("known hosts %v %v", r.UserKnownHosts, r.GlobalKnownHosts)
	}
	if r.IdentityAgent.V != "" || r.ConnectTimeout.V != 0 || r.ConnectionAttempts.V != 1 || !r.PasswordAuthentication.V || r.BatchMode.V {
		t.Errorf("got %+v", r)
	}
}

// TestQueryWins: what the command line says is stronger than files, and counts
// in Match.
func TestQueryWins(t *testing.T) {
	c := parse(t, testEnv(t), "User u\nPort 7\nTag t\nMatch user root\n ConnectTimeout 5\nMatch tagged fast\n ServerAliveInterval 9\nMatch tagged t\n ServerAliveInterval 3\n")
	r := resolve(t, c, Query{Host: "a", User: "root", Port: 9, Tag: "fast"})
	if r.User.V != "root" || r.User.IsSet() || r.Port.V != 9 || r.Port.IsSet() || r.ConnectTimeout.V != 5*time.Second || r.ServerAliveInterval.V != 9*time.Second || r.Tag.V != "fast" {
		t.Errorf("got %v %v %v %v %v", r.User, r.Port, r.ConnectTimeout, r.ServerAliveInterval, r.Tag)
	}
	if r = resolve(t, c, Query{Host: "a"}); r.ServerAliveInterval.V != 3*time.Second || r.ConnectTimeout.V != 0 {
		t.Errorf("got %v %v", r.ServerAliveInterval, r.ConnectTimeout)
	}
}

func TestMatchExec(t *testing.T) {
	c := parse(t, testEnv(t), "Host db\n HostName x\n User u\nMatch user nobody exec \"never\"\n Port 1\nMatch exec \"probe %h %n %r %p %L\"\n Port 7\n")
	var ran []string
	r := resolve(t, c, Query{Host: "db", Exec: func(command string) (bool, error) {
		ran = append(ran, command)
		return true, nil
	}})
	if r.Port.V != 7 || !slices.Equal(ran, []string{"probe x db u 22 desk"}) {
		t.Errorf("port %d, ran %q", r.Port.V, ran)
	}
	if r = resolve(t, c, Query{Host: "db"}); r.Port.V != 22 {
		t.Errorf("without permission: port %d", r.Port.V)
	}
	broken := errors.New("broken")
	_, err := c.Resolve(Query{Host: "db", Exec: func(string) (bool, error) { return false, broken }})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestTokenJump(t *testing.T) {
	env := testEnv(t)
	with := resolve(t, parse(t, env, "IdentityFile %j_%C\nProxyJump one,two:7\n"), Query{Host: "a"})
	without := resolve(t, parse(t, env, "IdentityFile %j_%C\n"), Query{Host: "a"})
	one, _, _ := strings.Cut(with.IdentityFiles[0].V, "_")
	if one != "two" || !strings.HasPrefix(without.IdentityFiles[0].V, "_") || strings.HasSuffix(with.IdentityFiles[0].V, without.IdentityFiles[0].V) {
		t.Errorf("got %s and %s", with.IdentityFiles[0].V, without.IdentityFiles[0].V)
	}
}

func TestAlgorithmsApply(t *testing.T) {
	defaults, supported := []string{"a1", "a2", "b1"}, []string{"a1", "a2", "b1", "c1", "c2"}
	for _, c := range []struct{ spec, want string }{
		{"", "a1 a2 b1"},
		{"c2,a1", "c2 a1"},
		{"c*,nope", "c1 c2"},
		{"+c1,a1", "a1 a2 b1 c1"},
		{"-a*", "b1"},
		{"^b1,c?", "b1 c1 c2 a1 a2"},
		{"-*", `algorithms "-*" leave none`},
		{"nope", `algorithms "nope": none is supported`},
		{"a1,!b1", `algorithms "a1,!b1": "!b1" is negated`},
	} {
		list, err := Algorithms(c.spec).Apply(defaults, supported)
		got := strings.Join(list, " ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.spec, got, c.want)
		}
	}
	if !slices.Equal(defaults, []string{"a1", "a2", "b1"}) {
		t.Errorf("defaults were changed: %v", defaults)
	}
}

// bigConfig has 2,000 lines: Host blocks of three lines, wildcards and Match
// among them.
func bigConfig() string {
	var b strings.Builder
	b.WriteString("Host *.example.org !bad.example.org\n  ConnectTimeout 5\nMatch user root\n  BatchMode yes\n")
	for n := range 640 {
		fmt.Fprintf(&b, "Host web%d web%d.example.org\n  HostName 10.0.%d.%d\n  User deploy\n", n, n, n/256, n%256)
		if n%16 == 0 {
			fmt.Fprintf(&b, "Host db%d* *.db%d\n  Port 2222\n", n, n)
		}
	}
	b.WriteString("Host *\n  IdentityFile ~/.ssh/%r_%h\n  ServerAliveInterval 15\n  ProxyJump gate\n")
	return b.String()
}

// TestTenThousandHosts resolves 10,000 hosts through 2,000 lines within 1 s.
func TestTenThousandHosts(t *testing.T) {
	c := parse(t, testEnv(t), bigConfig())
	start := time.Now()
	for n := range 10_000 {
		r := resolve(t, c, Query{Host: fmt.Sprintf("web%d.example.org", n%1280)})
		if known := n%1280 < 640; known != (r.User.V == "deploy") || r.ConnectTimeout.V != 5*time.Second {
			t.Fatalf("%d: %v %v", n, r.User, r.ConnectTimeout)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("10,000 hosts took %v", took)
	}
}

// TestResolveTogether shares one Config between goroutines.
func TestResolveTogether(t *testing.T) {
	c := parse(t, testEnv(t), bigConfig())
	var done sync.WaitGroup
	for n := range 64 {
		done.Go(func() {
			r, err := c.Resolve(Query{Host: fmt.Sprintf("web%d", n)})
			if err != nil || r.HostName.V != fmt.Sprintf("10.0.0.%d", n) {
				t.Errorf("web%d: %v %v", n, r, err)
			}
			slices.Reverse(r.Settings())
		})
	}
	done.Wait()
}

func BenchmarkParse(b *testing.B) {
	env, text := testEnv(b), bigConfig()
	b.ReportAllocs()
	for b.Loop() {
		parse(b, env, text)
	}
}

// BenchmarkResolve is one host through 2,000 lines.
func BenchmarkResolve(b *testing.B) {
	c := parse(b, testEnv(b), bigConfig())
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		resolve(b, c, Query{Host: fmt.Sprintf("web%d", n%640)})
	}
}

// TestRefuseConnection refuses those hosts that the line means, and no others.
func TestRefuseConnection(t *testing.T) {
	c := parse(t, testEnv(t), "Host old* !old2\n RefuseConnection gone\nHost *\n Port 7\n")
	for host, refused := range map[string]bool{"old1": true, "old2": false, "new": false} {
		r, err := c.Resolve(Query{Host: host})
		if refused != (err != nil) || err == nil && r.Port.V != 7 {
			t.Errorf("%s: %+v, %v", host, r, err)
		}
	}
}
