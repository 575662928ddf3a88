package ansible

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/inventory"
)

// read makes an inventory of an INI text, and gives what it warns of.
func read(t *testing.T, text string) (*inventory.Inventory, []string) {
	t.Helper()
	notes := &Notes{}
	inv, err := inventory.Merge(inventory.Source{Content: (&Reader{Notes: notes}).INI("f", []byte(text))})
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	for _, w := range notes.Warnings() {
		warned = append(warned, w.Error())
	}
	return inv, warned
}

func host(t *testing.T, inv *inventory.Inventory, name string) *inventory.Host {
	t.Helper()
	h, ok := inv.Host(name)
	if !ok {
		t.Fatalf("no host %s", name)
	}
	return h
}

func TestConnectionVariables(t *testing.T) {
	type set = inventory.Settings
	for vars, want := range map[string]set{
		"ansible_host=10.0.0.1 ansible_port=2222 ansible_user=ann":       {Address: "10.0.0.1", Port: 2222, User: "ann"},
		"ansible_ssh_host=h2 ansible_ssh_port='23' ansible_ssh_user=bob": {Address: "h2", Port: 23, User: "bob"},
		"ansible_host=[::1]":                                                                 {Address: "::1"},
		"ansible_host= ansible_user=":                                                        {},
		"ansible_port=None":                                                                  {},
		"ansible_ssh_private_key_file=~/.ssh/ops":                                            {Key: []string{"~/.ssh/ops"}},
		"ansible_become=yes ansible_become_user=pg":                                          {Become: true, BecomeUser: "pg"},
		"ansible_become=True ansible_become_method=community.x.doas":                         {Become: true, BecomeMethod: "doas"},
		"ansible_become=0 ansible_become_method=su":                                          {BecomeMethod: "su"},
		"ansible_ssh_timeout=30 ansible_shell_executable=/bin/dash":                          {ConnectTimeout: 30 * time.Second, Shell: "/bin/dash"},
		`ansible_password="p#w" ansible_become_pass=1234`:                                    {Password: inventory.NewSecret("p#w"), BecomePassword: inventory.NewSecret(int64(1234))},
		"ansible_connection=ssh ansible_python_interpreter=/x":                               {},
		`ansible_ssh_common_args='-J ann@gw:2200,gw2'`:                                       {Jump: []string{"ann@gw:2200", "gw2"}},
		`ansible_ssh_common_args='-o ProxyJump=gw -o ConnectTimeout=7'`:                      {Jump: []string{"gw"}, ConnectTimeout: 7 * time.Second},
		`ansible_ssh_common_args="-o ProxyCommand='ssh -W %h:%p -q gw' -C -q"`:               {ProxyCommand: "ssh -W %h:%p -q gw"},
		`ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p gw" -o ControlMaster=auto'`:  {ProxyCommand: "ssh -W %h:%p gw"},
		`ansible_ssh_extra_args='-p2022 -l carl -i key -oUser=dora -oUserKnownHostsFile=kh'`: {Port: 2022, User: "dora", Key: []string{"key"}, KnownHosts: []string{"kh"}},
	} {
		inv, warned := read(t, "h "+vars+"\n")
		if want.Address == "" {
			want.Address = "h"
		}
		if diff := cmp.Diff(want, host(t, inv, "h").Settings); diff != "" {
			t.Errorf("%s\n%s", vars, diff)
		}
		if len(warned) > 0 && !strings.Contains(vars, "pass") {
			t.Errorf("%s: warned %q", vars, warned)
		}
	}
}

