package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program writes an executable script and gives its path.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScriptFailures(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ text, want string }{
		"status":  {"echo first >&2; printf 'no \\033[31mregion\\n' >&2; exit 3", "run inventory script with --list: exit status 3: no ?[31mregion"},
		"nothing": {"true", "status:1:1: no output, want JSON"},
		"text":    {"echo '{\"a\": ['; echo ' oops]}'", ":2:2: json: invalid character 'o' looking for beginning of value"},
		"host":    {`[ "$1" = --list ] && echo '{"a": ["h"]}' || { echo denied >&2; exit 1; }`, "run inventory script with --host: exit status 1: denied"},
		"slow":    {"sleep 1000 & echo $! >" + dir + "/pid; wait", "run inventory script with --list: took longer than 1s"},
		"chatty":  {"yes", "run inventory script with --list: wrote more than 1048576 bytes"},
		"left":    {"sleep 1000 & echo $! >" + dir + "/pid", "run inventory script with --list: ended and left a process behind that holds its output"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "chatty" {
				defer func(most int) { maxOutput = most }(maxOutput)
				maxOutput = 1 << 20
			}
			limit := time.Minute
			if name == "slow" {
				limit = time.Second
			}
			path := script(t, dir, name, test.text)
			want := strings.TrimPrefix(test.want, "status")
			_, err := Load(t.Context(), Options{ScriptLimit: limit}, path)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("%v, want %s", err, want)
			}
			if data, err := os.ReadFile(dir + "/pid"); err == nil {
				pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
				gone(t, pid)
				os.Remove(dir + "/pid")
			}
		})
	}
}

// gone wants a process to have ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

// A program that anybody could have written is not run.
func TestScriptPlaces(t *testing.T) {
	dir := t.TempDir()
	good := script(t, dir, "good", `echo '{"a": ["h"]}' >`+dir+`/ran; [ "$1" = --host ] && echo '{}' || cat `+dir+`/ran`)
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	inOpen := script(t, open, "s", "echo '{}'; touch "+dir+"/wrong")
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	writable := script(t, dir, "writable", "echo '{}'; touch "+dir+"/wrong")
	if err := os.Chmod(writable, 0o757); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(inOpen, link); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\necho '{}'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		inOpen: "anybody may write to " + open, writable: "anybody may write to " + writable, link: "anybody may write to " + open, plain: "it is not executable",
	} {
		if _, err := Load(t.Context(), Options{}, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := os.Stat(dir + "/wrong"); err == nil {
		t.Error("a program was run that anybody may write to")
	}
	t.Chdir(dir)
	for _, path := range []string{good, "good", "./good", "script:good"} {
		if r, err := Load(t.Context(), Options{}, path); err != nil || len(r.Inventory.Hosts()) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, test := range []struct {
		path, text string
		want       shape
	}{
		{"f", "hosts:\n  a:\n", shapeHostsYAML}, {"f", "all:\n  hosts:\n    a:\n", shapeAnsibleYAML}, {"f", "web:\n  hosts: {a: }\n", shapeAnsibleYAML},
		{"f", "---\n# c\nweb:\n  vars: {a: b}\n", shapeAnsibleYAML}, {"f", "host: {a: }\n", shapeHostsYAML}, {"f", "x-a: &a {}\nhosts: [a]\n", shapeHostsYAML},
		{"f", "{hosts: [a]}", shapeHostsYAML}, {"f", `{"all": {"hosts": {"a": null}}}`, shapeAnsibleYAML}, {"f", `{"a": ["h"]}`, shapeAnsibleJSON}, {"f", `{"_meta": {}}`, shapeAnsibleJSON},
		{"f", `{"a": {"hosts": ["h"]}}`, shapeAnsibleJSON}, {"f", `{"hosts": ["h"]}`, shapeHostsYAML},
		{"f", "a\nb\n", shapeINI}, {"f", "[web]\na\n", shapeINI}, {"f", "; c\n[web:vars]\n", shapeINI}, {"f", "a x='b: c'\n", shapeINI}, {"f", "web1:22 a=b\n", shapeINI}, {"f", "2001:db8::1\n", shapeINI},
		{"f", "[01:03].example.com x=1\n", shapeINI}, {"f.ini", "hosts: x\n", shapeINI}, {"f.yml", "[a]\n", shapeOther}, {"f", "", shapeOther}, {"f", "# only\n", shapeOther},
		{"f", "\ufeff[web]\na\n", shapeINI}, {"f", "web :\n  hosts:\n    a:\n", shapeINI}, {"f", "'web': {hosts: {a: }}\n", shapeAnsibleYAML}, {"f", "defaults: {user: x}\ngroups: {}\n", shapeHostsYAML},
		{"f", "plugin: aws_ec2\n", shapeAnsibleYAML},
	} {
		if got := shapeOf(test.path, []byte(test.text)); got != test.want {
			t.Errorf("%s %q: shape %d, want %d", test.path, test.text, got, test.want)
		}
	}
	for _, text := range []string{"all:\n  hosts:\n    a:\n", "web:\n  vars:\n    x: 1\n  hosts:\n    a:\n", "hosts:\n  a: {vars: {hosts: 1}}\n", "defaults:\n  user: x\nhosts:\n  b:\n", "web:\n  # c\n  hosts:\n    a:\n"} {
		if whole, lines := yamlShape([]byte(text)), blockShape([]byte(text)); whole != lines {
			t.Errorf("%q: parsed it is %d, by its lines %d", text, whole, lines)
		}
	}
}

func FuzzShape(f *testing.F) {
	for _, seed := range []string{"a: b", "{", "[", "'", "\"a\": ", "---\n- a", "a :\n", "\ufeff", "{\"a\": [1]}", "x\x00"} {
		f.Add("f", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		shapeOf(path, data)
		blockShape(data)
		ignored.MatchString(path)
	})
}
