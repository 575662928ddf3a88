package sshconfig

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxFilesPerHost bounds identity and certificate files, as ssh does.
const maxFilesPerHost = 100

// Query is one host to resolve, as it would stand on ssh's command line.
type Query struct {
	Host string
	User string // -l; empty if not given
	Port int    // -p; 0 if not given
	Tag  string // -P; empty if not given
	// HostName is -o HostName, but taken as it stands: the name or address to
	// connect to, whatever the files say. Empty if not given.
	HostName string
	// Exec runs the command of a "Match exec" and says whether it succeeded. If
	// it is nil no command runs and such a Match means no host.
	Exec func(command string) (bool, error)
}

// state is what is known of a host while blocks are walked.
type state struct {
	*Config
	query    Query
	host     string // what Host lines match: as asked, in the final pass the name found
	final    bool
	hostname string // in the final pass
	first    [kwCount]*directive
	files    [2][]*directive // IdentityFile, CertificateFile
	sendEnv  []Value[string]
}

// Resolve says what the files mean for a host. Mistakes that show only for
// this host (a variable that is not set, an unknown token) are an *Error.
func (c *Config) Resolve(q Query) (*Resolved, error) {
	if !isSafeHost(q.Host) {
		return nil, wrong(q.Host, "%q is not the name of a host").plain()
	}
	if q.User != "" && !isSafeUser(q.User) {
		return nil, wrong(q.User, "%q is not the name of a user").plain()
	}
	if q.HostName != "" && !isSafeHost(q.HostName) {
		return nil, wrong(q.HostName, "%q is not the name of a host").plain()
	}
	s := &state{Config: c, query: q, host: q.Host}
	if err := s.walkAll(); err != nil {
		return nil, err
	}
	host, err := s.target()
	if err != nil {
		return nil, err
	}
	if c.final || s.get(kwCanonicalizeHostname) != "false" {
		s.final, s.host, s.hostname = true, host, host
		if err := s.walkAll(); err != nil {
			return nil, err
		}
	}
	return s.resolved(host)
}

// target gives the name to connect to: HostName if set, in lower case, and
// addresses in their usual form.
func (s *state) target() (string, error) {
	host := cmp.Or(s.query.HostName, s.query.Host)
	if d := s.first[kwHostName]; d != nil && s.query.HostName == "" {
		var err error
		if host, err = s.hostName(s.query.Host); err != nil {
			return "", err
		}
		if !isSafeHost(host) {
			return "", at(d.From, wrong(host, "%q is not the name of a host"))
		}
	}
	host = strings.ToLower(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), nil
	}
	return host, nil
}

// hostName expands HostName for a host.
func (s *state) hostName(host string) (string, error) {
	d := s.first[kwHostName]
	name, err := expandTokens(d.values[0], func(letter byte) (string, bool) { return host, letter == 'h' })
	return name, at(d.From, err)
}

func (s *state) walkAll() error {
	for _, f := range s.Config.files {
		if err := s.walk(f); err != nil {
			return err
		}
	}
	return nil
}

