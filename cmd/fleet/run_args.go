package main

import (
	"errors"
	"fmt"
	"strings"

	"fleet/tasks"
)

// splitRunArgs takes "PATTERN -- COMMAND [ARG...]" apart; dash is the number of
// words before the "--", or -1.
func splitRunArgs(args []string, dash int) (pattern string, words []string, err error) {
	hint := "usage: fleet run [flags] PATTERN -- COMMAND [ARG...]"
	switch {
	case len(args) == 0:
		return "", nil, usage(errors.New("no hosts and no command given"), hint)
	case dash < 0 && len(args) == 1:
		return "", nil, usage(errors.New("no command given"), hint)
	case dash < 0:
		return "", nil, usage(fmt.Errorf("'--' missing between the pattern %s and the command", quoteWord(args[0])),
			"fleet run "+tasks.QuoteAll(args[:1])+" -- "+tasks.QuoteAll(args[1:]))
	case dash == 0:
		return "", nil, usage(errors.New("no pattern given before '--'"), hint)
	case dash > 1:
		return "", nil, usage(fmt.Errorf("%d words before '--', where one pattern is wanted", dash),
			"join patterns by commas: "+quoteWord(strings.Join(args[:dash], ",")))
	case len(args) == dash || strings.TrimSpace(strings.Join(args[dash:], "")) == "":
		return "", nil, usage(errors.New("no command given after '--'"), hint)
	}
	return args[0], args[dash:], nil
}

// split is splitRunArgs, but that a script needs no words.
func (o *runOptions) split(args []string, dash int) (pattern string, words []string, err error) {
	switch {
	case o.command.script == "":
		return splitRunArgs(args, dash)
	case len(args) == 0 || dash == 0:
		return "", nil, usage(errors.New("no hosts given"), "usage: fleet run [flags] --script FILE PATTERN [-- ARG...]")
	case dash < 0 && len(args) == 1, dash == 1:
		return args[0], args[1:], nil
	}
	return "", nil, usage(errors.New("more than one pattern; the script's arguments stand behind '--'"),
		"fleet run --script "+quoteWord(o.command.script)+" "+tasks.QuoteAll(args[:1])+" -- "+tasks.QuoteAll(args[1:]))
}

// line is the command as it is sent, or what a script is called.
func (o *runOptions) line(words []string) string {
	if o.command.script != "" {
		return o.command.scriptName(words)
	}
	if o.argv {
		return tasks.QuoteAll(words)
	}
	return strings.Join(words, " ")
}
