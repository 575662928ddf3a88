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

// ask is what the flags ask of each host. words are those behind the pattern.
func (f *commandFlags) ask(e *env, words []string, o *runOptions) (scheduler.Exec, error) {
	how, err := f.how()
	if err != nil {
		return how, err
	}
	if err := f.checkInput(&o.connect, &o.become); err != nil {
		return how, err
	}
	if f.script != "" && (o.template.on || o.argv) {
		return how, usagef("--script takes neither --template nor --argv")
	}
	how.Payload, err = f.payload(e, words)
	return how, err
}

// payload is what hosts evaluate before the command: variables, and the script in
// its place. args are those of the script.
func (f *commandFlags) payload(e *env, args []string) (string, error) {
	var vars []string
	for _, kv := range f.env {
		if !strings.Contains(kv, "=") {
			value, ok := os.LookupEnv(kv)
			if !ok {
				return "", usage(fmt.Errorf("--env %s: no such variable here", quoteWord(kv)), "--env NAME=VALUE sets one; --env NAME passes fleet's own on")
			}
			kv += "=" + value
		}
		vars = append(vars, kv)
	}
	text, err := remote.Environment(vars)
	if err != nil {
		return "", usage(fmt.Errorf("--env: %w", err))
	}
	if f.script == "" {
		return text, nil
	}
	more, err := f.scriptPayload(e, args)
	if err != nil {
		return "", usage(fmt.Errorf("--script: %w", err))
	}
	return text + more, nil
}

// scriptPayload is the part of a payload that is the script.
func (f *commandFlags) scriptPayload(e *env, args []string) (string, error) {
	var err error
	if f.scriptText, err = f.readScript(e); err != nil {
		return "", err
	}
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
