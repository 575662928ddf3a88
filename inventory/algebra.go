package inventory

import "strings"

// Combine gives a with b joined to it by an operator of patterns: ',' both, '&'
// what is in both, '!' what is in a alone, '^' what is in one of them. Names keep
// their order, those of a first; each comes once.
func Combine(a []string, op byte, b []string) []string {
	inA, inB := make(map[string]bool, len(a)), make(map[string]bool, len(b))
	for _, name := range a {
		inA[name] = true
	}
	for _, name := range b {
		inB[name] = true
	}
	out := []string{}
	seen := make(map[string]bool)
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, name := range a {
		switch {
		case op == ',', op == '&' && inB[name], (op == '!' || op == '^') && !inB[name]:
			add(name)
		}
	}
	for _, name := range b {
		if op == ',' || op == '^' && !inA[name] {
			add(name)
		}
	}
	return out
}

// Split cuts names into n lists as equal as can be, the longer ones first, or
// into as many as there are names.
func Split(names []string, n int) [][]string {
	var out [][]string
	for n = min(n, len(names)); n > 0; n-- {
		size := (len(names) + n - 1) / n
		out = append(out, names[:size:size])
		names = names[size:]
	}
	return out
}

// Contiguous cuts names into one list for each run of numbers; where there are
// several ranges, for each run of each beside each of the others.
func Contiguous(names []string) [][]string {
	var out [][]string
	for _, block := range splitTop(Fold(names)) {
		for _, p := range runs(block) {
			if run, err := ExpandSet(p); err == nil {
				out = append(out, run)
			} else {
				out = append(out, []string{p})
			}
		}
	}
	return out
}

// runs writes a block of a folded set as blocks whose ranges are one run each.
func runs(block string) []string {
	open := strings.IndexByte(block, '[')
	length := strings.IndexByte(block[max(open, 0):], ']')
	if open < 0 || length < 0 {
		return []string{block}
	}
	rest := runs(block[open+length+1:])
	var out []string
	for run := range strings.SplitSeq(block[open+1:open+length], ",") {
		if strings.Contains(run, "-") {
			run = "[" + run + "]"
		}
		for _, r := range rest {
			out = append(out, block[:open]+run+r)
		}
	}
	return out
}

// splitTop cuts a host set at its commas outside brackets.
func splitTop(set string) []string {
	if set == "" {
		return nil
	}
	var out []string
	depth, from := 0, 0
	for i := range len(set) {
		switch set[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, set[from:i])
				from = i + 1
			}
		}
	}
	return append(out, set[from:])
}
