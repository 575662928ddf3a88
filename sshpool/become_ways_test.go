package sshpool

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"fleet/internal/remote"
)

// ways is what a command can be asked to have beside another user, and what it
// then writes.
var ways = []struct {
	name    string
	text    string
	stdin   string
	tty     bool
	how     Supervision
	env     []string
	script  string
	want    string
	refused bool // where a terminal is needed to become the user
}{
	{name: "plain", text: "id -un; cat", want: "root\n"},
	{name: "stdin", text: "id -un; cat", stdin: "first\nrest", want: "root\nfirst\nrest", refused: true},
	{name: "tty", text: "id -un; test -t 0 && test -t 1 && echo terminal", tty: true, want: "root\r\nterminal\r\n"},
	{name: "cwd", text: "pwd; id -un", how: Supervision{Dir: "/usr/lib"}, want: "/usr/lib\nroot\n"},
	{name: "home", text: "pwd; echo $HOME", how: Supervision{Dir: "~"}, want: "/root\n/root\n"},
	{name: "shell", text: `id -un; echo ${BASH_VERSION:+bash}`, how: Supervision{Shell: "/bin/bash"}, want: "root\nbash\n"},
	{name: "env", text: `id -un; echo "$FLEET_A"`, env: []string{"FLEET_A=it's $x\nmore"}, want: "root\nit's $x\nmore\n"},
	{name: "script", script: "#!/bin/sh\nid -un; echo $1; cat\n", want: "root\na b\n"},
	{name: "script stdin", script: "#!/bin/sh\nid -un; echo $1; cat\n", stdin: "first\nrest", want: "root\na b\nfirst\nrest", refused: true},
	{name: "script tty", script: "#!/bin/bash\nid -un; test -t 0 && test -t 1 && echo terminal $1\n", tty: true, want: "root\r\nterminal a b\r\n"},
	{name: "all", script: "id -un; pwd; echo ${BASH_VERSION:+bash} $1 $FLEET_A; cat\n", stdin: "in", env: []string{"FLEET_A=x"},
		how: Supervision{Dir: "/usr/lib", Shell: "/bin/bash"}, want: "root\n/usr/lib\nbash a b x\nin", refused: true},
	{name: "all tty", script: "id -un; pwd; echo ${BASH_VERSION:+bash} $1 $FLEET_A; test -t 1 && echo terminal\n", tty: true, env: []string{"FLEET_A=x"},
		how: Supervision{Dir: "/usr/lib", Shell: "/bin/bash"}, want: "root\r\n/usr/lib\r\nbash a b x\r\nterminal\r\n"},
}

// TestBecomeWays has commands become root in each way that asks for a password or
// not, with each thing that a command can have.
func TestBecomeWays(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		for rules, becomes := range map[string][]Become{
			"asked": {{Method: "sudo", Password: secret(annPassword)}, {Method: "su", Password: secret(rootPassword)}, {Method: "doas", Password: secret(annPassword)}},
			"free":  {{Method: "sudo"}, {Method: "sudo", Password: secret(annPassword)}, {Method: "doas"}, {Method: "doas", Password: secret(annPassword)}},
		} {
			t.Run(name+"/"+rules, func(t *testing.T) {
				t.Parallel()
				s := becomeServer(t, start, becomeRules()[rules])
				c := mustDial(t, realTarget(t, s))
				for _, b := range becomes {
					for i := range ways {
						w := &ways[i]
						cmd := Command{Text: w.text, Become: &b, Supervise: &w.how}
						if w.stdin != "" {
							cmd.Stdin = strings.NewReader(w.stdin)
						}
						if w.tty {
							cmd.PTY, cmd.Stdin = &PTY{}, silence(t)
						}
						var out bytes.Buffer
						cmd.Payload, cmd.Stdout, cmd.Stderr = payloadOf(t, w.env, w.script, w.how.Shell), &out, &out
						r, err := c.Run(testContext(t), cmd)
						what := b.Method + "/" + w.name
						if w.refused && b.Method == "doas" && rules == "asked" {
							wantError(t, err, KindBecomeDenied, StageBecome)
							c = mustDial(t, realTarget(t, s))
							continue
						}
						if err != nil || out.String() != w.want || r.ExitCode != 0 {
							t.Errorf("%s, password %v: %q, want %q; %+v, %v", what, b.Password != nil, &out, w.want, r, err)
							c = mustDial(t, realTarget(t, s))
						}
					}
				}
			})
		}
	}
}

// payloadOf is what sets env and runs script with one argument.
func payloadOf(t *testing.T, env []string, script, shell string) string {
	t.Helper()
	payload, err := remote.Environment(env)
	if err != nil {
		t.Fatal(err)
	}
	if script == "" {
		return payload
	}
	text, err := remote.Script([]byte(script), shell, []string{"a b"})
	if err != nil {
		t.Fatal(err)
	}
	return payload + text
}

// silence is an input that says nothing until the test is over.
func silence(t *testing.T) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}
