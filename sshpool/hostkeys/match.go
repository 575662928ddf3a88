package hostkeys

import (
	"net"
	"strings"
)

// lineName gives the name under which known_hosts files keep addr: in lower
// case, "host" for port 22 and "[host]:port" for others. bare is the name
// without its port where that differs, else empty.
func lineName(addr string) (name, bare string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, "22"
	}
	host = strings.ToLower(host)
	if port == "22" || port == "" || port == "0" {
		return host, ""
	}
	return "[" + host + "]:" + port, host
}

// hostOf gives the host in addr, in lower case and without its port.
func hostOf(addr string) string {
	name, bare := lineName(addr)
	if bare != "" {
		return bare
	}
	return name
}

// isHashed says whether a line's names are one hashed name.
func isHashed(hosts string) bool { return strings.HasPrefix(hosts, "|") }

// isPattern says whether a line's names need matching one by one.
func isPattern(hosts string) bool { return strings.ContainsAny(hosts, "*?!") }

// matchNames says whether a line's names mean name, which is in lower case.
func matchNames(hosts, name string) bool {
	if isHashed(hosts) {
		h, err := parseHashed(hosts)
		return err == nil && h.means(name)
	}
	return matchPatterns(hosts, name)
}

// matchPatterns matches name with a list of patterns: one of them must match
// and none of those negated by "!".
func matchPatterns(list, name string) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		negated := strings.HasPrefix(pattern, "!")
		if negated {
			pattern = pattern[1:]
		}
		if !matchPattern(pattern, name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// matchPattern matches name with one pattern, in which "*" means any bytes and
// "?" any one byte. It takes at most len(pattern)*len(name) steps.
func matchPattern(pattern, name string) bool {
	p, n := 0, 0
	star, mark := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || lower(pattern[p]) == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