// Each kind of oddity is one warning, at its first place.
func TestWarnings(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text.WriteString(name + " x_" + name + "='{{ y }}' ansible_password=hunter2 ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -A'\n")
	}
	text.WriteString("[all:vars]\nansible_connection=local\nansible_become_flags=-n\nansible_become_method=runas\nlist=['{% if %}']\n")
	_, got := read(t, text.String())
	want := []string{
		`f:1:3: jinja templates are left as text: x_a, x_b, x_c and 3 more`,
		`f:1:17: passwords in plain text: ansible_password (encrypt them with ansible-vault, or use --ask-pass or --pass-file)`,
		`f:1:42: options of ssh that have no effect here: StrictHostKeyChecking, UserKnownHostsFile, -A (settings that hold for ssh too can go into ssh_config)`,
		`f:7:1: connections other than by ssh are not made, these hosts are reached by ssh: ansible_connection local`,
		`f:8:1: connection variables that have no effect here: ansible_become_flags`,
		`f:9:1: ways of becoming another user that are not known here: runas (there are sudo, su and doas)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, w := range got {
		if strings.Contains(w, "hunter2") {
			t.Error(w)
		}
	}
}

// A template in a setting is filled in for each host; what that cannot be done
// for is a fault of the host's own.
func TestTemplates(t *testing.T) {
	inv, warned := read(t, `[web]
web1.example.com ip=10.0.0.1 port=2222
web2.example.com ip=10.0.0.2
web3.example.com
web4.example.com ansible_host=10.9.9.9
web5.example.com ip="{{ other }}" other="{{ ip }}"
[web:vars]
ansible_host="{{ ip }}"
ansible_port={{ port | default(22) }}
ansible_user={{ inventory_hostname_short }}-{{ deep.er['x'] }}
deep={'er': {'x': 'ops'}}
ansible_password={{ vault_pw }}
vault_pw=5678
`)
	one, two, three, four, five := host(t, inv, "web1.example.com"), host(t, inv, "web2.example.com"), host(t, inv, "web3.example.com"), host(t, inv, "web4.example.com"), host(t, inv, "web5.example.com")
	if one.Address != "10.0.0.1" || one.Port != 2222 || one.User != "web1-ops" || one.Password.Text() != "5678" || one.Fault() != nil {
		t.Errorf("%+v, %v", one, one.Fault())
	}
	if two.Address != "10.0.0.2" || two.Port != 22 || two.User != "web2-ops" {
		t.Errorf("%+v", two)
	}
	if err := three.Fault(); err == nil || err.Error() != "f:8:1: address of web3.example.com: {{ ip }}: there is no variable ip" {
		t.Error(err)
	}
	if four.Address != "10.9.9.9" || four.Fault() != nil {
		t.Errorf("%+v, %v", four, four.Fault())
	}
	if err := five.Fault(); err == nil || !strings.Contains(err.Error(), "inside each other") {
		t.Error(err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "ip, other") {
		t.Errorf("%q", warned)
	}
	for text, want := range map[string]string{
		"ansible_host={{ ip + 1 }}":                  "f:1:3: address of h: {{ ip + 1 }}: a jinja template that is not understood here",
		"ansible_host={%x%}":                         "f:1:3: address of h: {%x%}: a jinja template that is not understood here",
		"ansible_host='{{ list }}' list=[1]":         "f:1:3: address of h: {{ list }}: no text and no number",
		"ansible_host='{{ a }}' a='-oProxyCommand='": `f:1:3: address of h: address "-oProxyCommand=" starts with a dash`,
		"ansible_port='{{ a }}' a=99999":             "f:1:3: port of h: port 99999 is not in 1-65535",
	} {
		if !strings.Contains(text, "'") {
			text = strings.Replace(text, "=", "='", 1) + "'"
		}
		inv, _ := read(t, "h "+text+"\n")
		if err := host(t, inv, "h").Fault(); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// Errors have their places, and all of a file come at once.
func TestINIErrors(t *testing.T) {
	c := (&Reader{Notes: &Notes{}}).INI("f", []byte(`a b=1 c
é x=y z
[we b]
[web:vars
[web:vras]
x
[web:children]
gone two
[gone2:vars]
novalue
[all:vars]
=x
[h]
web[1-3]
web[9:1:0]
x[b:a]
"open
p ansible_port=http
p ansible_user=-x
-dash
web:
a/b
x[1:9999999999]
`))
	err := c.Err()
	want := strings.Split(strings.TrimSpace(`
f:1:7: want NAME=VALUE after a host, found "c" (no spaces stand around =; a value with spaces is quoted)
f:2:7: want NAME=VALUE after a host, found "z" (no spaces stand around =; a value with spaces is quoted)
f:3:1: invalid section header "[we b]" (write [GROUP], [GROUP:vars] or [GROUP:children], without spaces)
f:5:6: section [web:vras] is of an unknown kind (kinds are vars, children and hosts)
f:8:1: want the name of a group, found "gone two" (a section of children names one group a line)
f:9:2: section [gone2:vars] speaks of the unknown group "gone2" (a section [gone2] declares it)
f:10:1: want NAME=VALUE, found "novalue"
f:12:1: a variable without a name
f:14:1: range "1-3" is neither BEGIN:END nor BEGIN:END:STEP
f:15:1: range "9:1:0": the step "0" is no number above 0
f:16:1: range "b:a" ends before it begins
f:17:1: host line: a quote that is not closed
f:18:3: ansible_port: port "http" is not a number
f:19:3: ansible_user: user "-x" starts with a dash
f:20:1: host name "-dash" starts with a dash
f:21:1: "web:" ends in a colon, and no port follows
f:22:1: host name "a/b" holds '/'
f:23:1: range of more than 2000000 hosts`), "\n")
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestYAMLErrors(t *testing.T) {
	for text, want := range map[string]string{
		"all:\n  hosts: [a, b]\n":                      `f:2:3: hosts: want a mapping, found a list (each name is a key, with a colon behind it and no dash before it)`,
		"all:\n  hosts:\n    a: [1]\n":                 `f:3:5: host "a": want variables by their names, found a list`,
		"all:\n  hosts:\n    1: {}\n":                  `f:3:5: the name of a host is 1, which YAML does not read as text (put it into quotes)`,
		"plugin: aws_ec2\n":                            `f:1:1: this configures a plugin of Ansible, and holds no hosts (ansible-inventory -i FILE --list writes what the plugin finds as JSON, which is an inventory too)`,
		"- a\n":                                        `f:1:1: the inventory is a list, want groups by their names`,
		"all:\n  vars: {a: !x 1}\n":                    `f:2:13: tag !x is not known`,
		"all:\n  vars: {a: !!int x}\n":                 `f:2:13: "x" is no int`,
		"all:\n  hosts: {a: {ansible_port: 0}}\n":      `f:2:15: ansible_port: port 0 is not in 1-65535`,
		"all:\n  vars:\n    ansible_group_priority: x": ``,
		"g:\n  vars:\n    ansible_group_priority: x":   `f:3:5: ansible_group_priority "x" is no number`,
		"all:\n\thosts: x\n":                           `f:2:1: a tab in the indentation (indent with spaces)`,
	} {
		err := (&Reader{Notes: &Notes{}}).YAML("f", []byte(text)).Err()
		if want == "" {
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}
