package shell

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Action is what one line asks for: one of the types below.
type Action interface{ action() }

type (
	// Nothing is an empty line or a comment.
	Nothing struct{}
	// Command is run on the target set. Line is exactly what was typed, but for
	// blanks before it.
	Command struct{ Line string }
	// Again runs the last command once more.
	Again struct{}
	// Change changes the target set by a pattern of the inventory.
	Change struct {
		How     How
		Pattern string
	}
	// Failed makes those hosts the target set that did not end ok at the last command.
	Failed struct{}
	// Start goes back to the target set that the session began with.
	Start struct{}
	// Dir changes the folder that commands are run in; empty is where they
	// begin by themselves, "-" is the one before.
	Dir struct{ Path string }
	// Output sets how output is shown; not checked here.
	Output struct{ Mode string }
	// Timeout sets the longest time of a command, 0 for no limit.
	Timeout struct{ Limit time.Duration }
	// Fanout sets how many hosts run a command at once, at least 1.
	Fanout struct{ Hosts int }
	// Ask asks for the value of a setting: output, timeout or fanout.
	Ask struct{ Setting string }
	// Hosts asks for the whole target set.
	Hosts struct{}
	// Status asks what the last command came to, and for the connections.
	Status struct{}
	// Help asks for what can be typed.
	Help struct{}
	// Quit leaves the shell.
	Quit struct{}
)

func (Nothing) action() {}
func (Command) action() {}
func (Again) action()   {}
func (Change) action()  {}
func (Failed) action()  {}
func (Start) action()   {}
func (Dir) action()     {}
func (Output) action()  {}
func (Timeout) action() {}
func (Fanout) action()  {}
func (Ask) action()     {}
func (Hosts) action()   {}
func (Status) action()  {}
func (Help) action()    {}
func (Quit) action()    {}

// How says what a pattern does to the target set.
type How int

const (
	Switch How = iota // the hosts of the pattern, and no others
	Add               // also the hosts of the pattern
	Remove            // without the hosts of the pattern
)

// Error is a line that cannot be carried out. What it wraps may have a method
// Hint, which gives a way out.
type Error struct{ err error }

func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives what is wrong.
func (e *Error) Unwrap() error { return e.err }

type hinted struct {
	error
	hint string
}

func (h *hinted) Hint() string { return h.hint }

func wrong(hint, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if hint != "" {
		err = &hinted{err, hint}
	}
	return &Error{err}
}

const helpHint = "':help' lists what can be typed"

// HelpText is the answer to Help.
const HelpText = `Each line is run as one command by the shell of every host in the target set.
The prompt shows the set and how many hosts it has.

  @PATTERN   target these hosts: @web[01-05], @web&prod; @* is all there are
  +PATTERN   target these as well
  -PATTERN   target these no more; also !PATTERN
  @failed    target those that did not end ok at the last command
  @all       target what the shell was started with

  :again, !!      run the last command again
  :cd DIR         run what follows in DIR; without DIR where hosts begin; - back
  :push SRC... DST, :pull SRC... DSTDIR
                  copy files as fleet push and pull do, also with their flags:
                  :push --delete site /srv
  :script FILE [ARG...]
                  run a script of this machine on the hosts, in :cd's DIR
  :stdin FILE COMMAND
                  run COMMAND with a file of this machine as its input
  :hosts          name the whole target set
  :status         what the last command came to, and which hosts are connected
  :output FORMAT  show output as live, group, json, jsonl or quiet
  :timeout TIME   longest time for a command, as 30s or 5m; none lifts it
  :fanout N       hosts at once
  :help           this text
  :quit           leave; also exit, or Ctrl-D

Ctrl-C cancels what runs and comes back to the prompt. Each line is a shell of
its own on the host: what cd, export or set do ends with the line (:cd stays).
Commands get no input, but by :stdin, and never a terminal, as vi or top want:
'fleet ssh HOST' gives one, and 'fleet run --tty' for one command.`

// blanks are what may stand around a line; a pasted one may hold line breaks.
const blanks = " \t\r\n"

// Parse reads one line without its line break. A command may hold line breaks;
// nothing else may.
func Parse(line string) (Action, error) {
	if strings.IndexByte(line, 0) >= 0 {
		return nil, wrong("", "the line holds a NUL byte")
	}
	text := strings.TrimLeft(line, blanks)
	bare := strings.TrimRight(text, blanks)
	switch bare {
	case "":
		return Nothing{}, nil
	case "exit", "quit", "logout":
		return Quit{}, nil
	case "!!":
		return Again{}, nil
	case "@failed":
		return Failed{}, nil
	case "@all":
		return Start{}, nil
	}
	switch first := text[0]; {
	case first == '#' && !strings.Contains(bare, "\n"):
		return Nothing{}, nil
	case first == ':' && len(text) > 1 && letter(text[1]):
		return parseColon(bare[1:])
	case first == '@':
		return change(Switch, bare)
	case first == '+':
		return change(Add, bare)
	case first == '-', first == '!' && isRemoval(bare):
		return change(Remove, bare)
	}
	return Command{text}, nil
}

