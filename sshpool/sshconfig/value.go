package sshconfig

import (
	"errors"
	"maps"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// directive is one line that sets a value.
type directive struct {
	From
	kw     *keyword
	values []string // as ssh -G prints them
	jump   *jump    // for ProxyJump
}

// readValue reads the arguments of a keyword. words are the arguments, rest is
// the same as it stands in the line.
func readValue(kw *keyword, name string, words []string, rest string) (*directive, error) {
	d := &directive{kw: kw}
	switch kw.kind {
	case isStrings, isSendEnv, isSetEnv:
		return d, d.readList(words)
	case isProxy:
		rest = strings.TrimLeft(rest, blanks+"=")
		if name == "proxyjump" {
			return d, d.readJump(rest)
		}
		d.values = []string{rest}
		return d, nil
	}
	if len(words) == 0 || words[0] == "" {
		return nil, wrong(name, "%q has no argument")
	}
	if len(words) > 1 {
		return nil, wrong(words[1], "extra argument %q")
	}
	value, err := readWord(kw, words[0])
	d.values = []string{value}
	return d, err
}

// readWord reads the argument of a keyword that takes one.
func readWord(kw *keyword, word string) (string, error) {
	lower := strings.ToLower(word)
	switch kw.kind {
	case isFlag:
		if yes, ok := readFlag(lower); ok {
			return yes, nil
		}
		return "", wrong(word, "%q is neither yes nor no")
	case isAgent:
		if yes, ok := readFlag(lower); ok {
			return yes, nil
		}
	case isChoice:
		if printed, ok := kw.choices[lower]; ok {
			return printed, nil
		}
		return "", wrong(word, "%q is not one of %s", strings.Join(slices.Sorted(maps.Keys(kw.choices)), ", "))
	case isNumber:
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil {
			return "", wrong(word, "%q is not a number from 0 to 2147483647")
		}
		return strconv.FormatUint(n, 10), nil
	case isTime:
		return readTime(word)
	case isPort:
		port, ok := readPort(word)
		if !ok {
			return "", wrong(word, "%q is not a port")
		}
		return strconv.Itoa(port), nil
	}
	return word, nil
}

func readFlag(lower string) (string, bool) {
	switch lower {
	case "yes", "true":
		return "yes", true
	case "no", "false":
		return "no", true
	}
	return "", false
}

// readPort reads a port's number or the name of its service.
func readPort(word string) (int, bool) {
	if n, err := strconv.ParseUint(word, 10, 16); err == nil {
		return int(n), n > 0
	}
	if word == "" || word[0] < 'a' || word[0] > 'z' {
		return 0, false
	}
	n, err := net.LookupPort("tcp", word)
	return n, err == nil
}

// readTime reads a time as sshd_config(5) "TIME FORMATS" has it, and prints it
// in seconds.
func readTime(word string) (string, error) {
	if word == "none" {
		return word, nil
	}
	total := 0
	for s := word; s != ""; {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseUint(s[:digits], 10, 31)
		if err != nil {
			return "", wrong(word, "%q is not a time")
		}
		unit := 1
		if s = s[digits:]; s != "" {
			switch s[0] {
			case 's', 'S':
			case 'm', 'M':
				unit = 60
			case 'h', 'H':
				unit = 60 * 60
			case 'd', 'D':
				unit = 24 * 60 * 60
			case 'w', 'W':
				unit = 7 * 24 * 60 * 60
			default:
				return "", wrong(word, "%q is not a time")
			}
			s = s[1:]
		}
		if total += int(n) * unit; total > math.MaxInt32 {
			return "", wrong(word, "%q is too long a time")
		}
	}
	return strconv.Itoa(total), nil
}

// readList reads the arguments of a keyword that takes several.
func (d *directive) readList(words []string) error {
	for i, word := range words {
		switch d.kw.kind {
		case isStrings:
			if word == "" {
				return wrong(d.kw.name, "%q has an empty argument")
			}
			if strings.EqualFold(word, "none") && len(words) > 1 {
				return wrong(words[1-min(i, 1)], `"none" stands beside %q`)
			}
		case isSendEnv:
			if word == "" || strings.Contains(word, "=") {
				return wrong(word, "%q is not the name of a variable")
			}
		case isSetEnv:
			name, _, ok := strings.Cut(word, "=")
			if !ok {
				return wrong(word, "%q is not NAME=VALUE")
			}
			if d.setsEnv(name) {
				continue
			}
		}
		d.values = append(d.values, word)
	}
	return nil
}

// setsEnv says whether a SetEnv has a variable already.
func (d *directive) setsEnv(name string) bool {
	for _, v := range d.values {
		if strings.HasPrefix(v, name+"=") {
			return true
		}
	}
	return false
}

// Hop is one jump host of a ProxyJump.
type Hop struct {
	User string // empty if not given
	Host string
	Port int // 0 if not given
}

// jump is what a ProxyJump says; no hops means none.
type jump struct {
	hops  []Hop
	extra string // all but the last, as written
}

// readJump reads the argument of ProxyJump: none, or hops with commas between.
func (d *directive) readJump(text string) error {
	d.jump = &jump{}
	text, _, _ = strings.Cut(text, "#")
	text = strings.TrimRight(text, blanks)
	if strings.EqualFold(text, "none") {
		d.values = []string{"none"}
		return nil
	}
	for spec := range strings.SplitSeq(text, ",") {
		hop, ok := parseHop(spec)
		if !ok {
			return wrong(spec, "%q is not a jump host")
		}
		d.jump.hops = append(d.jump.hops, hop)
	}
	if i := strings.LastIndexByte(text, ','); i >= 0 {
		d.jump.extra = text[:i]
	}
	d.values = []string{d.jump.String()}
	return nil
}

// String is a ProxyJump as ssh -G prints it.
func (j *jump) String() string {
	last := j.hops[len(j.hops)-1]
	text := last.Host
	if strings.Contains(text, ":") || strings.Trim(text, "0123456789.") == "" {
		text = "[" + text + "]"
	}
	if last.User != "" {
		text = last.User + "@" + text
	}
	if last.Port != 0 {
		text += ":" + strconv.Itoa(last.Port)
	}
	if j.extra != "" {
		text = j.extra + "," + text
	}
	return text
}

// ParseHop reads [user@]host[:port] or ssh://[user@]host[:port], as ProxyJump
// has it. An IPv6 address with a port stands in brackets; without, it may stand
// bare. A colon in the user's name is refused without repeating what stands
// there: most likely it is a password.
func ParseHop(spec string) (Hop, error) {
	if i := strings.LastIndexByte(spec, '@'); i >= 0 && strings.Contains(strings.TrimPrefix(spec[:i], "ssh:"), ":") {
		return Hop{}, errors.New("the user's name holds a colon; a password has no place on a command line")
	}
	user, host, found := strings.Cut(spec, "@")
	if !found {
		user, host = "", spec
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() && (user == "") == !found && (!found || isSafeUser(user)) {
		return Hop{User: user, Host: host}, nil
	}
	hop, ok := parseHop(spec)
	if !ok {
		return Hop{}, wrong(spec, "%q is not [user@]host[:port]").plain()
	}
	return hop, nil
}

// parseHop reads [user@]host[:port] or ssh://[user@]host[:port].
func parseHop(spec string) (Hop, bool) {
	var hop Hop
	uri := false
	if len(spec) >= 6 && strings.EqualFold(spec[:6], "ssh://") {
		uri = true
		spec = strings.TrimSuffix(spec[6:], "/")
	}
	if i := strings.LastIndexByte(spec, '@'); i >= 0 {
		hop.User, spec = spec[:i], spec[i+1:]
		if hop.User == "" {
			return hop, false
		}
	}
	var port string
	var ok bool
	if hop.Host, port, ok = splitPort(spec); !ok {
		return hop, false
	}
	if port != "" {
		if hop.Port, ok = readPort(port); !ok {
			return hop, false
		}
	}
	if uri {
		hop.User, _, _ = strings.Cut(hop.User, ";")
		user, err1 := url.PathUnescape(hop.User)
		host, err2 := url.PathUnescape(hop.Host)
		hop.User, hop.Host = user, host
		ok = err1 == nil && err2 == nil && !strings.Contains(host, "/")
	}
	return hop, ok && isSafeHost(hop.Host) && (hop.User == "" || isSafeUser(hop.User))
}

// splitPort splits host:port or [host]:port. The port may be missing.
func splitPort(s string) (host, port string, ok bool) {
	if strings.HasPrefix(s, "[") {
		host, rest, ok := strings.Cut(s[1:], "]")
		if rest == "" {
			return host, "", ok
		}
		port, found := strings.CutPrefix(rest, ":")
		return host, port, ok && found
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port, true
}

// isSafeHost says whether a host's name may be handed to a command line: it is
// no option and holds nothing that a shell reads as more than text. The rule is
// ssh's own for names on its command line.
func isSafeHost(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsAny(s, "'\"`$;&<>|(){}\\ ") && !hasControl(s)
}

// isSafeUser is the same for a user's name, which may hold a domain and "\".
func isSafeUser(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsAny(s, "'\"`$;&<>|(){}") &&
		!strings.Contains(s, " -") && !strings.HasSuffix(s, "\\") && !hasControl(s)
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}
