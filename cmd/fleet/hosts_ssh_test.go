package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sshConfigs are files over which fleet and ssh must agree.
var sshConfigs = map[string]string{
	"empty":  "",
	"simple": "Host web1\n HostName 10.0.0.1\n User ann\n Port 7\nHost *\n User late\n IdentityFile ~/.ssh/one\n IdentityFile /two\n",
	"jump":   "Host web1\n ProxyJump a@b:33,c\nHost *\n ProxyCommand nc %h %p\n",
	"match":  "Match host web1 user bob\n ConnectTimeout 9\nMatch originalhost web1\n ServerAliveInterval 1m\nMatch all\n HostKeyAlias Al\n",
	"names":  "SendEnv LANG LC_*\nSetEnv A=1 B=2\nUserKnownHostsFile ~/x_%h none.txt\nGlobalKnownHostsFile none\nStrictHostKeyChecking off\n",
	"final":  "Match final host web1.example\n User late\nHost web1\n HostName %h.example\n ForwardAgent yes\n RequestTTY force\n",
	"rest":   "AddressFamily inet\nBindAddress 127.0.0.1\nLogLevel verbose\nHashKnownHosts yes\nIdentitiesOnly yes\nIdentityAgent ~/a\nPreferredAuthentications publickey\nCertificateFile ~/c\n",
}

// TestHostsSSHAgainstSSH holds the JSON to what ssh -G prints.
func TestHostsSSHAgainstSSH(t *testing.T) {
	for name, text := range sshConfigs {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"web1"}, {"-l", "bob", "-p", "2222", "web1"}, {"::1"}} {
				spec := args[len(args)-1]
				if len(args) > 1 {
					spec = "bob@web1:2222"
				}
				sameAsSSH(t, file, spec, args)
			}
		})
	}
}

func sameAsSSH(t *testing.T, file, spec string, args []string) {
	t.Helper()
	out, err := exec.Command("ssh", append([]string{"-G", "-F", file}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		want[key] = append(want[key], value)
	}
	var stdout, stderr bytes.Buffer
	e := &env{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }}
	if status := e.execute([]string{"hosts", "-F", file, "--ssh", spec, "-o", "json"}); status != exitOK {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	var doc struct {
		Settings map[string][]struct {
			Value string
			File  string
			Line  int
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Settings) < 25 {
		t.Errorf("%d settings only", len(doc.Settings))
	}
	// Lists of algorithms are those of each program; ssh prints no host of its
	// own before 8.7, and has more default keys.
	skip := []string{"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms"}
	for key, list := range doc.Settings {
		var got []string
		set := false
		for _, v := range list {
			got = append(got, v.Value)
			set = set || v.File == file && v.Line > 0
		}
		switch {
		case slices.Contains(skip, key) || key == "identityfile" && !set:
		case want[key] == nil:
			t.Errorf("%s: ssh does not print %q", spec, key)
		case !slices.Equal(got, want[key]):
			t.Errorf("%s: %s %q, ssh %q", spec, key, got, want[key])
		}
	}
}
