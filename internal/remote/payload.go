package remote

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Environment is the payload that sets variables, each NAME=VALUE, for the
// command. An error names the variable and does not show its value.
func Environment(env []string) (string, error) {
	var b strings.Builder
	for _, kv := range env {
		name, value, ok := strings.Cut(kv, "=")
		switch {
		case !ok:
			return "", fmt.Errorf("variable %q has no value", kv)
		case !isName(name):
			return "", fmt.Errorf("variable %q: a name has letters, digits and _, and begins with no digit", name)
		case strings.Contains(value, "\x00"):
			return "", fmt.Errorf("variable %s: a value holds no NUL byte", name)
		}
		fmt.Fprintf(&b, "%s=%s\nexport %s\n", name, Quote(value), name)
	}
	return b.String(), nil
}

func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Script is the payload that runs a script with arguments in place of the
// command: by the interpreter that its first line names, else by shell, else by
// /bin/sh. The interpreter reads it as the file /dev/fd/9, so that its standard
// input is the command's own and no file is left on the host.
func Script(text []byte, shell string, args []string) (string, error) {
	interpreter, err := Interpreter(text, shell)
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return "", errors.New("a script holds no NUL byte; a program is pushed, then run")
	}
	var b strings.Builder
	b.WriteString(`exec ${3:+"$3"}`) // by setsid, where the supervisor says so
	for _, w := range append(append(interpreter, "/dev/fd/9"), args...) {
		b.WriteString(" " + Quote(w))
	}
	end := "FLEET_END"
	for bytes.Contains(text, []byte(end)) {
		end += "_"
	}
	fmt.Fprintf(&b, " 9<<'%s'\n%s", end, text)
	if !bytes.HasSuffix(text, []byte("\n")) {
		b.WriteByte('\n')
	}
	b.WriteString(end + "\n")
	return b.String(), nil
}

// Interpreter is what runs a script, with its argument: what the first line names,
// else shell, else /bin/sh.
func Interpreter(text []byte, shell string) ([]string, error) {
	named, err := interpreterOf(text)
	switch {
	case named != nil || err != nil:
		return named, err
	case shell != "":
		return []string{shell}, nil
	}
	return []string{"/bin/sh"}, nil
}

// SplitPayload takes a payload apart, into what sets variables and the text of the
// script, for hosts that have no shell of their own.
func SplitPayload(payload string) (vars, script string, isScript bool) {
	rest := payload
	at := 0
	if !strings.HasPrefix(rest, "exec ") {
		at = strings.Index(rest, "\nexec ") + 1
		if at == 0 {
			return payload, "", false
		}
	}
	vars, rest = payload[:at], payload[at:]
	_, rest, ok := strings.Cut(rest, " 9<<'")
	if !ok {
		return payload, "", false
	}
	end, rest, _ := strings.Cut(rest, "'\n")
	return vars, strings.TrimSuffix(rest, end+"\n"), true
}

// interpreterOf reads a first line #!INTERPRETER [ARGUMENT] as Linux does: what
// follows the interpreter is one argument (execve(2)). Nil is none.
func interpreterOf(text []byte) ([]string, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	rest, ok := bytes.CutPrefix(line, []byte("#!"))
	if !ok {
		return nil, nil
	}
	if bytes.HasSuffix(rest, []byte("\r")) {
		return nil, errors.New("line 1 ends with a carriage return, which the host would take for a part of the interpreter's name: make the line ends those of Unix")
	}
	program, argument, more := strings.Cut(strings.TrimSpace(string(rest)), " ")
	switch {
	case program == "":
		return nil, errors.New("line 1 begins with #! and names no interpreter")
	case more:
		return []string{program, strings.TrimSpace(argument)}, nil
	}
	return []string{program}, nil
}
