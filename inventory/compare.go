package inventory

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, as a fact.
type Size int64

// literal is the value that a condition compares with, as far as it can be read
// in each of the ways in which it may be meant.
type literal struct {
	text   string
	quoted bool
	re     *regexp.Regexp // of ~, alone

	glob   bool
	number *float64      // 1.5
	size   *float64      // 2G: bytes
	span   *float64      // 30d: seconds
	net    *netip.Prefix // 10.0.0.0/8
}

func newLiteral(text string) literal {
	l := literal{text: text, glob: strings.ContainsAny(text, "*?")}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) && !strings.ContainsAny(text, "xXpP_") {
		l.number = &n
	}
	l.size = inUnits(text, sizeUnits)
	l.span = inUnits(text, spanUnits)
	if net, err := netip.ParsePrefix(text); err == nil {
		net = net.Masked()
		l.net = &net
	}
	return l
}

type unit struct {
	name string
	of   float64
}

var (
	sizeUnits = []unit{{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"p", 1 << 50}, {"b", 1}}
	spanUnits = []unit{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}}
)

// inUnits reads a number with a unit behind it; sizes may end in B or iB.
func inUnits(text string, units []unit) *float64 {
	digits := strings.TrimRight(text, "kKmMgGtTpPiIbBsShHdDwW")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || digits == text || strings.ContainsAny(digits, "xXpP_nN") {
		return nil
	}
	name := strings.ToLower(text[len(digits):])
	for _, u := range units {
		if name == u.name || u.of >= 1<<10 && units[0].of == 1<<10 && (name == u.name+"b" || name == u.name+"ib") {
			n *= u.of
			return &n
		}
	}
	return nil
}

// test says whether the condition holds for a value; nil is no value.
func (c *condition) test(v any) bool {
	switch c.op {
	case "=":
		return c.value.anyOf(v, c.value.equals)
	case "!=":
		return !c.value.anyOf(v, c.value.equals)
	case "~":
		return c.value.anyOf(v, func(v any) bool { return c.value.re.MatchString(textOf(v)) })
	}
	return c.value.anyOf(v, func(v any) bool {
		order, ok := c.value.compare(v)
		if !ok {
			return false
		}
		switch c.op {
		case "<":
			return order < 0
		case "<=":
			return order <= 0
		case ">":
			return order > 0
		}
		return order >= 0
	})
}

// anyOf asks f for the value, or for each of a list.
func (l *literal) anyOf(v any, f func(any) bool) bool {
	switch v := v.(type) {
	case nil:
		return false
	case []any:
		for _, one := range v {
			if one != nil && f(one) {
				return true
			}
		}
		return false
	}
	return f(v)
}

func (l *literal) equals(v any) bool {
	text, isText := v.(string)
	switch {
	case isText && text == l.text:
		return true
	case l.quoted:
		return textOf(v) == l.text
	case isText && l.net != nil:
		addr, err := netip.ParseAddr(text)
		return err == nil && l.net.Contains(addr.Unmap())
	case isText && l.glob:
		return matchGlob(l.text, text)
	case isText:
		return false
	}
	if _, isBool := v.(bool); isBool {
		return textOf(v) == l.text
	}
	order, ok := l.compare(v)
	return ok && order == 0
}

// compare orders v against the literal: as numbers where both are, else, if v is
// a text, as versions. It reports false where that says nothing.
func (l *literal) compare(v any) (int, bool) {
	if text, ok := v.(string); ok {
		if n, err := strconv.ParseFloat(text, 64); err == nil && l.number != nil && !strings.Contains(text, ".") {
			return cmp.Compare(n, *l.number), true
		}
		return compareVersions(text, l.text), true
	}
	n, ok := numberOf(v)
	if !ok {
		return 0, false
	}
	ways := []*float64{l.number, l.size, l.span}
	switch v.(type) {
	case Size:
		ways = []*float64{l.number, l.size}
	case time.Duration:
		ways = []*float64{l.number, l.span}
	}
	for _, way := range ways {
		if way != nil {
			return cmp.Compare(n, *way), true
		}
	}
	return 0, false
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case Size:
		return float64(v), true
	case time.Duration:
		return v.Seconds(), true
	}
	return 0, false
}

func textOf(v any) string {
	if n, ok := numberOf(v); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// compareVersions orders versions as packages of Debian are ordered (deb-version(7)):
// text and numbers in turn, numbers by value, letters before other signs, "~"
// before everything, also the end.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		i, j := textLength(a), textLength(b)
		if c := compareSigns(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
		i, j = endOfDigits(a, 0), endOfDigits(b, 0)
		x, y := strings.TrimLeft(a[:i], "0"), strings.TrimLeft(b[:j], "0")
		if c := cmp.Or(len(x)-len(y), cmp.Compare(x, y)); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

func textLength(s string) int {
	n := 0
	for n < len(s) && !isDigit(s[n]) {
		n++
	}
	return n
}

func compareSigns(a, b string) int {
	rank := func(s string, i int) int {
		switch {
		case i >= len(s):
			return 0
		case s[i] == '~':
			return -1
		case 'a' <= s[i] && s[i] <= 'z' || 'A' <= s[i] && s[i] <= 'Z':
			return int(s[i])
		}
		return int(s[i]) + 256
	}
	for i := range max(len(a), len(b)) {
		if c := rank(a, i) - rank(b, i); c != 0 {
			return c
		}
	}
	return 0
}
