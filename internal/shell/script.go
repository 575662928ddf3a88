package shell

import "strings"

type (
	// Script runs a script of this machine on the target set. What its words mean
	// is for whoever carries it out: the file, and the script's arguments.
	Script struct {
		Words []string
		Line  string // as it was typed
	}
	// Input runs a command that reads a file of this machine. Command is exactly
	// what was typed after the file's name.
	Input struct {
		File, Command string
		Line          string // as it was typed
	}
)

func (Script) action() {}
func (Input) action()  {}

// parseScript reads the words after :script.
func parseScript(arg, line string) (Action, error) {
	words, err := splitWords(arg)
	if err != nil {
		return nil, err
	}
	return Script{words, ":" + line}, nil
}

// parseInput takes what stands after :stdin apart. The file's name may be quoted;
// what follows it is the hosts' to read.
func parseInput(arg, line string) (Action, error) {
	end := wordEnd(arg)
	words, err := splitWords(arg[:end])
	if err != nil {
		return nil, err
	}
	a := Input{Command: strings.TrimLeft(arg[end:], " \t"), Line: ":" + line}
	if len(words) > 0 {
		a.File = words[0]
	}
	return a, nil
}

// wordEnd is where the first word of line ends, as splitWords reads it.
func wordEnd(line string) int {
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && quote != '\'':
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && (c == ' ' || c == '\t'):
			return i
		}
	}
	return len(line)
}
