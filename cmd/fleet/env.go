package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// env is what a command may touch of the process around it.
type env struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	args   []string    // the words behind "fleet"
	detach *detachment // this process holds a detached run, or is about to; else nil
	rerun  *rerun      // of a recorded run; nil for any other command line
}

func processEnv() *env {
	return &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
}

// isTerminal says whether v, a stream of the env, is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is the width of the terminal behind v, 80 where there is none.
func columns(v any) int {
	if f, ok := v.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// color says whether to colour what goes to v: mode is --color. NO_COLOR and
// TERM=dumb are honoured (no-color.org), --color always is above both.
func (e *env) color(mode string, v any) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	return isTerminal(v) && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}
