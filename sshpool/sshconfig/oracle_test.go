package sshconfig

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oracle is what ssh says.
type oracle struct {
	env       *Env
	defaults  map[string][]string // per key, for algorithms
	supported map[string][]string
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	env, err := ThisUser()
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{env: env, supported: make(map[string][]string)}
	if o.defaults, err = sshG("none", Query{Host: "x"}); err != nil {
		t.Fatal(err)
	}
	for key, ask := range map[string]string{
		"ciphers": "cipher", "macs": "mac", "kexalgorithms": "kex", "hostkeyalgorithms": "key-sig",
		"pubkeyacceptedalgorithms": "key-sig", "casignaturealgorithms": "key-sig",
	} {
		out, err := exec.Command("ssh", "-Q", ask).Output()
		if err != nil {
			t.Fatal(err)
		}
		o.supported[key] = strings.Fields(string(out))
	}
	return o
}

// sshG runs ssh -G and gives the values of each key.
func sshG(file string, q Query) (map[string][]string, error) {
	args := []string{"-G", "-F", file}
	if q.User != "" {
		args = append(args, "-l", q.User)
	}
	if q.Port != 0 {
		args = append(args, "-p", fmt.Sprint(q.Port))
	}
	out, err := exec.Command("ssh", append(args, "--", q.Host)...).Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return nil, fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, err
	}
	values := make(map[string][]string)
	s := bufio.NewScanner(bytes.NewReader(out))
	for s.Scan() {
		key, value, _ := strings.Cut(s.Text(), " ")
		values[key] = append(values[key], value)
	}
	return values, nil
}

// compare reports where ssh and this package differ on a file and a host.
func (o *oracle) compare(t *testing.T, file string, q Query) {
	t.Helper()
	want, wantErr := sshG(file, q)
	got, gotErr := o.answer(file, q)
	if (wantErr != nil) != (gotErr != nil) {
		t.Errorf("%+v: ssh says %v; here %v", q, wantErr, gotErr)
		return
	}
	if wantErr != nil {
		return
	}
	for _, kw := range append(honoured(), keyword{name: "host"}, keyword{name: "proxyjump"}) {
		key := kw.name
		if len(want[key]) == 0 && len(got[key]) == 0 || key == "tag" {
			continue
		}
		if key == "identityfile" && slices.Equal(got[key], o.ourIdentities()) && slices.Equal(want[key], o.defaults[key]) {
			continue // this ssh has two types more by default
		}
		if !slices.Equal(got[key], want[key]) {
			t.Errorf("%+v: %s\n here %q\n  ssh %q", q, key, got[key], want[key])
		}
	}
}

func (o *oracle) ourIdentities() (list []string) {
	for _, name := range identities {
		list = append(list, "~/.ssh/"+name)
	}
	return list
}

// answer gives the values of each key from this package, lists of algorithms
// applied to the defaults of ssh.
func (o *oracle) answer(file string, q Query) (map[string][]string, error) {
	c, err := Load(o.env, file)
	if err != nil {
		return nil, err
	}
	q.Exec = func(command string) (bool, error) { return exec.Command("/bin/sh", "-c", command).Run() == nil, nil }
	r, err := c.Resolve(q)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]string)
	for _, s := range r.Settings() {
		values[s.Key] = append(values[s.Key], s.Value)
	}
	for key, supported := range o.supported {
		spec := ""
		if len(values[key]) > 0 {
			spec = values[key][0]
		}
		list, err := Algorithms(spec).Apply(strings.Split(o.defaults[key][0], ","), supported)
		if err != nil {
			return nil, err
		}
		values[key] = []string{strings.Join(list, ",")}
	}
	return values, nil
}

