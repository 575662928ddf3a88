package ansible

import (
	"fmt"
	"strconv"
	"strings"

	"fleet/inventory"
)

// alphabet is what a range of letters runs through.
const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// hostWord reads [HOST]:PORT, HOST:PORT or HOST; the port is 0 where there is none.
func hostWord(text string) (host string, port int) {
	if end := strings.LastIndex(text, "]:"); end > 0 && text[0] == '[' {
		if n, ok := portNumber(text[end+2:]); ok && isAddress(text[1:end]) {
			return text[1:end], n
		}
	}
	depth, colons, last := 0, 0, -1
	for i := range len(text) {
		switch text[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ':':
			if depth == 0 {
				colons++
				last = i
			}
		}
	}
	if colons == 1 && last > 0 {
		if n, ok := portNumber(text[last+1:]); ok && isHostName(text[:last]) {
			return text[:last], n
		}
	}
	return text, 0
}

func portNumber(text string) (int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// isHostName says whether the text is a host name by Ansible's reckoning, ranges
// among it: labels begin and end with a letter or digit.
func isHostName(text string) bool {
	for label := range strings.SplitSeq(withoutRanges(text), ".") {
		if label == "" || strings.HasSuffix(label, "-") || strings.HasSuffix(label, "_") || label[0] == '-' {
			return false
		}
		if strings.ContainsAny(label, "[]:@/ ") {
			return false
		}
	}
	return true
}

func isAddress(text string) bool {
	return isHostName(text) || strings.Count(text, ":") >= 2 && strings.Trim(withoutRanges(text), "0123456789abcdefABCDEF:.") == ""
}

// withoutRanges replaces each range by a digit.
func withoutRanges(text string) string {
	for {
		from := strings.IndexByte(text, '[')
		to := strings.IndexByte(text, ']')
		if from < 0 || to < from {
			return text
		}
		text = text[:from] + "0" + text[to+1:]
	}
}

// hostRange is a name with ranges in it: literals and what stands between them.
type hostRange struct {
	lits  []string
	spans []span
	size  int
}

// span is one range; letters where it runs through the alphabet.
type span struct {
	from, count, step int
	width             int // of numbers with zeros before them
	letters           bool
}

// parseRange reads the ranges of a name; the error has no place.
func parseRange(text string) (*hostRange, error) {
	r := &hostRange{size: 1}
	for {
		from := strings.IndexByte(text, '[')
		if from < 0 {
			r.lits = append(r.lits, text)
			return r, nil
		}
		to := strings.IndexByte(text[from:], ']')
		if to < 0 {
			return nil, fmt.Errorf(`"[" without "]" in %q`, text)
		}
		s, err := parseSpan(text[from+1 : from+to])
		if err != nil {
			return nil, err
		}
		r.lits = append(r.lits, text[:from])
		r.spans = append(r.spans, s)
		if s.count > 0 && r.size > inventory.MaxHosts/s.count {
			return nil, fmt.Errorf("range of more than %d hosts", inventory.MaxHosts)
		}
		r.size *= s.count
		text = text[from+to+1:]
	}
}

// parseSpan reads BEGIN:END or BEGIN:END:STEP.
func parseSpan(text string) (span, error) {
	bounds := strings.Split(text, ":")
	if len(bounds) != 2 && len(bounds) != 3 {
		return span{}, fmt.Errorf("range %q is neither BEGIN:END nor BEGIN:END:STEP", text)
	}
	s := span{step: 1}
	if len(bounds) == 3 {
		step, err := strconv.Atoi(bounds[2])
		if err != nil || step < 1 {
			return span{}, fmt.Errorf("range %q: the step %q is no number above 0", text, bounds[2])
		}
		s.step = step
	}
	begin, end := bounds[0], bounds[1]
	if begin == "" {
		begin = "0"
	}
	if end == "" {
		return span{}, fmt.Errorf("range %q has no end", text)
	}
	if len(begin) > 1 && begin[0] == '0' {
		if s.width = len(begin); len(end) != s.width {
			return span{}, fmt.Errorf("range %q: begin and end differ in length, and zeros stand before the begin", text)
		}
	}
	last := 0
	if len(begin) == 1 && len(end) == 1 && strings.Contains(alphabet, begin) && strings.Contains(alphabet, end) {
		s.letters = true
		s.from, last = strings.Index(alphabet, begin), strings.Index(alphabet, end)
		if s.from > last {
			return span{}, fmt.Errorf("range %q ends before it begins", text)
		}
	} else {
		var ok1, ok2 bool
		s.from, ok1 = portNumber(begin)
		last, ok2 = portNumber(end)
		if !ok1 || !ok2 {
			return span{}, fmt.Errorf("range %q is neither of numbers nor of single letters", text)
		}
	}
	if last >= s.from {
		s.count = (last-s.from)/s.step + 1
	}
	return s, nil
}

// each calls f with every name, the rightmost range turning fastest; it reports
// whether f always wanted more.
func (r *hostRange) each(f func(string) bool) bool { return r.part(nil, 0, f) }

func (r *hostRange) part(buf []byte, i int, f func(string) bool) bool {
	buf = append(buf, r.lits[i]...)
	if i == len(r.spans) {
		return f(string(buf))
	}
	s := &r.spans[i]
	length := len(buf)
	for k := range s.count {
		n := s.from + k*s.step
		buf = buf[:length]
		if s.letters {
			buf = append(buf, alphabet[n])
		} else {
			digits := strconv.AppendInt(nil, int64(n), 10)
			for range s.width - len(digits) {
				buf = append(buf, '0')
			}
			buf = append(buf, digits...)
		}
		if !r.part(buf, i+1, f) {
			return false
		}
	}
	return true
}

// ListedHost adds a host of a list such as web1,web2:2222 to c, which may have
// a port behind its name.
func ListedHost(c *inventory.Content, text string) error {
	name, port := hostWord(text)
	h, err := c.Host(name, inventory.Mark{})
	if err != nil || port == 0 {
		return err
	}
	h.Var("ansible_port", int64(port), inventory.Mark{})
	return h.Setting("port", inventory.Mark{}, strconv.Itoa(port))
}
