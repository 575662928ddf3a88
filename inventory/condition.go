package inventory

import (
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Facts is what was found out about hosts beside what the inventory says, for
// conditions of patterns such as os=debian.
type Facts interface {
	// Names are the facts that there can be.
	Names() []string
	// Fact gives the named fact of a host: nil where it is not known, else a bool,
	// int64, uint64, float64, string, Size, time.Duration or []any of such. It is
	// an error if nothing is known of the host, or nothing that is young enough.
	Fact(h *Host, name string) (any, error)
	// Kind is a value such as the named fact has where that is a Size or a
	// time.Duration, else nil.
	Kind(name string) any
	// Hint says how to find out about hosts, given as a folded set.
	Hint(hosts string) string
}

// UseFacts lets patterns ask for facts. It is for whoever loads the inventory,
// before others have it.
func (inv *Inventory) UseFacts(f Facts) { inv.facts = f }

// condition is NAME OPERATOR VALUE.
type condition struct {
	name, op string
	value    literal
	from, to int // in the pattern
}

// conditionOps are the operators, longer ones before those that they begin with.
var conditionOps = []string{"!=", "<=", ">=", "=", "<", ">", "~"}

// conditionAhead finds out whether a condition stands at the place: a name, and
// behind it an operator that no name of a host can hold.
func (s *selection) conditionAhead() (name, op string, end int) {
	at := s.pos
	for at < len(s.text) && isConditionName(s.text[at]) {
		at++
	}
	name = s.text[s.pos:at]
	for at < len(s.text) && s.text[at] == ' ' {
		at++
	}
	if name == "" || isDigit(name[0]) {
		return "", "", 0
	}
	for _, op := range conditionOps {
		if strings.HasPrefix(s.text[at:], op) {
			return name, op, at + len(op)
		}
	}
	return "", "", 0
}

func isConditionName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || strings.IndexByte("_.-:/", c) >= 0
}

// condition reads a condition and gives the hosts for which it holds. Only those
// in domain are looked at.
func (s *selection) condition(name, cmp string, end int, op byte, domain hostBits) (hostBits, error) {
	c := &condition{name: name, op: cmp, from: s.pos}
	s.pos = end
	s.skipSpaces()
	err := s.conditionValue(c)
	if err != nil {
		return nil, err
	}
	c.to = s.pos
	out, found, err := s.holds(c, domain)
	if err != nil {
		return nil, err
	}
	return out, s.checkFound(found, &word{op: op, from: c.from, to: c.to})
}

// conditionValue reads what stands behind the operator: a regular expression, a
// text in quotes, or all up to the next operator of the pattern.
func (s *selection) conditionValue(c *condition) error {
	from := s.pos
	switch {
	case c.op == "~":
		re, end, err := s.expression(from, s.text[from:])
		if err != nil {
			return err
		}
		c.value.re, s.pos = re, end
		return s.afterExpression()
	case from < len(s.text) && s.text[from] == '"':
		length := strings.IndexByte(s.text[from+1:], '"')
		if length < 0 {
			return s.fail(from, len(s.text), `a quote (") without its end`, "")
		}
		s.pos = from + length + 2
		c.value = literal{text: s.text[from+1 : from+1+length], quoted: true}
		if s.skipSpaces(); s.pos < len(s.text) && strings.IndexByte(operators, s.text[s.pos]) < 0 {
			return s.fail(s.pos, len(s.text), fmt.Sprintf("%q after a quoted value", abbreviate(s.text[s.pos:])), "write , & ! or ^ there")
		}
		return nil
	}
	for s.pos < len(s.text) && strings.IndexByte(operators, s.text[s.pos]) < 0 {
		s.pos++
	}
	text := strings.TrimRight(s.text[from:s.pos], " ")
	if text == "" {
		return s.fail(c.from, s.pos, fmt.Sprintf("no value after %q", c.name+c.op), `an empty text is ""`)
	}
	c.value = newLiteral(text)
	return nil
}

// holds gives the hosts of domain for which the condition holds.
func (s *selection) holds(c *condition, domain hostBits) (out hostBits, found bool, err error) {
	ask, hasFact := s.asker(c)
	out = newHostBits(len(s.inv.hosts))
	known := hasFact || isHostField(c.name)
	var without []string
	var cause error
	for i, h := range s.inv.hosts {
		if !domain.has(i) {
			known = known || h.hasVar(c.name)
			continue
		}
		v, has := h.lookup(c.name)
		known = known || has
		if !has && hasFact {
			if err := s.readable(c); err != nil {
				return nil, false, err
			}
			if v, err = ask(h); err != nil {
				without, cause = append(without, h.Name), err
				continue
			}
		}
		if c.test(v) {
			out.set(i)
			found = true
		}
	}
	if !known {
		return nil, false, s.unknownName(c)
	}
	if len(without) > 0 {
		folded := Fold(without)
		e := s.fail(c.from, c.to, fmt.Sprintf("%v of %s", cause, abbreviate(folded)), s.inv.facts.Hint(abbreviateTo(folded, "PATTERN")))
		e.Err = cause
		return nil, false, e
	}
	return out, found, nil
}

