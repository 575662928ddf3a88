package inventory

import (
	"fmt"
	"iter"
	"strings"
)

// nearest gives the candidate with the smallest edit distance to word, where
// that is small enough to be a likely slip: one edit, or up to a third of the
// word. The first of equals wins; case is ignored.
func nearest(word string, candidates iter.Seq[string]) (string, bool) {
	const longest = 255
	if len(word) == 0 || len(word) > longest {
		return "", false
	}
	lower := strings.ToLower(word)
	limit := max(1, (len(word)+1)/3)
	best, found := "", false
	var rows distanceRows
	for c := range candidates {
		if d := len(c) - len(word); d > limit || -d > limit || c == word {
			continue
		}
		if n := rows.distance(lower, strings.ToLower(c), limit); n <= limit {
			best, found = c, true
			if limit = n - 1; limit < 0 {
				break
			}
		}
	}
	return best, found
}

// didYouMean is the hint that names the nearest candidate, or "".
func didYouMean(word string, candidates iter.Seq[string]) string {
	if near, ok := nearest(word, candidates); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// distanceRows holds the rows of the distance table between calls.
type distanceRows struct{ before, last, cur []int }

// distance is the optimal string alignment distance (insert, delete, replace,
// swap of neighbours) in bytes; above limit the result is only known to be
// above it.
func (r *distanceRows) distance(a, b string, limit int) int {
	n := len(b) + 1
	for len(r.cur) < n {
		r.before, r.last, r.cur = append(r.before, 0), append(r.last, 0), append(r.cur, 0)
	}
	for j := range n {
		r.last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		r.cur[0] = i
		least := i
		for j := 1; j < n; j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(r.last[j]+1, r.cur[j-1]+1, r.last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, r.before[j-2]+1)
			}
			r.cur[j] = d
			least = min(least, d)
		}
		if least > limit {
			return limit + 1
		}
		r.before, r.last, r.cur = r.last, r.cur, r.before
	}
	return r.last[n-1]
}
