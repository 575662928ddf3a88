package lab

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// invocation is one simple command about to run.
type invocation struct {
	sh   *interpreter
	name string
	args []string // without the name
	streams
}

// arg is the i-th argument, or empty.
func (v *invocation) arg(i int) string {
	if i >= 0 && i < len(v.args) {
		return v.args[i]
	}
	return ""
}

func (v *invocation) has(word string) bool {
	for _, a := range v.args {
		if a == word {
			return true
		}
	}
	return false
}

func (v *invocation) say(text string) int {
	if _, err := io.WriteString(v.stdout, text); err != nil {
		return 141 // as after SIGPIPE
	}
	return 0
}

func (v *invocation) complain(status int, format string, args ...any) int {
	fmt.Fprintf(v.stderr, format, args...)
	return status
}

// command runs one command and gives its exit status.
func (in *interpreter) command(args []string, std streams) int {
	v := &invocation{sh: in, name: path.Base(args[0]), args: args[1:], streams: std}
	for _, find := range commandFinders() {
		if run := find(v.name); run != nil {
			return run(v)
		}
	}
	return v.complain(127, "sh: 1: %s: not found\n", args[0])
}

func commandFinders() []func(string) func(*invocation) int {
	return []func(string) func(*invocation) int{shellCommand, systemCommand, filterCommand, loadCommand}
}

// shellCommand finds what a shell does by itself.
func shellCommand(name string) func(*invocation) int {
	switch name {
	case "true", ":", "set", "cd", "trap", "wait", "umask", "export", "unset", "sync":
		return func(*invocation) int { return 0 }
	case "false":
		return func(*invocation) int { return 1 }
	case "exit":
		return (*invocation).exit
	case "echo":
		return (*invocation).echo
	case "printf":
		return (*invocation).printf
	case "sleep":
		return (*invocation).sleep
	case "exec", "command", "env", "nohup", "setsid", "sudo":
		return (*invocation).inner
	case "sh", "bash", "dash":
		return (*invocation).shell
	case "test", "[":
		return (*invocation).test
	}
	return nil
}

func (v *invocation) exit() int {
	v.sh.over = true
	if len(v.args) == 0 {
		return v.sh.status
	}
	n, err := strconv.Atoi(v.args[0])
	if err != nil || n < 0 {
		return v.complain(2, "sh: 1: exit: Illegal number: %s\n", v.args[0])
	}
	return n & 0xff
}

func (v *invocation) echo() int {
	args, end := v.args, "\n"
	if v.arg(0) == "-n" {
		args, end = args[1:], ""
	}
	return v.say(strings.Join(args, " ") + end)
}

// printf knows %s, %d, %% and the escapes \n, \t, \r, \\ and \NNN.
func (v *invocation) printf() int {
	var b strings.Builder
	rest := v.args
	next := func() string {
		if len(rest) == 0 {
			return ""
		}
		s := rest[0]
		rest = rest[1:]
		return s
	}
	format := next()
	for {
		before := len(rest)
		for i := 0; i < len(format); i++ {
			switch c := format[i]; {
			case c == '%' && i+1 < len(format):
				i++
				switch format[i] {
				case '%':
					b.WriteByte('%')
				default:
					b.WriteString(next())
				}
			case c == '\\' && i+1 < len(format):
				text, n := unescape(format[i+1:])
				b.WriteString(text)
				i += n
			default:
				b.WriteByte(c)
			}
		}
		if len(rest) == 0 || len(rest) == before {
			return v.say(b.String())
		}
	}
}

