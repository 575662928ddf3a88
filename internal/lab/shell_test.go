package lab

import (
	"context"
	"strings"
	"testing"
	"time"
)

// answer runs a line in the simulated shell of a host.
func answer(ctx context.Context, host, line, stdin string) (out, errs string, exit Exit) {
	l := &Lab{}
	h := &Host{Name: host, lab: l}
	var o, e strings.Builder
	exit = simulate(ctx, &Command{
		Host: h, User: "ops", Line: line, Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e,
	})
	return o.String(), e.String(), exit
}

func TestSimulatedShell(t *testing.T) {
	for _, c := range []struct {
		line, out, errs string
		status          int
	}{
		{line: "", out: ""},
		{line: "echo hi", out: "hi\n"},
		{line: "echo -n a  b", out: "a b"},
		{line: `echo 'a  b' "c  d" e\ f`, out: "a  b c  d e f\n"},
		{line: `echo "a'b" 'c"d' "\$HOME \"q\""`, out: "a'b c\"d $HOME \"q\"\n"},
		{line: `echo $HOSTNAME ${HOSTNAME}x '$HOSTNAME' $NONE end`, out: "web01 web01x $HOSTNAME end\n"},
		{line: "true"},
		{line: "false", status: 1},
		{line: "exit 7", status: 7},
		{line: "exit 7; echo never", status: 7},
		{line: "false; echo $?", out: "1\n"},
		{line: "false && echo no || echo yes", out: "yes\n"},
		{line: "true && echo yes || echo no", out: "yes\n"},
		{line: "true || echo no", status: 0},
		{line: "echo a;echo b\necho c # echo d", out: "a\nb\nc\n"},
		{line: "foo", errs: "sh: 1: foo: not found\n", status: 127},
		{line: "echo a >/dev/null; echo b 2>/dev/null", out: "b\n"},
		{line: "foo 2>&1", out: "sh: 1: foo: not found\n", status: 127},
		{line: "echo e >&2", errs: "e\n"},
		{line: "echo x > /etc/passwd", errs: "sh: 1: cannot create /etc/passwd: Read-only file system\n", status: 2},
		{line: "exec /bin/sh -c 'echo \"in\" && exit 3'", out: "in\n", status: 3},
		{line: "sh -c 'exit 3'; echo $?", out: "3\n"},
		{line: "A=1 B='2 3'; echo $A $B", out: "1 2 3\n"},
		{line: "lines 3", out: "line 1\nline 2\nline 3\n"},
		{line: "lines 1000 | wc -l", out: "1000\n"},
		{line: "lines 100000 | head -n 2", out: "line 1\nline 2\n"},
		{line: "lines 9 | grep 7 | cat", out: "line 7\n"},
		{line: "A=1 | A=2 | A=3 | echo $A", out: "\n"},
		{line: "lines 3 | tail -1", out: "line 3\n"},
		{line: "bytes 1M | wc -c", out: "1048576\n"},
		{line: "stderr 5", errs: "01234"},
		{line: "noise", out: noise},
		{line: `printf '%s-%s\n' a b c`, out: "a-b\nc-\n"},
		{line: `printf 'a\0b\377'`, out: "a\x00b\xff"},
		{line: "hostname", out: "web01\n"},
		{line: "whoami; id -u", out: "ops\n1000\n"},
		{line: "nproc", out: "4\n"},
		{line: "uname -r", out: newKernel + "\n"},
		{line: "systemctl is-active nginx", out: "active\n"},
		{line: "systemctl is-active nothing", out: "inactive\n", status: 4},
		{line: "nginx -v", errs: nginxText + "\n"},
		{line: "psql --version", errs: "sh: 1: psql: not found\n", status: 127},
		{line: "cat /etc/hostname", out: "web01\n"},
		{line: "cat /etc/shadow", errs: "cat: /etc/shadow: No such file or directory\n", status: 1},
		{line: "[ -f /etc/os-release ] && echo yes", out: "yes\n"},
		{line: "test a = b || echo differ", out: "differ\n"},
		{line: "echo 'open", errs: "sh: 1: Syntax error: unterminated quoted string\n", status: 2},
		{line: "echo $(id)", errs: "sh: 1: Syntax error: '(' unexpected (a host of the lab knows only simple commands)\n", status: 2},
	} {
		out, errs, exit := answer(t.Context(), "web01", c.line, "")
		if out != c.out || errs != c.errs || exit != (Exit{Status: c.status}) {
			t.Errorf("%q\n got %q, %q, %v\nwant %q, %q, %d", c.line, out, errs, exit, c.out, c.errs, c.status)
		}
	}
}

func TestSimulatedStdin(t *testing.T) {
	if out, _, _ := answer(t.Context(), "web01", "cat", "a\x00b"); out != "a\x00b" {
		t.Errorf("cat = %q", out)
	}
	if out, _, exit := answer(t.Context(), "web01", "sh -s", "echo a\nexit 4\necho b\n"); out != "a\n" || exit.Status != 4 {
		t.Errorf("sh -s = %q, %v", out, exit)
	}
}

// TestSomeHostsDiffer holds what makes grouping worth a look.
func TestSomeHostsDiffer(t *testing.T) {
	count := make(map[string]int)
	for _, name := range numbered("web", 12) {
		_, errs, _ := answer(t.Context(), name, "nginx -v", "")
		count[errs]++
	}
	if len(count) != 2 || count[nginxOld+"\n"] != 1 {
		t.Errorf("nginx versions of 12 web hosts: %v; want one old", count)
	}
	same := make(map[string]int)
	for _, name := range numbered("db", 4) {
		out, _, _ := answer(t.Context(), name, "cat /etc/os-release", "")
		same[out]++
	}
	if len(same) != 1 {
		t.Errorf("releases of the db hosts: %v; want one", same)
	}
}

func TestSignalEndsASleep(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { stop(signalError("TERM")) })
	if out, _, exit := answer(ctx, "web01", "sleep 1000; echo never", ""); out != "" || exit.Signal != "TERM" {
		t.Errorf("sleep under TERM = %q, %v", out, exit)
	}
}

// FuzzSimulatedShell wants no input to panic, hang or escape: what comes out is
// made of the input and of facts.
func FuzzSimulatedShell(f *testing.F) {
	for _, s := range []string{"echo 'a' \"$B\" | cat && x=1; foo 2>&1", "sh -c 'sh -c \"exit 1\"'", "a\\", "${", "$", "|", "&& x", "printf '%s' a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "yes") || strings.Contains(line, "bytes") || strings.Contains(line, "lines") || strings.Contains(line, "stderr") {
			return // may rightly go on for long
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, exit := answer(ctx, "web01", line, ""); exit.Status < 0 || exit.Status > 255 {
			t.Errorf("%q: status %d", line, exit.Status)
		}
	})
}
