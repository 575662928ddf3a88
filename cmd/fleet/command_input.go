package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"fleet/internal/engine"
	"fleet/internal/remote"
	"fleet/scheduler"
	"fleet/tasks"
)

// maxScript bounds a script: the host keeps it in memory.
const maxScript = 16 << 20

// maxFilled bounds one whose arguments hosts fill in, for then each host in
// flight has a copy here.
const maxFilled = 1 << 20

// ask is what the flags ask of each host. words are those behind the pattern.
func (f *commandFlags) ask(e *env, words []string, o *runOptions) (scheduler.Exec, error) {
	how, err := f.how()
	if err != nil {
		return how, err
	}
	if err := f.checkInput(&o.connect, &o.become); err != nil {
		return how, err
	}
	if f.script != "" && o.argv {
		return how, usage(errors.New("--script and --argv exclude each other"), "a script gets its arguments as they stand")
	}
	if o.template.on { // each host has its own, see filled
		if err = f.load(e, maxFilled); err != nil {
			return how, err
		}
		if _, err = f.compose(nil, nil); err != nil {
			return how, usage(err)
		}
		return how, nil
	}
	how.Payload, err = f.payload(e, words)
	return how, err
}

// payload is what hosts evaluate before the command: variables, and the script in
// its place. args are those of the script.
func (f *commandFlags) payload(e *env, args []string) (string, error) {
	var vars []string
	for _, v := range f.env {
		kv, err := given(v)
		if err != nil {
			return "", err
		}
		vars = append(vars, kv)
	}
	if err := f.load(e, maxScript); err != nil {
		return "", err
	}
	text, err := f.compose(vars, args)
	if err != nil {
		return "", usage(err)
	}
	return text, nil
}

// given is a variable of --env with its value.
func given(v string) (kv string, err error) {
	if strings.Contains(v, "=") {
		return v, nil
	}
	value, ok := os.LookupEnv(v)
	if !ok {
		return "", usage(fmt.Errorf("--env %s: no such variable here", quoteWord(v)), "--env NAME=VALUE sets one; --env NAME passes fleet's own on")
	}
	return v + "=" + value, nil
}

// templates are the variables of --env, their values with places to fill in. Those
// that fleet passes on have none.
func (f *commandFlags) templates() ([]*tasks.Template, error) {
	all := make([]*tasks.Template, len(f.env))
	for i, v := range f.env {
		kv, err := given(v)
		if err != nil {
			return nil, err
		}
		if kv != v {
			all[i] = tasks.Literal(kv)
			continue
		}
		if all[i], err = tasks.ParseVariable(kv); err != nil {
			return nil, usage(fmt.Errorf("--template: --env: %w", err))
		}
	}
	return all, nil
}

// compose is the payload of variables, each NAME=VALUE, and of the script that
// load has read.
func (f *commandFlags) compose(vars, args []string) (string, error) {
	text, err := remote.Environment(vars)
	if err != nil {
		return "", fmt.Errorf("--env: %w", err)
	}
	if f.scriptText == nil {
		return text, nil
	}
	more, err := f.scriptPart(args)
	if err != nil {
		return "", fmt.Errorf("--script: %w", err)
	}
	return text + more, nil
}

// load reads the script, if there is one, of at most so many bytes.
func (f *commandFlags) load(e *env, most int) error {
	if f.script == "" {
		return nil
	}
	text, err := f.readScript(e)
	switch {
	case err != nil:
		return usage(fmt.Errorf("--script: %w", err))
	case len(text) > most: // readScript has no more than maxScript
		return usagef("--script: %s: more than %d MiB, which is the most with --template", f.script, most>>20)
	}
	f.scriptText = text
	return nil
}

// scriptPart is the part of a payload that is the script.
func (f *commandFlags) scriptPart(args []string) (string, error) {
	text, err := remote.Script(f.scriptText, f.shell, args)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.script, err)
	}
	return text, nil
}

func (f *commandFlags) readScript(e *env) ([]byte, error) {
	from := e.stdin
	if f.script != "-" {
		file, err := os.Open(f.script)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxScript+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxScript:
		return nil, fmt.Errorf("%s: more than %d MiB", f.script, maxScript>>20)
	case len(text) == 0:
		return nil, fmt.Errorf("%s: empty", f.script)
	}
	return text, nil
}

// scriptName is what a run of a script is called.
func (f *commandFlags) scriptName(args []string) string {
	name := "standard input"
	if f.script != "-" {
		name = filepath.Base(f.script)
	}
	return tasks.QuoteAll(append([]string{name}, args...))
}

// openInput opens what commands are to read; nil if nothing. The caller closes it.
func (f *commandFlags) openInput(e *env) (*engine.Input, error) {
	if f.stdin == "" {
		return nil, nil
	}
	file, ok := e.stdin.(*os.File)
	switch {
	case f.stdin != "-":
		var err error
		if file, err = os.Open(f.stdin); err != nil {
			return nil, usage(fmt.Errorf("--stdin: %w", err))
		}
	case !ok:
		return nil, usagef("--stdin -: standard input is no file")
	}
	in, err := engine.NewInput(file)
	if err != nil {
		return nil, usage(fmt.Errorf("--stdin: %w", err))
	}
	return in, nil
}

// checkInput says what cannot be read by two.
func (f *commandFlags) checkInput(login *connectFlags, become *becomeFlags) error {
	var takers []string
	for _, t := range []struct{ flag, value string }{
		{"--stdin", f.stdin}, {"--script", f.script}, {"--pass-file", login.passFile}, {"--become-pass-file", become.passFile},
	} {
		if t.value == "-" {
			takers = append(takers, t.flag+" -")
		}
	}
	switch {
	case len(takers) > 1:
		return usagef("%s both read standard input", strings.Join(takers, " and "))
	case f.set("stdin") && f.stdin == "":
		return usagef("--stdin '': no file")
	case f.set("script") && f.script == "":
		return usagef("--script '': no file")
	case f.tty && f.stdin != "":
		return usage(errors.New("--tty and --stdin exclude each other"), "what a terminal is sent is not what a file holds")
	}
	return nil
}
