package lab

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// systemCommand finds what asks a host about itself.
func systemCommand(name string) func(*invocation) int {
	switch name {
	case "hostname":
		return func(v *invocation) int { return v.say(v.sh.host.Name + "\n") }
	case "whoami":
		return func(v *invocation) int { return v.say(v.sh.user + "\n") }
	case "id":
		return (*invocation).id
	case "uname":
		return (*invocation).uname
	case "uptime":
		return fact(func(f *facts) string { return f.uptime(time.Now()) })
	case "date":
		return (*invocation).date
	case "ip":
		return (*invocation).ip
	case "nproc":
		return fact(func(f *facts) string { return strconv.Itoa(f.cpus) + "\n" })
	case "df":
		return func(v *invocation) int {
			f := v.sh.host.facts()
			switch v.arg(0) {
			case "-Pk", "-Pkl":
				return v.say(f.dfPosix(1 << 20))
			case "-Pi":
				return v.say(f.dfPosix(1 << 16))
			}
			return v.say(f.df())
		}
	case "free":
		return fact((*facts).free)
	case "ps":
		return fact((*facts).ps)
	case "ls":
		return (*invocation).ls
	case "pwd":
		return func(v *invocation) int { return v.say(v.sh.lookup("PWD") + "\n") }
	case "systemctl":
		return (*invocation).systemctl
	case "nginx", "psql", "redis-server", "app", "sshd":
		return (*invocation).version
	}
	return nil
}

func fact(text func(*facts) string) func(*invocation) int {
	return func(v *invocation) int {
		f := v.sh.host.facts()
		return v.say(text(&f))
	}
}

func (v *invocation) id() int {
	user := v.sh.user
	if v.has("-u") {
		return v.say("1000\n")
	}
	return v.say(fmt.Sprintf("uid=1000(%s) gid=1000(%s) groups=1000(%s)\n", user, user, user))
}

func (v *invocation) uname() int {
	f := v.sh.host.facts()
	switch v.arg(0) {
	case "-a":
		return v.say(fmt.Sprintf("Linux %s %s #1 SMP PREEMPT_DYNAMIC Debian x86_64 GNU/Linux\n", v.sh.host.Name, f.release))
	case "-r":
		return v.say(f.release + "\n")
	case "-n":
		return v.say(v.sh.host.Name + "\n")
	case "-m":
		return v.say("x86_64\n")
	}
	return v.say("Linux\n")
}

// ip is `ip -o addr show`.
func (v *invocation) ip() int {
	addr := v.sh.host.Address
	return v.say("1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n" +
		"2: eth0    inet 10" + addr[strings.IndexByte(addr, '.'):] + "/8 scope global eth0\\       valid_lft forever\n")
}

func (v *invocation) date() int {
	now := time.Now().UTC()
	switch v.arg(0) {
	case "+%s":
		return v.say(strconv.FormatInt(now.Unix(), 10) + "\n")
	case "+%F":
		return v.say(now.Format("2006-01-02\n"))
	}
	return v.say(now.Format("Mon Jan _2 15:04:05 UTC 2006\n"))
}

func (v *invocation) ls() int {
	dir := v.arg(len(v.args) - 1)
	if len(v.args) == 0 || strings.HasPrefix(dir, "-") {
		return v.say("deploy.log\nnotes.txt\n")
	}
	if dir == "/" {
		return v.say("bin\nboot\ndev\netc\nhome\nproc\nroot\nsrv\nsys\ntmp\nusr\nvar\n")
	}
	if _, ok := v.sh.host.file(dir); ok {
		return v.say(dir + "\n")
	}
	return v.complain(2, "ls: cannot access '%s': No such file or directory\n", dir)
}

// systemctl knows is-active and status; 3 and 4 are the statuses of an
// inactive and an unknown unit (LSB).
func (v *invocation) systemctl() int {
	f := v.sh.host.facts()
	s, ok := f.service(v.arg(1))
	switch {
	case v.arg(0) != "is-active" && v.arg(0) != "status":
		return v.complain(1, "Access denied\n")
	case ok && s.active:
		return v.say("active\n")
	case ok:
		v.say("failed\n")
		return 3
	}
	v.say("inactive\n")
	return 4
}

// version answers nginx -v and its like, where the host has the program.
func (v *invocation) version() int {
	f := v.sh.host.facts()
	unit := map[string]string{"psql": "postgresql", "sshd": "ssh"}[v.name]
	if unit == "" {
		unit = v.name
	}
	s, ok := f.service(unit)
	if !ok {
		return v.complain(127, "sh: 1: %s: not found\n", v.name)
	}
	if v.name == "nginx" || v.name == "sshd" {
		v.stdout = v.stderr // as these do
	}
	return v.say(s.versionText + "\n")
}

// filterCommand finds what reads stdin.
func filterCommand(name string) func(*invocation) int {
	switch name {
	case "cat":
		return (*invocation).cat
	case "head", "tail":
		return (*invocation).ends
	case "wc":
		return (*invocation).wc
	case "grep":
		return (*invocation).grep
	}
	return nil
}

func (v *invocation) cat() int {
	status := 0
	if len(v.args) == 0 || v.arg(0) == "-" {
		if _, err := io.Copy(v.stdout, v.stdin); err != nil {
			return 141
		}
	}
	for _, a := range v.args {
		if a == "-" {
			continue
		}
		text, ok := v.sh.host.file(a)
		if !ok {
			status = v.complain(1, "cat: %s: No such file or directory\n", a)
			continue
		}
		v.say(text)
	}
	return status
}

// ends is head and tail, with -n N or -N.
func (v *invocation) ends() int {
	n := 10
	for _, a := range v.args {
		if x, err := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(a, "-n"), "-")); err == nil {
			n = x
		}
	}
	var kept []string
	lines := bufio.NewScanner(v.stdin)
	for lines.Scan() {
		if v.name == "head" && len(kept) == n {
			break
		}
		kept = append(kept, lines.Text()+"\n")
		if len(kept) > n {
			kept = kept[1:]
		}
	}
	return v.say(strings.Join(kept, ""))
}

func (v *invocation) wc() int {
	var lines, size int64
	buf := make([]byte, 32<<10)
	for {
		n, err := v.stdin.Read(buf)
		size += int64(n)
		lines += int64(strings.Count(string(buf[:n]), "\n"))
		if err != nil {
			break
		}
	}
	switch v.arg(0) {
	case "-l":
		return v.say(strconv.FormatInt(lines, 10) + "\n")
	case "-c":
		return v.say(strconv.FormatInt(size, 10) + "\n")
	}
	return v.say(fmt.Sprintf("%7d %7d\n", lines, size))
}

// grep finds lines that hold one of some fixed texts, in stdin or in a file
// behind texts that are given by -e.
func (v *invocation) grep() int {
	wants, from, status := []string{v.arg(len(v.args) - 1)}, v.stdin, 1
	if v.has("-e") {
		text, ok := v.sh.host.file(wants[0])
		if !ok {
			return v.complain(2, "grep: %s: No such file or directory\n", wants[0])
		}
		wants, from = nil, strings.NewReader(text)
		for i, a := range v.args[1:] {
			if v.args[i] == "-e" {
				wants = append(wants, a)
			}
		}
	}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		found := slices.ContainsFunc(wants, func(want string) bool { return strings.Contains(lines.Text(), want) })
		if found != v.has("-v") {
			status = 0
			v.say(lines.Text() + "\n")
		}
	}
	return status
}
