package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// token is a word as written, with its quotes, or an operator.
type token struct {
	text     string
	operator bool
}

func (t token) redirects() bool { return t.operator && strings.ContainsAny(t.text, "<>") }

// operators, the longer before those that they start with.
func operators() [14]string {
	return [...]string{"2>>", "2>&", "&>", ">>", ">&", "2>", "1>", "&&", "||", ">", "<", "|", ";", "&"}
}

// lex cuts a line into tokens.
func lex(line string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '\n':
			tokens = append(tokens, token{";", true})
			i++
		case c == '#':
			for i < len(line) && line[i] != '\n' {
				i++
			}
		case c == '(' || c == ')' || c == '`':
			return nil, fmt.Errorf("%q unexpected (a host of the lab knows only simple commands)", c)
		default:
			if op := operatorAt(line[i:]); op != "" {
				tokens = append(tokens, token{op, true})
				i += len(op)
				continue
			}
			n, err := wordLength(line[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{line[i : i+n], false})
			i += n
		}
	}
	return tokens, nil
}

func operatorAt(s string) string {
	for _, op := range operators() {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

// wordLength is how far the word at the start of s reaches.
func wordLength(s string) (int, error) {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote == '\'':
			if c == '\'' {
				quote = 0
			}
		case c == '\\':
			i++
		case quote == '"':
			if c == '"' {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.IndexByte(" \t\r\n;&|<>()", c) >= 0:
			return i, nil
		}
	}
	if quote != 0 {
		return 0, errors.New("unterminated quoted string")
	}
	return len(s), nil
}

// expand takes the quotes off a word and puts variables in.
func (in *interpreter) expand(word string) string {
	if !strings.ContainsAny(word, `'"\$`) {
		return word
	}
	var b strings.Builder
	var quote byte
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case c == quote && quote != 0:
			quote = 0
		case quote == '\'':
			b.WriteByte(c)
		case c == '\\' && i+1 < len(word):
			i++
			if quote == '"' && strings.IndexByte("\"\\$`", word[i]) < 0 {
				b.WriteByte('\\')
			}
			if word[i] != '\n' {
				b.WriteByte(word[i])
			}
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == '$':
			v, n := in.variable(word[i+1:])
			b.WriteString(v)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// variable reads what stands behind a $ and says how long that was.
func (in *interpreter) variable(s string) (value string, n int) {
	if strings.HasPrefix(s, "{") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return in.lookup(s[1:end]), end + 1
		}
		return "$", 0
	}
	if s != "" && (s[0] == '?' || s[0] == '$') {
		return in.lookup(s[:1]), 1
	}
	for n < len(s) && isName(s[:n+1]) {
		n++
	}
	if n == 0 {
		return "$", 0
	}
	return in.lookup(s[:n]), n
}

func (in *interpreter) lookup(name string) string {
	if v, ok := in.vars[name]; ok {
		return v
	}
	switch name {
	case "?":
		return strconv.Itoa(in.status)
	case "$":
		return strconv.Itoa(1000 + in.host.index%30000)
	case "HOSTNAME":
		return in.host.Name
	case "USER", "LOGNAME":
		return in.user
	case "HOME", "PWD":
		return "/home/" + in.user
	case "PATH":
		return "/usr/local/bin:/usr/bin:/bin"
	case "SHELL":
		return "/bin/sh"
	}
	return ""
}
