package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
)

const hostsFile = `
hosts:
  web[01-05]: {}
  db[1-2]: {}
groups:
  web: {hosts: ["web[01-05]"]}
  failed: {hosts: [db1]}
`

func newSession(t testing.TB, pattern string) *Session {
	t.Helper()
	inv, err := inventory.Parse("hosts.yaml", []byte(hostsFile))
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := inv.Select(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return NewSession(inv, hosts)
}

// TestTargets plays lines one after the other on the same session.
func TestTargets(t *testing.T) {
	s := newSession(t, "web")
	for _, step := range []struct{ line, want, err string }{
		{"@failed", "", "no command was run yet"},
		{"+db1", "db1,web[01-05]", ""},
		{"+db1", "db1,web[01-05]", ""},
		{"!web[02-04]", "db1,web[01,05]", ""},
		{"-web02", "", "no host of web02 is in the target set"},
		{"-*", "", "no host would be left"},
		{"-nosuch", "", `no host or group "nosuch"`},
		{"@db*", "db[1-2]", ""},
		{"@web&db*", "", "no host is in web&db*"},
		{"@@failed", "db1", ""},
		{"@all", "web[01-05]", ""},
	} {
		a, err := Parse(step.line)
		if err != nil {
			t.Fatal(err)
		}
		before := s.Fold()
		hosts, err := s.Target(a)
		if err == nil {
			s.Use(hosts)
		}
		if step.err != "" && (err == nil || !strings.Contains(err.Error(), step.err) || s.Fold() != before) {
			t.Errorf("%s: %s, %v; want the set to stay and an error that holds %q", step.line, s.Fold(), err, step.err)
		}
		if step.err == "" && (err != nil || s.Fold() != step.want) {
			t.Errorf("%s: %s, %v; want %s", step.line, s.Fold(), err, step.want)
		}
	}
}

// TestFailedAndStatus ends a command in different ways.
func TestFailedAndStatus(t *testing.T) {
	s := newSession(t, "web")
	if got := s.Status(func(string) bool { return false }); !strings.HasPrefix(got, "no command was run yet\n") {
		t.Errorf("status is %q", got)
	}
	s.Began("make \x1b[31mit")
	end := func(host string, o scheduler.Outcome, text string) {
		r := event.Result{Host: host, Outcome: o}
		if o != scheduler.OK {
			r.Cause = &scheduler.Cause{Text: text}
		}
		s.Ended(r)
	}
	end("web01", scheduler.OK, "")
	end("web04", scheduler.OK, "")
	end("web02", scheduler.Failed, "exit status 2")
	end("web03", scheduler.Failed, "exit status 2")
	want := `last command: make it
  ok 2: web[01,04]
  failed 2: web[02-03]: exit status 2
  skipped 1: web05
connected: 4, web[01-04]
not connected: 1, web05`
	if got := s.Status(func(host string) bool { return host != "web05" }); got != want {
		t.Errorf("status is\n%s\nwant\n%s", got, want)
	}
	hosts, err := s.Target(Failed{})
	if err != nil || foldHosts(hosts) != "web[02-03,05]" {
		t.Errorf("failed are %s, %v", foldHosts(hosts), err)
	}
	s.Use(hosts)
	s.Began("true")
	for _, h := range hosts {
		end(h.Name, scheduler.OK, "")
	}
	if _, err := s.Target(Failed{}); err == nil || err.Error() != "all hosts ended ok at the last command" {
		t.Errorf("failed after success: %v", err)
	}
	if line, err := s.Last(); err != nil || line != "true" {
		t.Errorf("last is %q, %v", line, err)
	}
}

func TestPrompt(t *testing.T) {
	s := newSession(t, "web")
	s.Chdir(Dir{"/var/log"})
	if got := s.Prompt(); got != "web[01-05] (5) /var/log> " {
		t.Errorf("prompt is %q", got)
	}
	s.Chdir(Dir{})
	s.fold = strings.Repeat("w", 100)
	if got := s.Prompt(); got != strings.Repeat("w", promptSet-1)+"… (5)> " {
		t.Errorf("prompt is %q", got)
	}
}

func TestChdir(t *testing.T) {
	s := newSession(t, "web")
	for _, step := range []struct{ to, dir, sent string }{
		{"..", "..", "cd .. || exit; x"},
		{"", "", "x"},
		{"logs", "./logs", "cd ./logs || exit; x"},
		{"-", "", "x"},
		{"-", "./logs", "cd ./logs || exit; x"},
		{"../..", "..", "cd .. || exit; x"},
		{"/var//log/", "/var/log", "cd /var/log || exit; x"},
		{"../a b", "/var/a b", "cd '/var/a b' || exit; x"},
		{"~", "~", "cd ~ || exit; x"},
		{"it's", "~/it's", `cd ~/'it'\''s' || exit; x`},
		{"..", "~", "cd ~ || exit; x"},
		{"..", "~/..", "cd ~/.. || exit; x"},
		{"~www/htdocs", "~www/htdocs", "cd ~www/htdocs || exit; x"},
		{"~$(id)/x", "~$(id)/x", "cd './~$(id)/x' || exit; x"},
		{"/a/-b;c", "/a/-b;c", "cd '/a/-b;c' || exit; x"},
		{"/../..", "/", "cd / || exit; x"},
	} {
		s.Chdir(Dir{step.to})
		if s.Dir() != step.dir || s.Compose("x") != step.sent {
			t.Errorf(":cd %s is in %q and sends %q; want %q and %q", step.to, s.Dir(), s.Compose("x"), step.dir, step.sent)
		}
	}
}

// TestComposeInShells runs composed commands by real shells: a folder that is
// there is entered, whatever its name; where there is none, nothing of the line
// runs, also behind ; and ||.
func TestComposeInShells(t *testing.T) {
	home := t.TempDir()
	names := []string{"plain", "-dash", "it's $HOME", "a;b", "~tilde", "#hash", "é\"*"}
	for _, shell := range [][]string{{"sh"}, {"bash"}, {"busybox", "sh"}} {
		path, err := exec.LookPath(shell[0])
		if err != nil {
			t.Logf("%s is not installed", shell[0])
			continue
		}
		run := func(s *Session, line string) string {
			cmd := exec.Command(path, append(shell[1:], "-c", s.Compose(line))...)
			cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
			out, _ := cmd.Output() // the status is part of what is run
			return string(out)
		}
		for _, name := range names {
			if err := os.MkdirAll(filepath.Join(home, name), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"./" + name, filepath.Join(home, name), "~/" + name} {
				s := newSession(t, "web")
				s.Chdir(Dir{to})
				if got, want := run(s, "pwd"), filepath.Join(home, name)+"\n"; got != want {
					t.Errorf("%v: in %q pwd says %q, want %q", shell, to, got, want)
				}
			}
		}
		s := newSession(t, "web")
		s.Chdir(Dir{"/no/such/folder"})
		for _, line := range []string{"echo ran", "false || echo ran; echo ran", "echo ran & wait", "\necho ran"} {
			if got := run(s, line); got != "" {
				t.Errorf("%v: without the folder %q says %q", shell, line, got)
			}
		}
	}
}

func TestComplete(t *testing.T) {
	named := func(prefix string) []string {
		return startingWith([]string{"web", "web01", "web02", "db1", "a-b"}, prefix)
	}
	for _, c := range []struct{ line, want string }{
		{":sta|", ":status|"},
		{":h|", ":h|"},
		{":output gr|", ":output group|"},
		{"@d|", "@db1|"},
		{"@fa|", "@failed|"},
		{"@web0|", "@web0|"},
		{"@db1,w|", "@db1,web|"},
		{"@web!a|", "@web!a-b|"},
		{"-a-|", "-a-b|"},
		{"+d| x", "+db1| x"},
		{"uptime|", "uptime|"},
		{"|", "|"},
		{"cat d|", "cat d|"},
	} {
		before, after, _ := strings.Cut(c.line, "|")
		line, pos, ok := Complete(before+after, len(before), named, []string{"live", "group"})
		got := c.line
		if ok {
			got = line[:pos] + "|" + line[pos:]
		}
		if got != c.want {
			t.Errorf("%s becomes %s, want %s", c.line, got, c.want)
		}
	}
}