// readable says whether the value of c can be compared with the fact that it asks
// for, so that this is told before anybody gathers facts for it.
func (s *selection) readable(c *condition) error {
	if c.op == "~" || c.value.quoted || c.value.glob || c.value.number != nil {
		return nil
	}
	at := c.to - len(c.value.text)
	switch s.inv.facts.Kind(c.name).(type) {
	case Size:
		if c.value.size == nil {
			return s.fail(at, c.to, fmt.Sprintf("%q is no size, as %s is", abbreviate(c.value.text), c.name), "bytes, or a number with k, m, g, t or p behind it: 2G")
		}
	case time.Duration:
		if c.value.span == nil {
			return s.fail(at, c.to, fmt.Sprintf("%q is no time, as %s is", abbreviate(c.value.text), c.name), "a number with s, m, h, d or w behind it: 30d")
		}
	}
	return nil
}

// abbreviateTo gives the folded set, or other where it is long.
func abbreviateTo(folded, other string) string {
	if len(folded) > 60 {
		return other
	}
	return folded
}

// asker gives how the named fact is had of a host.
func (s *selection) asker(c *condition) (ask func(*Host) (any, error), ok bool) {
	facts := s.inv.facts
	if facts == nil {
		return nil, false
	}
	stem, _, _ := strings.Cut(c.name, ":")
	if !slices.Contains(facts.Names(), stem) {
		return nil, false
	}
	return func(h *Host) (any, error) { return facts.Fact(h, c.name) }, true
}

func (s *selection) unknownName(c *condition) error {
	e := s.fail(c.from, c.from+len(c.name), fmt.Sprintf("no variable, setting or fact %q", abbreviate(c.name)), "")
	e.Hint = didYouMean(c.name, s.inv.ConditionNames())
	return e
}

// ConditionNames gives, sorted, all that conditions in patterns may ask for:
// variables, settings and facts.
func (inv *Inventory) ConditionNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		names := make(map[string]bool)
		for _, h := range inv.hosts {
			for name := range h.Vars {
				names[name] = true
			}
		}
		for _, name := range hostFields {
			names[name] = true
		}
		if inv.facts != nil {
			for _, name := range inv.facts.Names() {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if !yield(name) {
				return
			}
		}
	}
}

// hostFields are what conditions may ask for of a host beside variables.
var hostFields = []string{"name", "address", "port", "user", "become", "become_user", "become_method", "jump", "shell"}

func isHostField(name string) bool { return slices.Contains(hostFields, name) }

func (h *Host) hasVar(name string) bool {
	_, ok := h.variable(name)
	return ok
}

// lookup gives a variable of the host or, where it has none of that name, a
// setting.
func (h *Host) lookup(name string) (any, bool) {
	if v, ok := h.variable(name); ok {
		return v, true
	}
	switch name {
	case "name":
		return h.Name, true
	case "address":
		return h.Address, true
	case "port":
		if h.Port == 0 {
			return nil, true
		}
		return int64(h.Port), true
	case "user":
		return textOrNil(h.User), true
	case "become":
		return h.Become, true
	case "become_user":
		return textOrNil(h.BecomeUser), true
	case "become_method":
		return textOrNil(h.BecomeMethod), true
	case "jump":
		list := make([]any, len(h.Jump))
		for i, hop := range h.Jump {
			list[i] = hop
		}
		return list, true
	case "shell":
		return textOrNil(h.Shell), true
	}
	return nil, false
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// variable finds a variable, also one inside mappings: rack.row.
func (h *Host) variable(name string) (any, bool) {
	if v, ok := h.Vars[name]; ok {
		return v, true
	}
	vars := h.Vars
	for {
		key, rest, nested := strings.Cut(name, ".")
		v, ok := vars[key]
		if !nested || !ok {
			return v, ok && v != nil
		}
		if vars, ok = v.(map[string]any); !ok {
			return nil, false
		}
		name = rest
	}
}

// expression reads ~/.../ or all that follows, behind the "~"; it gives the
// place behind it.
func (s *selection) expression(from int, text string) (*regexp.Regexp, int, error) {
	start, end := len(s.text)-len(text), len(s.text)
	if strings.HasPrefix(text, "/") {
		length := closingSlash(text[1:])
		if length < 0 {
			return nil, 0, s.fail(from, end, `"~/" without a closing "/"`, "")
		}
		text, end = strings.ReplaceAll(text[1:1+length], `\/`, "/"), start+1+length+1
	}
	if text == "" {
		return nil, 0, s.fail(from, end, "empty regular expression", "")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		msg := printable(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nil, 0, s.fail(from, end, "regular expression: "+msg, "")
	}
	return re, end, nil
}

// afterExpression refuses all but an operator.
func (s *selection) afterExpression() error {
	if s.skipSpaces(); s.pos < len(s.text) && strings.IndexByte(operators, s.text[s.pos]) < 0 {
		return s.fail(s.pos, len(s.text), fmt.Sprintf("%q after a regular expression", abbreviate(s.text[s.pos:])), `write , & ! or ^ after the closing "/"`)
	}
	return nil
}
