package hostkeys

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// oracle gives the lines that ssh-keygen -F finds for a name, as "LINE MARKER".
func oracle(t *testing.T, file, name string) []string {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-F", name, "-f", file).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var found []string
	s := bufio.NewScanner(bytes.NewReader(out))
	for s.Scan() {
		rest, ok := strings.CutPrefix(s.Text(), "# Host "+name+" found: line ")
		if ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	return found
}

// answers gives the same from the index.
func answers(x *Index, addr string) []string {
	var found []string
	for _, e := range x.Lookup(addr) {
		s := fmt.Sprint(e.Line)
		switch e.Marker {
		case Authority:
			s += " CA"
		case Revoked:
			s += " REVOKED"
		}
		found = append(found, s)
	}
	return found
}

// scribe writes random lines about few names, so that most questions have answers.
type scribe struct{ r *rand.Rand }

func (s scribe) pick(words ...string) string { return words[s.r.IntN(len(words))] }

func (s scribe) host() string {
	return s.pick("web1", "web2", "WEB3.example.org", "db.example.org", "10.0.0.1", "::1", "fe80::1%eth0", "a", "")
}

func (s scribe) name() string {
	host := s.host()
	switch s.r.IntN(5) {
	case 0:
		host = s.pick("*", "web?", "*.example.org", "*.EXAMPLE.org", "web*", "?*", "10.0.*", "**", "[*]:2222", "[web?]:*")
	case 1:
		host = "[" + host + "]:" + s.pick("2222", "22", "")
	}
	if s.r.IntN(6) == 0 {
		host = "!" + host
	}
	return host
}

func (s scribe) line(n int) string {
	var names []string
	for range 1 + s.r.IntN(4) {
		names = append(names, s.name())
	}
	text := strings.Join(names, ",")
	if text == "" {
		text = "x"
	}
	text += s.pick(" ", "\t", "  \t ") + authorizedKey(fakeKey(n)) + s.pick("", " comment", "  two words")
	return s.pick("", "", "", "", " ", "@cert-authority ", "@revoked ", "@revoked   ") + text + s.pick("", "", "", "\r")
}

// TestLookupOracle compares random files, plain and hashed, with ssh-keygen -F.
func TestLookupOracle(t *testing.T) {
	hosts := []string{"web1", "web2", "web3.example.org", "db.example.org", "10.0.0.1", "::1", "fe80::1%eth0", "a", "none"}
	hits := 0
	for seed := range uint64(6) {
		s := scribe{rand.New(rand.NewPCG(seed, 1))}
		var lines []string
		for n := range 60 {
			lines = append(lines, s.line(n))
			if s.r.IntN(8) == 0 {
				lines = append(lines, s.pick("", "# web1 comment", "   ", "  # web2"))
			}
		}
		file := knownHosts(t, lines...)
		if seed%2 == 1 {
			if out, err := exec.Command("ssh-keygen", "-H", "-f", file).CombinedOutput(); err != nil {
				t.Fatalf("ssh-keygen -H: %v\n%s", err, out)
			}
			if !strings.Contains(readText(t, file), hashMagic) {
				t.Fatal("nothing was hashed")
			}
		}
		x := load(t, file)
		for _, host := range hosts {
			for _, port := range []string{"22", "2222", "99"} {
				addr := "[" + host + "]:" + port
				name, _ := lineName(addr)
				want := oracle(t, file, name)
				if got := answers(x, strings.ToUpper(addr)); !slices.Equal(got, want) {
					t.Errorf("seed %d, %s:\n got %q\nwant %q", seed, addr, got, want)
				}
				hits += len(want)
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d lines found in all: the files ask too little", hits)
	}
}

// TestHashNameOracle lets ssh-keygen find a name that was hashed here.
func TestHashNameOracle(t *testing.T) {
	for _, name := range []string{"web1", "[web1]:2222", "::1", strings.Repeat("x", 60), strings.Repeat("long.", 50)} {
		file := knownHosts(t, "other "+authorizedKey(fakeKey(1)), hashName(name)+" "+authorizedKey(fakeKey(2)))
		if got := oracle(t, file, name); !slices.Equal(got, []string{"2"}) {
			t.Errorf("ssh-keygen -F %s found lines %q, want line 2", name, got)
		}
	}
}