// unescape reads what stands behind a backslash.
func unescape(s string) (text string, n int) {
	switch s[0] {
	case 'n':
		return "\n", 1
	case 't':
		return "\t", 1
	case 'r':
		return "\r", 1
	case '\\':
		return `\`, 1
	}
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
		n++
	}
	if n == 0 {
		return `\` + s[:1], 1
	}
	code, _ := strconv.ParseUint(s[:n], 8, 16)
	return string([]byte{byte(code)}), n
}

func (v *invocation) sleep() int {
	text := v.arg(0)
	if text == "infinity" {
		<-v.sh.ctx.Done()
		return 143
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil {
		return v.complain(1, "sleep: invalid time interval '%s'\n", text)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return 0
	case <-v.sh.ctx.Done():
		return 143
	}
}

// inner runs the command behind exec, env, sudo and the like.
func (v *invocation) inner() int {
	args := v.args
	if v.name == "command" && v.arg(0) == "-v" {
		return v.where(v.arg(1))
	}
	for len(args) > 0 && (strings.HasPrefix(args[0], "-") || v.name == "env" && strings.Contains(args[0], "=")) {
		args = args[1:]
	}
	if len(args) == 0 {
		return 0
	}
	status := v.sh.command(args, v.streams)
	if v.name == "exec" {
		v.sh.over = true
	}
	return status
}

// where is `command -v`: the path of a program that the host has.
func (v *invocation) where(name string) int {
	for _, find := range commandFinders() {
		if find(name) != nil {
			return v.say("/usr/bin/" + name + "\n")
		}
	}
	switch name {
	case "sha256sum", "su", "tar", "apt-get":
		return v.say("/usr/bin/" + name + "\n")
	}
	return 127
}

// shell runs sh -c TEXT, or commands from stdin.
func (v *invocation) shell() int {
	in := &interpreter{ctx: v.sh.ctx, host: v.sh.host, user: v.sh.user, vars: v.sh.vars, depth: v.sh.depth + 1}
	if in.depth > 20 {
		return v.complain(2, "sh: 1: too many shells\n")
	}
	for i, a := range v.args {
		if strings.HasPrefix(a, "-") && strings.HasSuffix(a, "c") {
			in.script(v.arg(i+1), v.streams)
			return in.status
		}
	}
	in.session(v.streams, false)
	return in.status
}

// test knows -n, -z, =, != and -e, -f, -r of the files that there are.
func (v *invocation) test() int {
	args := v.args
	if v.name == "[" && v.arg(len(args)-1) == "]" {
		args = args[:len(args)-1]
	}
	yes := false
	switch len(args) {
	case 1:
		yes = args[0] != ""
	case 2:
		switch args[0] {
		case "-n":
			yes = args[1] != ""
		case "-z":
			yes = args[1] == ""
		default:
			_, yes = v.sh.host.file(args[1])
		}
	case 3:
		yes = (args[0] == args[2]) == (args[1] == "=")
	}
	if yes {
		return 0
	}
	return 1
}

// loadCommand finds the makers of output.
func loadCommand(name string) func(*invocation) int {
	switch name {
	case "lines":
		return (*invocation).lines
	case "bytes":
		return func(v *invocation) int { return v.bytes(v.stdout) }
	case "stderr":
		return func(v *invocation) int { return v.bytes(v.stderr) }
	case "noise":
		return func(v *invocation) int { return v.say(noise) }
	case "yes":
		return (*invocation).yes
	}
	return nil
}

// lines writes "line 1" to "line N".
func (v *invocation) lines() int {
	var err error
	n := value{v.arg(0), &err}.count()
	if err != nil {
		return v.complain(2, "lines: %v\n", err)
	}
	w := bufio.NewWriterSize(v.stdout, 32<<10)
	for i := int64(1); i <= n; i++ {
		if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
			return 141
		}
	}
	if w.Flush() != nil {
		return 141
	}
	return 0
}

// bytes writes N bytes in lines of 64.
func (v *invocation) bytes(to io.Writer) int {
	var err error
	n := value{v.arg(0), &err}.bytes()
	if err != nil {
		return v.complain(2, "%s: %v\n", v.name, err)
	}
	if _, err := io.CopyN(to, &pattern{}, n); err != nil {
		return 141
	}
	return 0
}

// pattern is an endless stream of lines of 64 bytes.
type pattern struct{ at int }

const patternLine = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+\n"

func (p *pattern) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		m := copy(b[n:], patternLine[p.at:])
		n += m
		p.at = (p.at + m) % len(patternLine)
	}
	return len(b), nil
}

func (v *invocation) yes() int {
	block := strings.Repeat("y\n", 8<<10)
	for v.sh.ctx.Err() == nil {
		if v.say(block) != 0 {
			break
		}
	}
	return 141
}
