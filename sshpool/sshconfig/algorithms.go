package sshconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Algorithms is the value of Ciphers, MACs, KexAlgorithms and the like as it
// stands in a file: a comma list that replaces the default, or one that is
// added to it (+), taken from it (-) or put before it (^).
type Algorithms string

// Apply gives the algorithms to offer, best first: the default list changed as
// a says, limited to those that are supported at all. Names may be patterns, but
// not negated ones. An empty a is the default list. It is an error if none is left.
func (a Algorithms) Apply(defaults, supported []string) ([]string, error) {
	var list []string
	spec := string(a)
	switch {
	case spec == "":
		return slices.Clone(defaults), nil
	case spec[0] == '-':
		for _, name := range defaults {
			if !matchList(spec[1:], name, false) {
				list = append(list, name)
			}
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("algorithms %q leave none", clip(spec))
		}
		return list, nil
	case spec[0] == '+':
		list = slices.Concat(defaults, strings.Split(spec[1:], ","))
	case spec[0] == '^':
		list = slices.Concat(strings.Split(spec[1:], ","), defaults)
	default:
		list = strings.Split(spec, ",")
	}
	var offer []string
	for _, pattern := range list {
		if strings.HasPrefix(pattern, "!") {
			return nil, fmt.Errorf("algorithms %q: %q is negated", clip(spec), clip(pattern))
		}
		for _, name := range supported {
			if matchPattern(pattern, name, false) && !slices.Contains(offer, name) {
				offer = append(offer, name)
			}
		}
	}
	if len(offer) == 0 {
		return nil, fmt.Errorf("algorithms %q: none is supported", clip(spec))
	}
	return offer, nil
}

// Unsupported gives the names in a that no supported one matches, as written;
// for a list that only takes away, none.
func (a Algorithms) Unsupported(supported []string) (names []string) {
	spec := strings.TrimLeft(string(a), "+^")
	if spec == "" || spec[0] == '-' {
		return nil
	}
	for pattern := range strings.SplitSeq(spec, ",") {
		matches := func(name string) bool { return matchPattern(pattern, name, false) }
		if !slices.ContainsFunc(supported, matches) {
			names = append(names, clip(pattern))
		}
	}
	return names
}
