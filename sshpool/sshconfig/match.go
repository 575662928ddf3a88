package sshconfig

import (
	"fmt"
	"strings"
)

// hostPattern is one word of a Host line.
type hostPattern struct {
	pattern string
	negated bool
}

// parseHost reads the words of a Host line.
func (p *parser) parseHost(b *block, words []string) error {
	for _, word := range words {
		if word == "" {
			return wrong("host", "%q has an empty argument")
		}
		pattern, negated := strings.CutPrefix(word, "!")
		b.hosts = append(b.hosts, hostPattern{pattern, negated})
		if negated || isPattern(pattern) || p.seen[pattern] {
			continue
		}
		p.seen[pattern] = true
		if isSafeHost(pattern) {
			p.names = append(p.names, pattern)
		} else {
			p.warn(b.From, fmt.Sprintf("%q cannot be the name of a host", clip(pattern)))
		}
	}
	return nil
}

// isLiteral says whether a block is a Host line of names only.
func (b *block) isLiteral() bool {
	for _, h := range b.hosts {
		if h.negated || isPattern(h.pattern) {
			return false
		}
	}
	return len(b.hosts) > 0
}

// meansHost says whether a Host line means a host: one pattern matches, and no
// negated one does.
func (b *block) meansHost(host string) bool {
	found := false
	for _, h := range b.hosts {
		if !matchPattern(h.pattern, host, false) {
			continue
		}
		if h.negated {
			return false
		}
		found = true
	}
	return found
}

func isPattern(s string) bool { return strings.ContainsAny(s, "*?") }

// criterion is one condition of a Match line.
type criterion struct {
	name    string
	negated bool
	arg     string
}

// parseMatch reads a Match line. Its words split at "=" too, and only double
// quotes mean something, unlike those of other lines.
func (p *parser) parseMatch(b *block, rest string) error {
	for rest != "" {
		word, after, ok := nextDelimited(rest)
		if !ok {
			return bad("quote without an end")
		}
		rest = after
		if word == "" || word[0] == '#' {
			break
		}
		c := criterion{name: strings.ToLower(word)}
		c.name, c.negated = strings.CutPrefix(c.name, "!")
		switch c.name {
		case "all":
			if len(b.match) > 1 {
				return wrong(word, "%q stands beside other criteria")
			}
			if after, _, _ := nextDelimited(rest); after != "" && after[0] != '#' {
				return wrong(after, `%q stands after "all"`)
			}
			b.match = append(b.match, c)
			return nil
		case "final", "canonical":
			p.final = p.final || c.name == "final"
			b.match = append(b.match, c)
			continue
		}
		if c.arg, rest, ok = nextDelimited(rest); !ok || c.arg == "" || c.arg[0] == '#' {
			return wrong(word, "%q has no argument")
		}
		if err := p.knowCriterion(b, c, word); err != nil {
			return err
		}
		b.match = append(b.match, c)
	}
	if len(b.match) == 0 {
		return wrong("match", "%q has no criteria")
	}
	return nil
}

// knowCriterion refuses unknown criteria and warns of those that cannot be told.
func (p *parser) knowCriterion(b *block, c criterion, word string) error {
	switch c.name {
	case "host", "originalhost", "user", "localuser", "tagged":
	case "exec":
		p.execs = append(p.execs, b.From)
	case "localnetwork", "version", "sessiontype", "command":
		p.warn(b.From, fmt.Sprintf("Match %s is not supported: its lines have no effect", c.name))
	default:
		return wrong(word, "unknown criterion %q of Match")
	}
	return nil
}

// matchList matches s with a comma list of patterns: one matches, and none of
// those negated by "!". fold takes the patterns in lower case.
func matchList(list, s string, fold bool) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !matchPattern(pattern, s, fold) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// MatchPattern says whether a name matches a pattern of ssh_config(5), PATTERNS:
// "*" means any bytes and "?" any one byte.
func MatchPattern(pattern, name string) bool { return matchPattern(pattern, name, false) }

// matchPattern matches s with one pattern, in which "*" means any bytes and
// "?" any one byte. It takes at most len(pattern)*len(s) steps.
func matchPattern(pattern, s string, fold bool) bool {
	p, n := 0, 0
	star, mark := -1, 0
	for n < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || fold && lower(pattern[p]) == s[n] || !fold && pattern[p] == s[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
