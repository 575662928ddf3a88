package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// The simulated shell reads a small part of sh(1): words with quotes and
// variables, NAME=value before a command, the operators ; & && || | and
// newline, and redirections between stdout, stderr and /dev/null. Commands are
// those of commands.go; nothing of the real machine is run, read or written.

// simulate is the Shell of a simulated host.
func simulate(ctx context.Context, c *Command) Exit {
	in := &interpreter{ctx: ctx, host: c.Host, user: c.User, vars: map[string]string{}}
	for _, kv := range c.Env {
		name, v, _ := strings.Cut(kv, "=")
		in.vars[name] = v
	}
	std := streams{c.Stdin, c.Stdout, c.Stderr}
	if c.Interactive {
		in.session(std, c.TTY)
	} else {
		in.script(c.Line, std)
	}
	var sig signalError
	switch {
	case errors.As(context.Cause(ctx), &sig):
		return Exit{Signal: string(sig)}
	case ctx.Err() != nil:
		return Exit{Signal: "HUP"}
	}
	return Exit{Status: in.status}
}

// streams are what a command reads and writes.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// interpreter is one running shell.
type interpreter struct {
	ctx    context.Context
	host   *Host
	user   string
	vars   map[string]string
	status int  // of the last command: $?
	over   bool // exit was called, or the client is gone
	depth  int  // shells above this one
}

// session reads commands from stdin, as a shell without -c does.
func (in *interpreter) session(std streams, tty bool) {
	prompt := func() {
		if tty {
			fmt.Fprintf(std.stdout, "%s@%s:~$ ", in.user, in.host.Name)
		}
	}
	lines := bufio.NewScanner(std.stdin)
	for prompt(); !in.over && lines.Scan(); prompt() {
		in.script(lines.Text(), std)
	}
}

// script runs a whole command line and leaves its status in in.status.
func (in *interpreter) script(line string, std streams) {
	tokens, err := lex(line)
	if err != nil {
		fmt.Fprintf(std.stderr, "sh: 1: Syntax error: %v\n", err)
		in.status = 2
		return
	}
	skip := false // by && or ||
	for len(tokens) > 0 && !in.over {
		end := 0
		for end < len(tokens) && (!tokens[end].operator || tokens[end].text == "|" || tokens[end].redirects()) {
			end++
		}
		if !skip && end > 0 {
			in.pipeline(tokens[:end], std)
		}
		if in.ctx.Err() != nil {
			in.over = true
		}
		if end == len(tokens) {
			return
		}
		switch tokens[end].text {
		case "&&":
			skip = in.status != 0
		case "||":
			skip = in.status == 0
		default:
			skip = false
		}
		tokens = tokens[end+1:]
	}
}

// pipeline runs commands joined by |, each but the last on a goroutine and in
// a shell of its own; the status is that of the last.
func (in *interpreter) pipeline(tokens []token, std streams) {
	for i, t := range tokens {
		if !t.operator || t.text != "|" {
			continue
		}
		r, w := io.Pipe()
		left := &interpreter{ctx: in.ctx, host: in.host, user: in.user, vars: maps.Clone(in.vars), depth: in.depth}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			left.simple(tokens[:i], streams{std.stdin, w, std.stderr})
			w.Close()
		}()
		in.pipeline(tokens[i+1:], streams{r, std.stdout, std.stderr})
		r.Close()
		<-ended
		return
	}
	in.simple(tokens, std)
}

// simple runs one command with its assignments and redirections.
func (in *interpreter) simple(tokens []token, std streams) {
	var args []string
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if t.operator {
			if i++; i == len(tokens) || tokens[i].operator {
				fmt.Fprintf(std.stderr, "sh: 1: Syntax error: redirection unexpected\n")
				in.status = 2
				return
			}
			if !std.redirect(t.text, in.expand(tokens[i].text), &in.status) {
				return
			}
			continue
		}
		if len(args) == 0 {
			if name, v, ok := strings.Cut(t.text, "="); ok && isName(name) {
				in.vars[name] = in.expand(v)
				continue
			}
		}
		word := in.expand(t.text)
		if word == "" && !strings.ContainsAny(t.text, `'"`) {
			continue // an unquoted variable that is empty is no word
		}
		args = append(args, word)
	}
	if len(args) == 0 {
		in.status = 0
		return
	}
	in.status = in.command(args, std)
}

// redirect applies one redirection; all files but /dev/null are refused.
func (s *streams) redirect(operator, to string, status *int) bool {
	w := io.Discard
	switch {
	case operator == "<" && to == "/dev/null":
		s.stdin = bytes.NewReader(nil)
		return true
	case strings.HasSuffix(operator, "&") && to == "1":
		w = s.stdout
	case strings.HasSuffix(operator, "&") && to == "2":
		w = s.stderr
	case to != "/dev/null":
		fmt.Fprintf(s.stderr, "sh: 1: cannot create %s: Read-only file system\n", to)
		*status = 2
		return false
	}
	switch operator[0] {
	case '2':
		s.stderr = w
	case '&':
		s.stdout, s.stderr = w, w
	default:
		s.stdout = w
	}
	return true
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