// corpus are files written by hand; INC is replaced by a folder with more files.
var corpus = map[string]string{
	"empty":    "",
	"comments": "# a\n   # b\n\n\t\nHost *\n  User bob # not a comment of its own? it is\n",
	"equals":   "User=bob\nPort = 99\nHostName=  h%h\nIdentityFile =x\nServerAliveInterval\t=\t7\n",
	"quotes":   "User \"bob smith\"\nIdentityFile '~/a b'\nIdentityFile a\\ b\nIdentityFile \"x\"y\nHost \"web1\" 'db'\nPort 7\n\"HostName\" q\n",
	"escapes":  "IdentityFile a\\\\b\nIdentityFile a\\\"b\nIdentityFile \"a\\ b\"\nIdentityFile a\\nb\n",
	"first":    "Host web*\n Port 1\nHost *\n Port 2\n User a\nHost web1\n User b\n Port 3\n",
	"negated":  "Host * !web1 !*.example.org\n Port 7\nHost !db\n Port 8\nHost web? !web2\n User q\n",
	"patterns": "Host web? *.example.org 10.0.0.*\n Port 7\nHost ?*b\n User dd\nHost *::*\n User six\n",
	"case":     "HOST Web1\n pOrT 7\nHost WEB1\n USER x\nMatch host web1\n ConnectTimeout 5\nMatch originalhost WEB1\n ConnectTimeout 6\n",
	"match": "Match host web1,db user root,bob\n Port 7\nMatch user !root,*\n Port 8\nMatch originalhost web1\n HostName other\n" +
		"Match host other\n User changed\nMatch user changed\n ConnectTimeout 3\nMatch all\n ServerAliveInterval 9\n",
	"match negated": "Match !host web1\n Port 7\nMatch host web* !user bob\n Port 8\nMatch !all\n Port 10\nMatch ! all\n",
	"match equals":  "Match host=web1 user=root\n Port 7\nMatch \"host\" \"web2.example.org\"\n Port 8\nMatch host web1 # comment\n User c\n",
	"match all":     "Match host web1 all\n Port 7\nMatch all # x\n Port 8\n",
	"match twice":   "Match all host web1\n",
	"match none":    "Match\n",
	"match no arg":  "Match host\n",
	"match unknown": "Match moon full\n",
	"final":         "Match final host web1.example.org\n User late\nHost web1\n HostName %h.example.org\n IdentityFile one\nHost *.example.org\n Port 7\n IdentityFile two\nMatch !final\n ConnectTimeout 9\nMatch final\n ConnectTimeout 10\n",
	"final all":     "Match final all\n User late\nMatch canonical all\n Port 5\nHost 10.0.0.1\n HostName WEB9\nHost web9\n ConnectTimeout 4\n",
	"canonical":     "CanonicalizeHostname yes\nHost web1\n HostName Web1.Example.ORG\nMatch canonical\n Port 7\nHost *.example.org\n User x\nSendEnv A\n",
	"exec":          "Match exec \"test %n = web1\"\n Port 7\nMatch exec \"test %h = y\"\n Port 9\nHost db\n HostName y\n Port 3\nMatch host y exec true\n User u\nMatch !exec \"false\" user *\n ConnectTimeout 3\nMatch user nobody exec \"exit 1\"\n",
	"hostname":      "Host web1\n HostName %h%%x.y\nHost db\n HostName 10.0.0.5\nHost web2.example.org\n HostName ::0001\n",
	"bad hostname":  "HostName %p\n",
	"ends percent":  "IdentityAgent a%\n",
	"tokens": "IdentityAgent /x/%%_%C_%d_%h_%i_%k_%L_%l_%n_%p_%r_%u\nUserKnownHostsFile ~/a_%h_%r \"/b c/%C\" ~root/x\nHostKeyAlias Al\n" +
		"Port 77\nUser u\nHost web1\n HostName t.%h\n",
	"env":       "UserKnownHostsFile ${HOME}/x_%h\nIdentityAgent ${PATH}\n",
	"env unset": "IdentityAgent ${NO_SUCH_VARIABLE_HERE}\n",
	"env open":  "UserKnownHostsFile ${HOME\n",
	"agent":     "Host web1\n IdentityAgent none\nHost db\n IdentityAgent SSH_AUTH_SOCK\nHost *\n IdentityAgent $MY_SOCK\n",
	"forward":   "Host web1\n ForwardAgent yes\nHost db\n ForwardAgent ~/sock_%h\nHost other\n ForwardAgent $SOCK\nMatch host db\n ForwardAgent no\n",
	"files":     "IdentityFile a\nIdentityFile a\nIdentityFile ~/b\nIdentityFile none\nCertificateFile c\nCertificateFile c\nHost web1\n IdentityFile d\n",
	"known":     "Host web1\n UserKnownHostsFile none\n GlobalKnownHostsFile /a ~/b\nHost *\n UserKnownHostsFile a b\n UserKnownHostsFile c\n",
	"known bad": "UserKnownHostsFile a none\n",
	"env names": "SendEnv LC_* A\nSendEnv -A B\nSetEnv X=1 Y=2 X=3\nSetEnv Z=4\nHost web1\n SendEnv -LC_* C\n",
	"env bad":   "SetEnv X\n",
	"send bad":  "SendEnv A=1\n",
	"jump":      "Host web1\n ProxyJump a@b:33,c\nHost db\n ProxyJump none\nHost web2*\n ProxyJump ssh://u@h:22/\nHost *\n ProxyCommand nc %h %p # all of it\n ProxyJump late\n",
	"jump v6":   "Host web1\n ProxyJump x@[::1]:33\nHost *\n ProxyJump 10.0.0.1\n ProxyCommand late\n",
	"jump list": "ProxyJump one,u@two:22,three:2200\n",
	"jump bad":  "ProxyJump a:b:c\n",
	"jump at":   "ProxyJump @x\n",
	"command":   "ProxyCommand = nc -x \"a b\"  %h\n",
	"no jump":   "ProxyJump none\nProxyJump x\nHost web1\n ProxyCommand y\nHost *\n ProxyCommand z\n",
	"no proxy":  "ProxyCommand none\nProxyJump x\n",
	"algos": "Host web1\n Ciphers +aes128-cbc\n MACs -*-etm@openssh.com,umac-*\n KexAlgorithms ^ecdh-sha2-nistp384,diffie-hellman-group16-sha512\n HostKeyAlgorithms ssh-ed25519,rsa-*\n" +
		" PubkeyAcceptedAlgorithms ^rsa-sha2-256\n CASignatureAlgorithms -rsa*\nHost *\n Ciphers aes256-ctr,aes128-gcm@openssh.com\n KexAlgorithms +diffie-hellman-group1-sha1\n HostKeyAlgorithms -ecdsa*,*cert*\n",
	"times":      "Host web1\n ConnectTimeout 1h2m3\nHost db\n ConnectTimeout none\nHost *\n ConnectTimeout 1W\n ServerAliveInterval 2M\n",
	"time bad":   "ConnectTimeout 5x\n",
	"time empty": "ConnectTimeout \"\"\n",
	"numbers":    "ConnectionAttempts 7\nServerAliveCountMax 0\nNumberOfPasswordPrompts 1\nRequiredRSASize 2048\n",
	"number bad": "ConnectionAttempts -1\n",
	"port bad":   "Port 65536\n",
	"port zero":  "Port 0\n",
	"port name":  "Port ssh\n",
	"choices": "Host web1\n StrictHostKeyChecking accept-new\n RequestTTY force\n AddressFamily inet6\n LogLevel debug3\n PubkeyAuthentication unbound\n" +
		"Host db\n StrictHostKeyChecking off\n RequestTTY yes\n LogLevel DEBUG1\nHost *\n StrictHostKeyChecking YES\n RequestTTY no\n AddressFamily inet\n PubkeyAuthentication no\n",
	"choice bad": "AddressFamily inet5\n",
	"flags":      "IdentitiesOnly true\nHashKnownHosts YES\nBatchMode yes\nServerAliveInterval 5\nPasswordAuthentication no\nKbdInteractiveAuthentication false\nCompression yes\n",
	"old names":  "PubkeyAcceptedKeyTypes ssh-ed25519\nChallengeResponseAuthentication no\nDSAAuthentication no\nIdentityFile2 x\n",
	"flag bad":   "BatchMode maybe\n",
	"extra":      "User a b\n",
	"extra ok":   "User a # b\nPort 7 #8\n",
	"no value":   "User\n",
	"open quote": "User \"a\n",
	"in unused":  "LocalCommand it's\n",
	"ignored":    "IgnoreUnknown Foo*,bar\nFooBar x\nBAR = \"y\"\nUser z\n",
	"unused":     "ControlMaster auto\nControlPath /x/%C\nLocalForward 80 localhost:80\nTCPKeepAlive no\nGSSAPIAuthentication yes\nUser z\n",
	"others":     "PreferredAuthentications publickey,password\nBindAddress 127.0.0.1\nBindInterface lo\nRevokedHostKeys /x\nHostKeyAlias Foo\n",
	"crlf":       "Host web1\r\n  Port 7\r\n  User bob \t\r\n",
	"include": "Include INC/a.conf INC/none.conf\nHost web1\n Include INC/b*.conf\n Port 99\nHost db\n Include INC/host.conf\n ConnectTimeout 8\nMatch user root\n" +
		" Include \"INC/c.conf\"\n",
	"include bad":  "Include INC/bad.conf\n",
	"include loop": "Include INC/loop.conf\n",
	"include none": "Include\n",
}

