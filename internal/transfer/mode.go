package transfer

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Mode is what is to become of permissions, as chmod(1) reads it: octal digits,
// or clauses such as "u+x,go-w" or "a+X". The zero value changes nothing.
type Mode struct {
	text    string
	octal   bool
	bits    uint32
	clauses []modeClause
}

// modeClause is "who", an operation, and what.
type modeClause struct {
	who   uint32 // rwx bits, setuid, setgid and sticky that it may touch
	all   bool   // there is no who: "=" clears what the umask spares, too
	op    byte   // + - =
	perm  uint32 // rwxst for all
	condX bool   // X: the right to execute, where that makes sense
	from  byte   // u, g, o: what these have; 0 for none
}

var errMode = errors.New("not permissions: octal digits such as 0644, or letters such as u+x,go-w, as for chmod")

// ParseMode reads a mode. Clauses without a who spare what this process's umask
// takes away, as chmod does.
func ParseMode(text string) (Mode, error) {
	m := Mode{text: text}
	if text != "" && strings.Trim(text, "01234567") == "" {
		bits, err := strconv.ParseUint(text, 8, 32)
		if err != nil || bits > 0o7777 {
			return Mode{}, errMode
		}
		m.octal, m.bits = true, uint32(bits)
		return m, nil
	}
	for clause := range strings.SplitSeq(text, ",") {
		if err := m.clause(clause); err != nil {
			return Mode{}, err
		}
	}
	return m, nil
}

// clause adds a clause: who, and one or more of an operation with what.
func (m *Mode) clause(s string) error {
	const whos = "ugoa"
	n := len(s) - len(strings.TrimLeft(s, whos))
	var who uint32
	for _, c := range s[:n] {
		who |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007, 'a': 0o7777}[c]
	}
	if n == 0 {
		who = 0o7777 &^ umask()
	}
	s = s[n:]
	if s == "" {
		return errMode
	}
	for s != "" {
		c := modeClause{who: who, all: n == 0, op: s[0]}
		if strings.IndexByte("+-=", c.op) < 0 {
			return errMode
		}
		s = s[1:]
		end := strings.IndexAny(s, "+-=")
		if end < 0 {
			end = len(s)
		}
		if err := c.what(s[:end]); err != nil {
			return err
		}
		s = s[end:]
		m.clauses = append(m.clauses, c)
	}
	return nil
}

// what reads the letters after an operation.
func (c *modeClause) what(s string) error {
	if len(s) == 1 && strings.Contains("ugo", s) {
		c.from = s[0]
		return nil
	}
	for _, l := range s {
		switch l {
		case 'r':
			c.perm |= 0o444
		case 'w':
			c.perm |= 0o222
		case 'x':
			c.perm |= 0o111
		case 'X':
			c.condX = true
		case 's':
			c.perm |= 0o6000
		case 't':
			c.perm |= 0o1000
		default:
			return errMode
		}
	}
	return nil
}

// String is the mode as it was given.
func (m *Mode) String() string { return m.text }

// Given says that there is something to change.
func (m *Mode) Given() bool { return m.octal || len(m.clauses) > 0 }

// of is what the mode makes of old. By octal digits folders get the right to
// enter where these give that to read.
func (m *Mode) of(old uint32, folder bool) uint32 {
	switch {
	case m.octal && folder:
		return m.bits&0o777 | m.bits&0o444>>2
	case m.octal:
		return m.bits
	}
	for _, c := range m.clauses {
		old = c.of(old, folder)
	}
	return old
}

func (c *modeClause) of(old uint32, folder bool) uint32 {
	perm := c.perm
	if c.from != 0 {
		three := old >> map[byte]int{'u': 6, 'g': 3, 'o': 0}[c.from] & 7
		perm = three | three<<3 | three<<6
	}
	if c.condX && (folder || old&0o111 != 0) {
		perm |= 0o111
	}
	perm &= c.who
	switch c.op {
	case '+':
		return old | perm
	case '-':
		return old &^ perm
	}
	clear := c.who
	if c.all {
		clear = 0o7777
	}
	if folder {
		clear &^= 0o6000 // chmod lets folders keep these, unless they are named
	}
	return old&^clear | perm
}

// umask is what this process takes from the permissions of new files.
func umask() uint32 {
	text, err := os.ReadFile("/proc/self/status")
	if err == nil {
		if _, rest, ok := strings.Cut(string(text), "\nUmask:"); ok {
			var bits uint32
			if n, _ := fmt.Sscanf(rest, "%o", &bits); n == 1 {
				return bits & 0o777
			}
		}
	}
	return 0o022
}