// walk applies the blocks of a file that mean the host, in order.
func (s *state) walk(f *file) error {
	literal, general := f.literal[s.host], f.general
	for len(literal) > 0 || len(general) > 0 {
		var b *block
		if len(general) == 0 || len(literal) > 0 && literal[0] < general[0] {
			b, literal = f.blocks[literal[0]], literal[1:]
		} else {
			b, general = f.blocks[general[0]], general[1:]
		}
		means, err := s.means(b)
		if err != nil {
			return at(b.From, err)
		}
		if !means {
			continue
		}
		for _, item := range b.items {
			if item.set != nil {
				err = s.apply(item.set)
			}
			for _, inner := range item.files {
				if err == nil {
					err = s.walk(inner)
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// means says whether a block means the host.
func (s *state) means(b *block) (bool, error) {
	switch {
	case b.any:
		return true, nil
	case b.match != nil:
		return s.meetsAll(b.match)
	}
	return b.meansHost(s.host), nil
}

// meetsAll says whether the host meets all criteria of a Match.
func (s *state) meetsAll(list []criterion) (bool, error) {
	for _, c := range list {
		meets, err := s.meets(c)
		if err != nil || !meets {
			return false, err
		}
	}
	return true, nil
}

// meets says whether the host meets one criterion, or does not if it is negated.
func (s *state) meets(c criterion) (bool, error) {
	var met bool
	switch c.name {
	case "all":
		met = true
	case "final", "canonical":
		met = s.final
	case "host":
		host, err := s.current()
		if err != nil {
			return false, err
		}
		met = matchList(c.arg, strings.ToLower(host), true)
	case "originalhost":
		met = matchList(c.arg, strings.ToLower(s.query.Host), true)
	case "user":
		met = matchList(c.arg, s.user(), false)
	case "localuser":
		met = matchList(c.arg, s.env.User, false)
	case "tagged":
		met = matchList(c.arg, s.tag(), false)
	case "exec":
		if s.query.Exec == nil {
			return false, nil
		}
		var err error
		if met, err = s.exec(c.arg); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	return met != c.negated, nil
}

// exec runs the command of a Match exec.
func (s *state) exec(command string) (bool, error) {
	host, err := s.current()
	if err != nil {
		return false, err
	}
	c := s.connection(host)
	if d := s.first[kwHostKeyAlias]; d == nil {
		c.as = host
	}
	if command, err = expandTokens(command, c.tokens); err != nil {
		return false, err
	}
	if !isSafeHost(host) || !isSafeUser(c.user) {
		return false, wrong(host, "Match exec for the unsafe name %q")
	}
	ok, err := s.query.Exec(command)
	if err != nil {
		return false, &Error{Text: err.Error(), Err: err}
	}
	return ok, nil
}

// current is the name that Match host looks at.
func (s *state) current() (string, error) {
	switch {
	case s.final:
		return s.hostname, nil
	case s.query.HostName != "":
		return s.query.HostName, nil
	case s.first[kwHostName] != nil:
		return s.hostName(s.host)
	}
	return s.host, nil
}

// apply takes over a directive, if it is the first of its keyword or all count.
func (s *state) apply(d *directive) error {
	switch d.kw.kind {
	case isRefusal:
		return at(d.From, bad(fmt.Sprintf("RefuseConnection: %q", d.values[0])))
	case isFiles:
		return s.addFile(d)
	case isSendEnv:
		s.addSendEnv(d)
		return nil
	case isTime:
		if d.values[0] == "none" {
			return nil // as if it were not there
		}
	}
	if have := s.first[d.kw.id]; have == nil || d.kw.kind == isProxy && have.isNoJump() && d.jump == nil {
		s.first[d.kw.id] = d
	}
	return nil
}

// isNoJump says whether d is "ProxyJump none", which gives way to a later
// ProxyCommand but not to a later ProxyJump.
func (d *directive) isNoJump() bool { return d.jump != nil && len(d.jump.hops) == 0 }

// addFile adds an IdentityFile or CertificateFile, once.
func (s *state) addFile(d *directive) error {
	list := &s.files[d.kw.id-kwIdentityFile]
	for _, have := range *list {
		if have.values[0] == d.values[0] {
			return nil
		}
	}
	if len(*list) == maxFilesPerHost {
		return at(d.From, wrong(d.values[0], "%q is one %s more than %d", d.kw.name, maxFilesPerHost))
	}
	*list = append(*list, d)
	return nil
}

// addSendEnv adds the names of a SendEnv, and takes off those after a "-".
func (s *state) addSendEnv(d *directive) {
	for _, name := range d.values {
		pattern, remove := strings.CutPrefix(name, "-")
		if !remove {
			s.sendEnv = append(s.sendEnv, Value[string]{name, d.From})
			continue
		}
		var kept []Value[string]
		for _, have := range s.sendEnv {
			if !matchPattern(pattern, have.V, false) {
				kept = append(kept, have)
			}
		}
		s.sendEnv = kept
	}
}

// get gives the printed form of a keyword's one value, or its default.
func (s *state) get(id int) string {
	if d := s.first[id]; d != nil {
		return d.values[0]
	}
	return s.keywords[id].def
}

func (s *state) user() string {
	if s.query.User != "" {
		return s.query.User
	}
	if d := s.first[kwUser]; d != nil {
		return d.values[0]
	}
	return s.env.User
}

func (s *state) tag() string {
	if s.query.Tag != "" {
		return s.query.Tag
	}
	return s.get(kwTag)
}

func (s *state) port() string {
	if s.query.Port > 0 {
		return strconv.Itoa(s.query.Port)
	}
	return s.get(kwPort)
}

// connection gives what tokens are about, as known by now.
func (s *state) connection(host string) *connection {
	c := &connection{env: &s.env, host: host, original: s.query.Host, port: s.port(), user: s.user(), as: s.query.Host}
	if d := s.first[kwHostKeyAlias]; d != nil {
		c.as = d.values[0]
	}
	if d := s.first[kwProxy]; d != nil && d.jump != nil && len(d.jump.hops) > 0 {
		c.by = d.jump.hops[len(d.jump.hops)-1].Host
	}
	return c
}

// plain is an error that stands in no file.
func (e *Error) plain() error { return errors.New(e.Text) }
