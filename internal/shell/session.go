package shell

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
)

// Inventory is what a session needs of an inventory.
type Inventory interface {
	Select(pattern string) ([]*inventory.Host, error)
	Hosts() []*inventory.Host
}

// Session is what lasts from line to line. One goroutine at a time may use it.
type Session struct {
	inv   Inventory
	start []*inventory.Host
	now   []*inventory.Host
	fold  string // of now

	dir, dirBefore string
	last           last
}

// last is what became of the last command.
type last struct {
	line    string
	ran     bool
	results map[string]result
}

// result is how one host ended.
type result struct {
	outcome scheduler.Outcome
	text    string // why, where not ok
}

// NewSession begins with hosts as the target set, at least one.
func NewSession(inv Inventory, hosts []*inventory.Host) *Session {
	s := &Session{inv: inv, start: hosts}
	s.target(hosts)
	return s
}

func (s *Session) target(hosts []*inventory.Host) {
	s.now, s.fold = hosts, foldHosts(hosts)
}

func foldHosts(hosts []*inventory.Host) string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return inventory.Fold(names)
}

// Hosts is the target set, in the order of the inventory. It is not to be changed.
func (s *Session) Hosts() []*inventory.Host { return s.now }

// Fold is the target set in short.
func (s *Session) Fold() string { return s.fold }

// Dir is the folder that commands are run in, empty for where they begin.
func (s *Session) Dir() string { return s.dir }

// Target gives the set that a Change, Failed or Start asks for. The session has
// it only after Use. An error leaves all as it was.
func (s *Session) Target(a Action) ([]*inventory.Host, error) {
	switch a := a.(type) {
	case Start:
		return s.start, nil
	case Failed:
		return s.failed()
	case Change:
		return s.change(a)
	}
	return nil, fmt.Errorf("action %T changes no target set", a)
}

// Use makes hosts the target set.
func (s *Session) Use(hosts []*inventory.Host) { s.target(hosts) }

func (s *Session) change(c Change) ([]*inventory.Host, error) {
	meant, err := s.inv.Select(c.Pattern)
	if err != nil {
		return nil, &Error{err: err}
	}
	switch {
	case len(meant) == 0:
		return nil, wrong("", "no host is in %s", c.Pattern)
	case c.How == Switch:
		return meant, nil
	}
	in := nameSet(s.now)
	if c.How == Add {
		for _, h := range meant {
			in[h.Name] = true
		}
		return s.ordered(in), nil
	}
	before := len(in)
	for _, h := range meant {
		delete(in, h.Name)
	}
	switch len(in) {
	case before:
		return nil, wrong("the target set is "+s.fold, "no host of %s is in the target set", c.Pattern)
	case 0:
		return nil, wrong("':quit' leaves", "without %s no host would be left", c.Pattern)
	}
	return s.ordered(in), nil
}

func nameSet(hosts []*inventory.Host) map[string]bool {
	in := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		in[h.Name] = true
	}
	return in
}

// ordered gives the hosts of those names as the inventory has them.
func (s *Session) ordered(in map[string]bool) []*inventory.Host {
	list := make([]*inventory.Host, 0, len(in))
	for _, h := range s.inv.Hosts() {
		if in[h.Name] {
			list = append(list, h)
		}
	}
	return list
}

func (s *Session) failed() ([]*inventory.Host, error) {
	if !s.last.ran {
		return nil, wrong("", "no command was run yet")
	}
	in := map[string]bool{}
	for name, r := range s.last.results {
		if r.outcome != scheduler.OK {
			in[name] = true
		}
	}
	if len(in) == 0 {
		return nil, wrong("", "all hosts ended ok at the last command")
	}
	return s.ordered(in), nil
}

// Chdir carries a Dir out.
func (s *Session) Chdir(d Dir) {
	to := s.dirBefore
	if d.Path != "-" {
		to = enter(s.dir, d.Path)
	}
	s.dir, s.dirBefore = to, s.dir
}

// Compose is what is sent to the hosts for a command line: the line itself,
// behind the way to the session's folder.
func (s *Session) Compose(line string) string { return toDir(s.dir, "; ") + line }

// Enter is the way to the session's folder as lines of their own, for a script to
// follow; empty where it begins there by itself.
func (s *Session) Enter() string { return toDir(s.dir, "\n") }

// Last is the last command line, as Began was told.
func (s *Session) Last() (line string, err error) {
	if !s.last.ran {
		return "", wrong("", "no command was run yet")
	}
	return s.last.line, nil
}

// Began says that a command line is about to be run on the target set.
func (s *Session) Began(line string) {
	s.last = last{line: line, ran: true, results: make(map[string]result, len(s.now))}
	for _, h := range s.now {
		s.last.results[h.Name] = result{scheduler.Skipped, ""}
	}
}

// Ended says how a host ended.
func (s *Session) Ended(r event.Result) {
	res := result{outcome: r.Outcome}
	if r.Cause != nil {
		res.text = cmp.Or(r.Cause.Text, string(r.Cause.Kind))
	}
	s.last.results[r.Host] = res
}

// promptSet is how many columns of a prompt the target set may take.
const promptSet = 40

// Prompt shows the target set, its size and the folder.
func (s *Session) Prompt() string {
	set := []rune(s.fold)
	if len(set) > promptSet {
		set = append(slices.Clone(set[:promptSet-1]), '…')
	}
	dir := []rune(s.dir)
	if len(dir) > promptSet {
		dir = append([]rune{'…'}, dir[len(dir)-promptSet+1:]...)
	}
	return strings.TrimRight(fmt.Sprintf("%s (%d) %s", string(set), len(s.now), string(dir)), " ") + "> "
}
