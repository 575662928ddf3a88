package render

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// MaskNames lists what a Mask knows by name.
var MaskNames = []string{"times", "pids", "host"}

// Mask covers what differs between outputs that say the same: times, process
// ids, the host's own name, and what regular expressions match. A nil Mask
// covers nothing. It does not change and may be used concurrently.
type Mask struct {
	times, pids, host bool
	own               []*regexp.Regexp
}

// NewMask makes a mask of names, see MaskNames, and of regular expressions
// (RE2 syntax), each of which matches within one line. It is nil if there are none.
func NewMask(names, exprs []string) (*Mask, error) {
	m := &Mask{}
	for _, name := range names {
		switch name {
		case "times":
			m.times = true
		case "pids":
			m.pids = true
		case "host":
			m.host = true
		default:
			return nil, fmt.Errorf("unknown mask %q: not one of %s", name, strings.Join(MaskNames, ", "))
		}
	}
	for _, expr := range exprs {
		re, err := regexp.Compile(expr)
		if err != nil {
			why := err.Error()
			if e := (*syntax.Error)(nil); errors.As(err, &e) {
				why = e.Code.String() + ": " + e.Expr
			}
			return nil, fmt.Errorf("--mask-regex: regular expression %q: %s", expr, why)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("--mask-regex: regular expression %q: matches nothing at all, too", expr)
		}
		m.own = append(m.own, re)
	}
	if !m.times && !m.pids && !m.host && len(m.own) == 0 {
		return nil, nil
	}
	return m, nil
}

const (
	months = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
	clock  = `\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[AP]M)?\b`
	zone   = `(?:Z\b| ?[+-]\d\d:?\d\d\b| (?:UTC|GMT|CES?T|EES?T|WES?T|BST|IST|JST|MSK|[ECMP][SD]T|AE[SD]T)\b)?`
)

var (
	// As date, ls, syslog, journalctl, web servers (RFC 9110, 5.6.7) and RFC 3339 write times.
	timeRE = regexp.MustCompile(`^(?:` +
		`\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?(?:` + months + ` +\d{1,2}\b|\b\d{1,2} +` + months + `\b)(?: +\d\d +` + clock + zone + `|(?:,? +\d{4}\b)?(?:,? +` + clock + zone + `(?: +\d{4}\b)?)?)` +
		`|\b\d{1,2}/` + months + `/\d{4}(?::` + clock + zone + `)?` +
		`|\b\d{4}[-/]\d\d[-/]\d\d(?:[T_ ]` + clock + zone + `|\b)` +
		`|\b` + clock + zone + `)`)
	// As syslog tags have them, name[123], and as programs name them.
	tagRE = regexp.MustCompile(`\[\d+\]`)
	pidRE = regexp.MustCompile(`\b(p?pid|Pid|PP?ID|[Pp]rocess)([ =:#]+)\d+\b`)
)

// apply appends line as the mask lets it be seen; names are those of its host,
// the longest first.
func (m *Mask) apply(dst, line []byte, names []string) []byte {
	if m == nil {
		return append(dst, line...)
	}
	if m.host {
		for _, name := range names {
			line = maskName(line, name)
		}
	}
	if m.times {
		line = maskTimes(line)
	}
	if m.pids && bytes.IndexByte(line, '[') >= 0 {
		line = tagRE.ReplaceAllLiteral(line, []byte("[<pid>]"))
	}
	if m.pids && (bytes.Contains(line, []byte("id")) || bytes.Contains(line, []byte("ID")) || bytes.Contains(line, []byte("rocess"))) {
		line = pidRE.ReplaceAll(line, []byte("${1}${2}<pid>"))
	}
	for _, re := range m.own {
		line = re.ReplaceAllLiteral(line, []byte("<masked>"))
	}
	return append(dst, line...)
}

// timeMost is longer than any time that timeRE knows.
const timeMost = 72

// maskTimes covers times. What looks like a clock's within an address, such as
// 10.0.0.1:22 or aa:bb:12:34, is none. Only where a time can begin is it looked
// for: searching the line costs a hundred times as much.
func maskTimes(line []byte) []byte {
	var out []byte
	copied := 0
	for i := 0; i < len(line); i++ {
		if i > 0 && wordByte(line[i-1]) && line[i-1] != '-' || !timeBegins(line[i:]) {
			continue
		}
		at := timeRE.FindIndex(line[i:min(i+timeMost, len(line))])
		if at == nil {
			continue
		}
		end := i + at[1]
		if c := bytes.IndexByte(line[i:end], ':'); (c == 1 || c == 2) &&
			(i > 0 && (line[i-1] == '.' || line[i-1] == ':') || end < len(line) && line[end] == ':') {
			continue
		}
		out = append(append(out, line[copied:i]...), "<time>"...)
		copied, i = end, end-1
	}
	if copied == 0 {
		return line
	}
	return append(out, line[copied:]...)
}

// timeBegins says whether timeRE may match where p begins.
func timeBegins(p []byte) bool {
	if len(p) < 4 {
		return false
	}
	if !digit(p[0]) {
		switch string(p[:3]) {
		case "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
			"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
			return true
		}
		return false
	}
	n := 1
	for n < len(p) && n < 5 && digit(p[n]) {
		n++
	}
	if n == len(p) {
		return false
	}
	switch p[n] {
	case ':', '-', '/':
		return n <= 4
	case ' ': // a day before its month
		rest := bytes.TrimLeft(p[n:], " ")
		return n <= 2 && len(rest) > 2 && rest[0] >= 'A' && rest[0] <= 'S'
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// maskName covers name where it stands as a word.
func maskName(line []byte, name string) []byte {
	var out []byte
	copied := 0
	for from := 0; ; {
		i := bytes.Index(line[from:], []byte(name))
		if i < 0 {
			break
		}
		i += from
		end := i + len(name)
		if i > 0 && wordByte(line[i-1]) || end < len(line) && wordByte(line[end]) {
			from = i + 1
			continue
		}
		out = append(append(out, line[copied:i]...), "<host>"...)
		from, copied = end, end
	}
	if copied == 0 {
		return line
	}
	return append(out, line[copied:]...)
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}

// names are those that a mask covers for a host: its own, without its domain
// too, and its aliases.
func (m *Mask) names(host string, aliases func(host string) []string) []string {
	if m == nil || !m.host {
		return nil
	}
	names := []string{host}
	if short, _, dotted := strings.Cut(host, "."); dotted && strings.Trim(host, "0123456789.") != "" {
		names = append(names, short)
	}
	if aliases != nil {
		names = append(names, aliases(host)...)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.SortStableFunc(names, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(names)
}

// masked is text as the mask of a host lets it be seen, line by line.
func (m *Mask) masked(text []byte, names []string) []byte {
	if m == nil {
		return text
	}
	var s stream
	lines := maskedLines{mask: m, names: names}
	out := s.add(nil, text, lines)
	if len(s.part) > 0 {
		out = m.apply(out, s.part, names) // a last line without its end has none
	}
	return out
}

// maskedLines writes lines as a mask lets them be seen.
type maskedLines struct {
	mask  *Mask
	names []string
}

func (w maskedLines) appendLine(dst, line []byte) []byte {
	return append(w.mask.apply(dst, line, w.names), '\n')
}
