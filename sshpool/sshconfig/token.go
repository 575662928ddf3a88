package sshconfig

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Env is what the local side adds to files: who runs this, and where.
type Env struct {
	User      string // local user
	UID       string // local user's number
	Home      string
	HostName  string                           // of this machine
	UserDir   string                           // of the user's file, and of relative includes in it
	SystemDir string                           // of the system's file, and of relative includes in it
	Getenv    func(name string) (string, bool) // nil means that no variable is set
}

// ThisUser is the Env of the process: ~/.ssh of the user's home folder as the
// user database has it, not $HOME, and /etc/ssh.
func ThisUser() (*Env, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return &Env{
		User: u.Username, UID: u.Uid, Home: u.HomeDir, HostName: host,
		UserDir: filepath.Join(u.HomeDir, ".ssh"), SystemDir: "/etc/ssh", Getenv: os.LookupEnv,
	}, nil
}

// expandTilde replaces ~ and ~user at the start of a path by a home folder.
func (e *Env) expandTilde(path string) (string, error) {
	if !strings.HasPrefix(path, "~") {
		return path, nil
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	home := e.Home
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return "", wrong(path, "%q: no such user")
		}
		home = u.HomeDir
	}
	return strings.TrimSuffix(home, "/") + "/" + strings.TrimLeft(rest, "/"), nil
}

// expandEnv replaces each ${NAME} by the variable's value.
func (e *Env) expandEnv(s string) (string, error) { return e.expand(s, nil) }

// tokens gives the value of a token's letter; ok is false if it has none here.
type tokens func(letter byte) (value string, ok bool)

// expand replaces ${NAME} in s and, unless of is nil, tokens; see ssh_config(5)
// "TOKENS" and "ENVIRONMENT VARIABLES".
func (e *Env) expand(s string, of tokens) (string, error) {
	if !strings.ContainsAny(s, "$%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			name, _, ok := strings.Cut(s[i+2:], "}")
			if !ok || name == "" {
				return "", wrong(s, "%q has a ${ without a name and }")
			}
			var value string
			ok = false
			if e.Getenv != nil {
				value, ok = e.Getenv(name)
			}
			if !ok {
				return "", wrong(name, "variable %q is not set")
			}
			b.WriteString(value)
			i += len(name) + 2
		case s[i] == '%' && of != nil:
			value, err := oneToken(s, i, of)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			i++
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// expandTokens replaces tokens only.
func expandTokens(s string, of tokens) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		value, err := oneToken(s, i, of)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		i++
	}
	return b.String(), nil
}

// oneToken gives the value of the token at s[i].
func oneToken(s string, i int, of tokens) (string, error) {
	if i+1 == len(s) {
		return "", wrong(s, "%q ends in %%")
	}
	if s[i+1] == '%' {
		return "%", nil
	}
	value, ok := of(s[i+1])
	if !ok {
		return "", wrong(s[i:i+2], "unknown token %q")
	}
	return value, nil
}

// only limits tokens to some letters.
func (of tokens) only(letters string) tokens {
	return func(letter byte) (string, bool) {
		if strings.IndexByte(letters, letter) < 0 {
			return "", false
		}
		return of(letter)
	}
}

// connection is what tokens are about.
type connection struct {
	env                                *Env
	host, original, port, user, as, by string // as: %k, by: %j
}

// tokens gives the values of the tokens that most keywords accept.
func (c *connection) tokens(letter byte) (string, bool) {
	switch letter {
	case 'C':
		sum := sha1.Sum([]byte(c.env.HostName + c.host + c.port + c.user + c.by))
		return hex.EncodeToString(sum[:]), true
	case 'd':
		return c.env.Home, true
	case 'h':
		return c.host, true
	case 'i':
		return c.env.UID, true
	case 'j':
		return c.by, true
	case 'k':
		return c.as, true
	case 'L':
		short, _, _ := strings.Cut(c.env.HostName, ".")
		return short, true
	case 'l':
		return c.env.HostName, true
	case 'n':
		return c.original, true
	case 'p':
		return c.port, true
	case 'r':
		return c.user, true
	case 'u':
		return c.env.User, true
	}
	return "", false
}
