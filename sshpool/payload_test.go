package sshpool

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleet/internal/remote"
	"fleet/internal/sshtest"
)

// scripts are those that hosts run, and what they write.
var scripts = []struct{ name, text, want string }{
	{"sh", "echo \"$0 $# $1|$2\"\ncat\necho end", "/dev/fd/9 2 a b|it's\nend\n"},
	{"bash", "#!/bin/bash\nx=($@)\necho \"${#x[@]}\"; echo \"$FLEET_A\"", "3\nb 'c' $d\\\n"},
	{"one argument", "#!/bin/sh -eu\nfalse\necho not reached", ""},
	{"env", "#!/usr/bin/env perl\nprint \"perl @ARGV\\n\";\n", "perl a b it's\n"},
	{"python", "#!/usr/bin/python3\nimport sys, os\nprint(sys.argv[1:], repr(sys.stdin.read()), os.environ['FLEET_A'])", "['a b', \"it's\"] '' b 'c' $d\\\n"},
	{"quotes", "cat <<'FLEET_END'\n'\"$x`\\\nFLEET_END\n", "'\"$x`\\\n"},
	{"big", "#!/bin/sh\n" + strings.Repeat(": "+strings.Repeat("x", 120)+"\n", 4000) + "echo big\n", "big\n"},
}

// TestPayload runs scripts with arguments and variables, as the login user and as
// another.
func TestPayload(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := becomeServer(t, start, becomeRules()["tty"])
			for _, become := range []*Become{nil, {Password: secret(annPassword)}} {
				for _, script := range scripts {
					t.Run(fmt.Sprintf("%s/become=%v", script.name, become != nil), func(t *testing.T) {
						vars, err := remote.Environment([]string{"FLEET_A=b 'c' $d\\"})
						if err != nil {
							t.Fatal(err)
						}
						text, err := remote.Script([]byte(script.text), "", []string{"a b", "it's"})
						if err != nil {
							t.Fatal(err)
						}
						var out, errs bytes.Buffer
						r, err := mustDial(t, realTarget(t, s)).Run(testContext(t), Command{Text: script.name, Payload: vars + text, Become: become, Stdout: &out, Stderr: &errs})
						if err != nil || out.String() != script.want || errs.Len() > 0 || (r.ExitCode != 0) != (script.name == "one argument") {
							t.Errorf("%q, %q, %+v, %v, want %q", &out, &errs, r, err, script.want)
						}
					})
				}
			}
		})
	}
}

// TestPayloadAndInput has a command with variables read what it is sent, in a
// folder and with a shell of its own, and on a terminal.
func TestPayloadAndInput(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := mustDial(t, realTarget(t, s))
			vars, err := remote.Environment([]string{"FLEET_A=1", "FLEET_B=two words"})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			in := strings.Repeat("x", 1<<20)
			r, err := c.Run(testContext(t), Command{Text: `echo "$FLEET_A $FLEET_B $PWD ${BASH_VERSION:+bash}"; wc -c`, Payload: vars,
				Supervise: &Supervision{Dir: "/usr/lib", Shell: "/bin/bash"}, Stdin: strings.NewReader(in), Stdout: &out})
			if err != nil || out.String() != "1 two words /usr/lib bash\n1048576\n" {
				t.Errorf("%q, %+v, %v", &out, r, err)
			}
			out.Reset()
			r, err = c.Run(testContext(t), Command{Text: `test -t 0 && test -t 1 && echo "terminal $FLEET_B"`, Payload: vars, Supervise: &Supervision{}, PTY: &PTY{}, Stdout: &out})
			if err != nil || out.String() != "terminal two words\r\n" {
				t.Errorf("%q, %+v, %v", &out, r, err)
			}
			_, err = c.Run(testContext(t), Command{Text: "true", Supervise: &Supervision{Shell: "/no/such/shell"}})
			if e := wantError(t, err, KindNotFound, StageCommand); e.Text != `no such shell: "/no/such/shell"` {
				t.Errorf("text %q", e.Text)
			}
			_, err = c.Run(testContext(t), Command{Text: "true", Supervise: &Supervision{Dir: "/no/such/folder"}})
			if e := wantError(t, err, KindPermission, StageCommand); e.Text != `no such folder, or no way into it: "/no/such/folder"` {
				t.Errorf("%q", e.Text)
			}
			s.WaitCommands(0, 30*time.Second)
		})
	}
}

// TestPayloadIsHidden looks for a variable's value in the arguments of all that
// runs on the host meanwhile.
func TestPayloadIsHidden(t *testing.T) {
	s := sshtest.OpenSSH(t)
	c := mustDial(t, realTarget(t, s))
	vars, err := remote.Environment([]string{"TOKEN=not-to-be-seen"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []sshtest.Process
	cmd := supervise("echo up; sleep 0.3; test ${#TOKEN} = 14")
	cmd.Payload = vars
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		seen = append(s.Tree(), s.Commands()...)
		return len(p), nil
	})
	if r, err := c.Run(testContext(t), cmd); err != nil || r.ExitCode != 0 || len(seen) < 4 {
		t.Errorf("%+v, %v, %d processes", r, err, len(seen))
	}
	for _, p := range seen {
		if strings.Contains(p.Command, "not-to-be-seen") {
			t.Errorf("%+v", p)
		}
	}
}

// TestPayloadNames sets variables that have the names of the supervisor's own, and
// those by which a shell finds and splits words.
func TestPayloadNames(t *testing.T) {
	env := []string{"IFS=/e", "PATH=/nowhere"}
	var names, want strings.Builder
	for c := 'A'; c <= 'z'; c++ {
		if c > 'Z' && c < 'a' {
			continue
		}
		env = append(env, fmt.Sprintf("_%c=value of %c", c, c))
		fmt.Fprintf(&names, "$_%c,", c)
		fmt.Fprintf(&want, "value of %c,", c)
	}
	vars, err := remote.Environment(env)
	if err != nil {
		t.Fatal(err)
	}
	script, err := remote.Script([]byte("echo \""+names.String()+"\"\n"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := becomeServer(t, start, becomeRules()["free"])
			c := mustDial(t, realTarget(t, s))
			for _, become := range []*Become{nil, {}} {
				for _, payload := range []string{vars, vars + script} {
					var out, errs bytes.Buffer
					r, err := c.Run(testContext(t), Command{Text: "echo \"" + names.String() + "\"", Payload: payload, Become: become,
						Supervise: &Supervision{}, Stdout: &out, Stderr: &errs})
					if err != nil || out.String() != want.String()+"\n" || errs.Len() > 0 {
						t.Errorf("become %v, script %v: %q, %q, %+v, %v", become != nil, payload != vars, &out, &errs, r, err)
					}
				}
			}
		})
	}
}