var included = map[string]string{
	"a.conf":    "ServerAliveInterval 3\nHost web1\n User from-a\nHost *\n IdentityFile a\n",
	"b1.conf":   "IdentityFile b1\nHost db\n Port 1\n",
	"b2.conf":   "IdentityFile b2\nHost web*\n IdentityFile b3\n",
	"host.conf": "Host *\n IdentityFile of-db\nMatch all\n IdentityFile of-db-too\n",
	"c.conf":    "IdentityFile c\nMatch final\n IdentityFile c-final\n",
	"bad.conf":  "Port x\n",
	"loop.conf": "Include INC/loop.conf\n",
}

func TestOracleCorpus(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	folder := t.TempDir()
	place := func(text string) string { return strings.ReplaceAll(text, "INC", filepath.Join(folder, "inc")) }
	for name, text := range included {
		write(t, filepath.Join(folder, "inc", name), place(text))
	}
	queries := []Query{
		{Host: "web1"}, {Host: "WEB1"}, {Host: "web2.example.org"}, {Host: "db", User: "bob"},
		{Host: "10.0.0.1", Port: 2222}, {Host: "::1", User: "root", Port: 1}, {Host: "other"},
	}
	for name, text := range corpus {
		t.Run(name, func(t *testing.T) {
			file := write(t, filepath.Join(folder, "config"), place(text))
			for _, q := range queries {
				o.compare(t, file, q)
			}
			if t.Failed() {
				t.Logf("file:\n%s", text)
			}
		})
	}
}
