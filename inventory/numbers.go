package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// span is lo-hi/step; width is the number of digits to pad to with zeros, or 0.
type span struct {
	lo, hi, step uint64
	width        int
}

func (s span) size() uint64 { return (s.hi-s.lo)/s.step + 1 }

// numbers is what stands between a pair of brackets.
type numbers struct {
	spans []span
	size  uint64
	texts []string // instead of spans, where these overlap
}

// addSpan reads N, N-M or N-M/S, which stands at byte at of the whole text.
func (p *setParser) addSpan(r *numbers, part string, at int) error {
	text := strings.TrimSpace(part)
	at += strings.Index(part, text)
	fail := func(msg, hint string) error { return p.fail(at, at+len(text), msg, hint) }
	if text == "" {
		return fail("empty range", "write numbers as in [1-9]")
	}
	bounds, stepText, stepped := strings.Cut(text, "/")
	first, last, ranged := strings.Cut(bounds, "-")
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if !ranged {
		last = first
	}
	s := span{step: 1}
	for _, n := range []struct {
		text string
		to   *uint64
		use  bool
	}{{first, &s.lo, true}, {last, &s.hi, true}, {strings.TrimSpace(stepText), &s.step, stepped}} {
		if !n.use {
			continue
		}
		v, msg := parseNumber(n.text)
		if msg != "" {
			return fail(fmt.Sprintf("range %q: %s", abbreviate(text), msg), "")
		}
		*n.to = v
	}
	padded := isPadded(first) || isPadded(last)
	switch {
	case stepped && !ranged:
		return fail(fmt.Sprintf("range %q: step after a single number", text), "")
	case s.step == 0:
		return fail(fmt.Sprintf("range %q: step is 0", text), "")
	case padded && len(first) != len(last):
		return fail(fmt.Sprintf("range %q: zero padding of different width", text), "pad both ends alike, as in [001-100]")
	case s.lo > s.hi:
		return fail(fmt.Sprintf("range %q is reversed", text), fmt.Sprintf("write %s-%s", last, first))
	}
	if padded {
		s.width = len(first)
	}
	r.spans = append(r.spans, s)
	if r.size += s.size(); r.size < s.size() {
		r.size = ^uint64(0)
	}
	return nil
}

// parseNumber gives the value, or a message that says what is wrong.
func parseNumber(text string) (uint64, string) {
	if text == "" {
		return 0, "number missing"
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Sprintf("%q is not a number", abbreviate(text))
	}
	if len(text) > maxDigits {
		return 0, fmt.Sprintf("number of %d digits, the limit is %d", len(text), maxDigits)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, err.Error()
	}
	return n, ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPadded reports whether zeros lead the number: 01 and 00 do, 0 does not.
func isPadded(text string) bool { return len(text) > 1 && text[0] == '0' }

// dedupe writes out the numbers where spans overlap, so that each comes once.
func (r *numbers) dedupe() {
	if len(r.spans) < 2 {
		return
	}
	sorted := slices.Clone(r.spans)
	slices.SortFunc(sorted, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	overlap := false
	for i := 1; i < len(sorted); i++ {
		overlap = overlap || sorted[i].lo <= sorted[i-1].hi
		sorted[i].hi = max(sorted[i].hi, sorted[i-1].hi)
	}
	if !overlap {
		return
	}
	seen := make(map[string]bool)
	var texts []string
	r.each(nil, func(b []byte) bool {
		if !seen[string(b)] {
			text := string(b)
			seen[text] = true
			texts = append(texts, text)
		}
		return true
	})
	r.texts, r.size, r.spans = texts, uint64(len(texts)), nil
}

// each calls f with buf and one number after it, for all numbers in the order
// written; it reports whether f always wanted more.
func (r *numbers) each(buf []byte, f func([]byte) bool) bool {
	for _, text := range r.texts {
		if !f(append(buf, text...)) {
			return false
		}
	}
	for _, s := range r.spans {
		for v := s.lo; ; v += s.step {
			if !f(appendNumber(buf, v, s.width)) {
				return false
			}
			if s.hi-v < s.step {
				break
			}
		}
	}
	return true
}

func appendNumber(buf []byte, v uint64, width int) []byte {
	digits := 1
	for w := v; w >= 10; w /= 10 {
		digits++
	}
	for ; digits < width; digits++ {
		buf = append(buf, '0')
	}
	return strconv.AppendUint(buf, v, 10)
}
