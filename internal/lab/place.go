package lab

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultBase is far from what people use of 127.0.0.0/8 by hand.
const defaultBase = "127.90.0.0"

// roles are the groups of a fleet without given names, with their share of it
// in twentieths.
var roles = []struct {
	name  string
	share int
}{{"web", 10}, {"app", 5}, {"db", 3}, {"cache", 2}}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func hostNames(cfg Config) ([]string, error) {
	if len(cfg.Names) > 0 {
		if cfg.N != 0 && cfg.N != len(cfg.Names) {
			return nil, fmt.Errorf("lab: %d names for %d hosts", len(cfg.Names), cfg.N)
		}
		for _, n := range cfg.Names {
			if !nameRule.MatchString(n) {
				return nil, fmt.Errorf("lab: host name %q is not made of letters, digits, dots and hyphens", n)
			}
		}
		return cfg.Names, nil
	}
	n := cfg.N
	if n == 0 {
		n = 20
	}
	if n < 0 {
		return nil, fmt.Errorf("lab: %d hosts", n)
	}
	if cfg.Prefix != "" {
		if !nameRule.MatchString(cfg.Prefix) {
			return nil, fmt.Errorf("lab: prefix %q is not made of letters, digits, dots and hyphens", cfg.Prefix)
		}
		return numbered(cfg.Prefix, n), nil
	}
	return roleNames(n), nil
}

// roleNames deals n hosts out to the roles; every role but the first gets its
// share rounded down, and web the rest.
func roleNames(n int) []string {
	counts := make([]int, len(roles))
	rest := n
	for i := len(roles) - 1; i > 0; i-- {
		counts[i] = n * roles[i].share / 20
		rest -= counts[i]
	}
	counts[0] = rest
	var names []string
	for i, r := range roles {
		names = append(names, numbered(r.name, counts[i])...)
	}
	return names
}

// numbered gives prefix01 to prefixN, all of one width of two digits or more.
func numbered(prefix string, n int) []string {
	width := max(2, len(strconv.Itoa(n)))
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%0*d", prefix, width, i+1)
	}
	return names
}

func baseAddr(s string) (netip.Addr, error) {
	if s == "" {
		s = defaultBase
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf("lab: base address: %w", err)
	}
	if !a.Is4() || !a.IsLoopback() {
		return a, fmt.Errorf("lab: base address %s is not in 127.0.0.0/8", a)
	}
	return a, nil
}

// nextAddr is the address after a whose last byte is 1 to 254.
func nextAddr(a netip.Addr) netip.Addr {
	for a = a.Next(); ; a = a.Next() {
		if last := a.As4()[3]; last != 0 && last != 255 {
			return a
		}
	}
}

// splitName cuts a name into what stands before its last number and the digits.
func splitName(name string) (prefix, digits string) {
	i := len(name)
	for i > 0 && name[i-1] >= '0' && name[i-1] <= '9' {
		i--
	}
	return name[:i], name[i:]
}

// groupOf is the group that a host belongs to: its name without the number.
func groupOf(name string) string {
	prefix, digits := splitName(name)
	prefix = strings.Trim(prefix, "-._")
	if digits == "" || prefix == "" {
		return ""
	}
	return prefix
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return pattern == name || err == nil && ok
}

// faultOf joins the faults of all patterns that match the name.
func (cfg *Config) faultOf(name string) Fault {
	var patterns []string
	for p := range cfg.Faults {
		if matches(p, name) {
			patterns = append(patterns, p)
		}
	}
	slices.Sort(patterns)
	var all []string
	for _, p := range patterns {
		all = append(all, string(cfg.Faults[p]))
	}
	return Fault(strings.Join(all, "+"))
}
