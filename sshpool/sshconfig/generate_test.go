package sshconfig

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// scribe writes random files about few hosts, so that most lines matter.
type scribe struct {
	r      *rand.Rand
	folder string
}

func (s scribe) pick(words ...string) string { return words[s.r.IntN(len(words))] }

// quoted spells a word in one of the ways that mean the same.
func (s scribe) quoted(word string) string {
	switch s.r.IntN(8) {
	case 0:
		return `"` + word + `"`
	case 1:
		return "'" + word + "'"
	case 2:
		return word[:len(word)/2] + `"` + word[len(word)/2:] + `"`
	}
	return strings.ReplaceAll(word, " ", `\ `)
}

// cased spells a keyword with letters of any case.
func (s scribe) cased(word string) string {
	switch s.r.IntN(4) {
	case 0:
		return strings.ToUpper(word)
	case 1:
		return strings.ToUpper(word[:1]) + word[1:]
	}
	return word
}

// set joins a keyword and its argument in one of the ways allowed.
func (s scribe) set(keyword, argument string) string {
	return s.pick("", "  ", "\t") + s.cased(keyword) + s.pick(" ", "  ", "\t", "=", " = ", "= ") + argument + s.pick("", "", " ", " # why")
}

func (s scribe) pattern() string {
	return s.pick("!", "", "", "", "") + s.pick("web1", "web2", "db", "*", "web*", "w?b1", "*.example.org", "web2.example.org", "10.0.0.*", "WEB1", "*b*", "one")
}

func (s scribe) host() string {
	words := []string{s.quoted(s.pattern())}
	for s.r.IntN(3) == 0 {
		words = append(words, s.pattern())
	}
	return s.cased("host") + " " + strings.Join(words, " ")
}

func (s scribe) match() string {
	line := s.cased("match") + s.pick(" ", " ", "=")
	if s.r.IntN(5) == 0 {
		return line + s.pick("all", "!all", "final all", "canonical", "final", "!final", "!canonical", "final host one")
	}
	for first := true; first || s.r.IntN(2) == 0; first = false {
		line += s.pick("", "", "", "!") + s.cased(s.pick("host", "originalhost", "user", "localuser", "exec")) + s.pick(" ", "=", " = ")
		switch {
		case strings.HasSuffix(strings.ToLower(strings.TrimRight(line, " =")), "exec"):
			line += s.pick(`"test %n = web1"`, `"test %r = bob"`, "true", "false", `"test %h != one -a %p != 7"`)
		case strings.HasSuffix(strings.ToLower(strings.TrimRight(line, " =")), "user"):
			line += s.pick("root", "bob", "bob,root", "!bob,*", `"b*"`, "ann")
		default:
			line += s.pattern() + s.pick("", ","+s.pattern())
		}
		line += " "
	}
	return line
}

func (s scribe) value() string {
	switch s.r.IntN(22) {
	case 0:
		return s.set("port", s.pick("7", "22", "2222", `"99"`))
	case 1:
		return s.set("user", s.quoted(s.pick("bob", "ann", "root")))
	case 2:
		return s.set("hostname", s.pick("one", "%h.example.org", "One", "10.0.0.9", "%%x", "::0001"))
	case 3, 4:
		return s.set("identityfile", s.quoted(s.pick("~/a b", "/k/%h", "none", "x", "~/.ssh/id")))
	case 5:
		return s.set("certificatefile", s.quoted(s.pick("c", "d e")))
	case 6:
		return s.set("identityagent", s.quoted(s.pick("none", "SSH_AUTH_SOCK", "~/s %h", "/s/%k", "${HOME}/%n", "$SOCK")))
	case 7:
		return s.cased("proxyjump") + " " + s.pick("j1", "u@j1:7,j2", "none", "ssh://j3:8", "[::1]:9", "a,b@c,d:1 # x")
	case 8:
		return s.cased("proxycommand") + s.pick(" ", " = ", "=") + s.pick("nc %h %p", "none", `x "y z"  w # v`)
	case 9:
		return s.set("userknownhostsfile", s.quoted(s.pick("~/k h", "k%h_%r", "/k/%%"))+s.pick("", " more"))
	case 10:
		return s.set("sendenv", s.pick("LC_*", "A B", "-A", "-LC*", "A"))
	case 11:
		return s.set("setenv", s.pick("A=1", `"B=x y" A=2`, "A=3 A=4"))
	case 12:
		return s.set("connecttimeout", s.pick("5", "1m", "1h1", "none", "2D"))
	case 13:
		return s.set("stricthostkeychecking", s.pick("yes", "No", "ask", "accept-new", "off", "TRUE"))
	case 14:
		return s.set("ciphers", s.pick("+aes128-cbc", "-aes*", "^aes256-ctr", "aes128-ctr,aes256-ctr", "-*gcm*,*cbc"))
	case 15:
		return s.set("hostkeyalgorithms", s.pick("+ssh-rsa", "-*cert*", "^rsa-*", "ssh-ed25519,ecdsa*"))
	case 16:
		return s.set("macs", s.pick("-*etm*", "+hmac-md5", "hmac-sha2-256"))
	case 17:
		return s.set(s.pick("identitiesonly", "hashknownhosts", "passwordauthentication", "forwardagent"), s.pick("yes", "no", "True", `"false"`))
	case 18:
		return s.set(s.pick("connectionattempts", "serveralivecountmax", "numberofpasswordprompts"), s.pick("1", "7", "0"))
	case 19:
		return s.set(s.pick("requesttty", "addressfamily", "loglevel"), s.pick("yes", "force", "inet6", "any", "DEBUG2", "quiet")) // often wrong
	case 20:
		return s.set("hostkeyalias", s.pick("Alias", "al2"))
	}
	return s.set(s.pick("controlpath", "xauthlocation"), "x")
}

// file writes a file of so many lines.
func (s scribe) file(t *testing.T, lines, depth int) string {
	var b strings.Builder
	for range lines {
		switch n := s.r.IntN(20); {
		case n < 3:
			b.WriteString(s.host())
		case n < 6:
			b.WriteString(s.match())
		case n == 6 && depth > 0:
			inner := s.file(t, 5, depth-1)
			b.WriteString(s.set("include", s.quoted(inner)))
		case n == 7:
			b.WriteString(s.pick("", "   ", "# x", "\t# y"))
		default:
			b.WriteString(s.goodValue())
		}
		b.WriteString(s.pick("\n", "\n", "\r\n"))
	}
	name := filepath.Join(s.folder, fmt.Sprintf("%x.conf", s.r.Uint64()))
	return write(t, name, b.String())
}

// goodValue is a value that is not wrong.
func (s scribe) goodValue() string {
	for {
		line := s.value()
		if _, err := Parse(&Env{}, "x", line); err == nil {
			return line
		}
	}
}

// TestOracleGenerated compares random files with ssh -G.
func TestOracleGenerated(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	queries := []Query{
		{Host: "web1"}, {Host: "web2.example.org", User: "bob"}, {Host: "db", Port: 7}, {Host: "WEB1"}, {Host: "10.0.0.1"},
	}
	for seed := range uint64(50) {
		s := scribe{rand.New(rand.NewPCG(seed, 7)), t.TempDir()}
		file := s.file(t, 25, 2)
		for _, q := range queries {
			if t.Failed() {
				break
			}
			o.compare(t, file, q)
		}
		if t.Failed() {
			t.Fatalf("seed %d, file %s:\n%s", seed, file, read(t, file))
		}
	}
}