// single refuses an action that goes on over several lines, as pasted text may.
func single(text string) error {
	if strings.ContainsAny(text, "\r\n") {
		return wrong("", "several lines at once, and the first is no command for hosts")
	}
	return nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func change(how How, bare string) (Action, error) {
	if err := single(bare); err != nil {
		return nil, err
	}
	pattern := strings.TrimSpace(bare[1:])
	if pattern == "" {
		return nil, wrong("for example "+bare[:1]+"web", "no pattern after %s", bare[:1])
	}
	return Change{how, pattern}, nil
}

// Words are those that follow a colon.
var Words = []string{"again", "cd", "fanout", "help", "hosts", "output", "pull", "push", "quit", "script", "status", "stdin", "timeout"}

// parseColon reads what stands behind the colon.
func parseColon(text string) (Action, error) {
	if err := single(text); err != nil {
		return nil, err
	}
	word, arg := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		word, arg = text[:i], strings.Trim(text[i:], " \t")
	}
	if a := plainAction(word); a != nil {
		if arg != "" {
			return nil, wrong("", ":%s takes no words after it", word)
		}
		return a, nil
	}
	switch word {
	case "cd":
		return parseDir(arg)
	case "output", "timeout", "fanout":
		if arg == "" {
			return Ask{word}, nil
		}
		return parseSetting(word, arg)
	case "push", "pull":
		return parseCopy(word, arg, text)
	case "script":
		return parseScript(arg, text)
	case "stdin":
		return parseInput(arg, text)
	}
	return nil, wrong(helpHint, "unknown command :%s", word)
}

func plainAction(word string) Action {
	switch word {
	case "again":
		return Again{}
	case "help":
		return Help{}
	case "hosts":
		return Hosts{}
	case "status":
		return Status{}
	case "quit", "q":
		return Quit{}
	}
	return nil
}

func parseSetting(word, arg string) (Action, error) {
	switch word {
	case "timeout":
		if arg == "none" || arg == "0" {
			return Timeout{}, nil
		}
		limit, err := time.ParseDuration(arg)
		if err != nil || limit < 0 {
			return nil, wrong("", ":timeout %s: not a time such as 500ms, 30s or 1h30m", arg)
		}
		return Timeout{limit}, nil
	case "fanout":
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 {
			return nil, wrong("", ":fanout %s: not a whole number from 1 on", arg)
		}
		return Fanout{n}, nil
	}
	return Output{arg}, nil
}

// parseDir reads the word after :cd. It is one word also if it holds blanks;
// quotes around it may be left out.
func parseDir(arg string) (Action, error) {
	if len(arg) > 1 && (arg[0] == '\'' || arg[0] == '"') && arg[len(arg)-1] == arg[0] && strings.Count(arg, arg[:1]) == 2 {
		arg = arg[1 : len(arg)-1]
	}
	if strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, wrong("", ":cd: a folder's name cannot hold control characters")
	}
	return Dir{arg}, nil
}

// Continues says that a line goes on in the next one: a command whose last
// character is a backslash that is not itself escaped (POSIX.1-2017, Shell
// Command Language, 2.2.1).
func Continues(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	if n%2 == 0 {
		return false
	}
	a, err := Parse(line)
	_, command := a.(Command)
	return err == nil && command
}

// Steers says that a line is to decide where the commands after it run: on which
// hosts, or in which folder. Where it cannot be carried out they would run elsewhere.
func Steers(line string) bool {
	text := strings.Trim(line, blanks)
	switch {
	case text == "" || text == "!!":
		return false
	case text[0] == '!':
		return isRemoval(text)
	}
	return strings.IndexByte("@+-", text[0]) >= 0 || text == ":cd" || strings.HasPrefix(text, ":cd ") || strings.HasPrefix(text, ":cd\t")
}

// isRemoval tells a pattern behind an exclamation mark from a command of the
// shell's that begins with one.
func isRemoval(bare string) bool {
	return len(bare) > 1 && !strings.ContainsAny(bare[1:2], " \t(\n")
}

// LostCd says that a command line does nothing but change the folder of a shell
// that then ends.
func LostCd(line string) bool {
	text := strings.TrimSpace(line)
	return (text == "cd" || strings.HasPrefix(text, "cd ")) && !strings.ContainsAny(text, ";&|\n")
}
