package clustershell

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"fleet/inventory"
)

// Bounds of what upcalls may bring about.
const (
	atOnce       = 4      // upcalls at the same time
	maxGroups    = 20_000 // of one source
	maxReversed  = 1_000  // nodes whose groups are asked one by one
	maxGroupName = 255
)

// upcalls are the commands of a source; empty where it has none.
type upcalls struct {
	mapping, all, list, reverse string
	dir                         string // where they run
}

// canList says whether the groups of the source can be found out.
func (u *upcalls) canList() bool { return u.list != "" || u.reverse != "" && u.all != "" }

// safeName is what may stand in the place of $GROUP and $NODE: they are put into
// the text of a command, in quotes or not.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_.+:@%=,/][A-Za-z0-9_.+:@%=,/-]*$`)

var errUnsafe = errors.New("a name that must not stand in a command")

// call runs one upcall and gives the words that it writes.
func (r *reader) call(s *groupSource, command string, names map[string]string) ([]string, error) {
	if r.Run == nil {
		return nil, r.fault(s.at, s.name, fmt.Sprintf("group source %q runs commands, which is not allowed here", s.name), "")
	}
	dir := s.calls.dir
	names["SOURCE"] = s.name
	for _, name := range names {
		if !safeName.MatchString(name) || len(name) > maxGroupName {
			return nil, errUnsafe
		}
	}
	names["CFGDIR"] = dir
	var pairs []string
	for name, value := range names {
		pairs = append(pairs, "${"+name+"}", value, "$"+name, value)
	}
	out, err := r.Run(r.ctx, dir, strings.NewReplacer(pairs...).Replace(command))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// list gives the groups of an upcall source; of those without a list upcall, the
// groups of all its nodes.
func (r *reader) list(s *groupSource) ([]string, error) {
	var words []string
	var err error
	switch {
	case s.calls.list != "":
		if words, err = r.call(s, s.calls.list, map[string]string{}); err != nil {
			return nil, r.callFault(s, "list", err)
		}
	case s.calls.reverse != "" && s.calls.all != "":
		if words, err = r.reversed(s); err != nil {
			return nil, err
		}
	default:
		return nil, r.fault(s.at, s.name, fmt.Sprintf("group source %q cannot list its groups: it has no list upcall", s.name), "name the group: @"+s.name+":GROUP")
	}
	seen := make(map[string]bool, len(words))
	var names []string
	for _, w := range words {
		switch {
		case seen[w] || w == "all":
		case !safeName.MatchString(w) || len(w) > maxGroupName:
			r.warn(s.at, fmt.Sprintf("group %.40q of source %s left out: no name that may stand in a command", w, s.name))
		case len(names) >= maxGroups:
			return nil, r.fault(s.at, s.name, fmt.Sprintf("group source %q lists more than %d groups", s.name, maxGroups), "")
		default:
			names = append(names, w)
		}
		seen[w] = true
	}
	return names, nil
}

func (r *reader) reversed(s *groupSource) ([]string, error) {
	nodes, err := r.all(s, part{at: s.at}, 0)
	if err != nil {
		return nil, err
	}
	if len(nodes) > maxReversed {
		return nil, r.fault(s.at, s.name, fmt.Sprintf("group source %q has no list upcall, and too many nodes (%d) to ask for the groups of each", s.name, len(nodes)), "")
	}
	var words []string
	for _, n := range nodes {
		groups, err := r.call(s, s.calls.reverse, map[string]string{"NODE": n})
		if err != nil {
			return nil, r.callFault(s, "reverse", err)
		}
		words = append(words, groups...)
	}
	return words, nil
}

func (r *reader) callFault(s *groupSource, upcall string, err error) error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	var list inventory.Errors
	if errors.As(err, &list) {
		return err
	}
	return inventory.Errors{{File: s.at.File, Line: s.at.Line, Column: s.at.Column, Word: s.name, Msg: fmt.Sprintf("%s upcall of group source %q: %v", upcall, s.name, err), Err: err}}
}

// prefetch runs the map upcalls of groups, a few at once.
func (r *reader) prefetch(s *groupSource, names []string) error {
	if s.calls == nil || len(names) < 2 {
		return nil
	}
	answers := make([]*meaning, len(names))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(atOnce, len(names)) {
		wg.Go(func() {
			for i := range next {
				m := &meaning{}
				m.words, m.err = r.call(s, s.calls.mapping, map[string]string{"GROUP": names[i]})
				m.asked = true
				answers[i] = m
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, name := range names {
		if r.memo[key(s, name)] == nil {
			r.memo[key(s, name)] = answers[i]
		}
	}
	return r.ctx.Err()
}
