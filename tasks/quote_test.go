package tasks

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"":            "''",
		"uptime":      "uptime",
		"a b":         "'a b'",
		"it's":        `'it'\''s'`,
		"$(id)":       "'$(id)'",
		"-rf":         "-rf",
		"~root":       "'~root'",
		"x=y":         "'x=y'",
		"a\nb":        "'a\nb'",
		"cut\x00here": "cut",
	} {
		if got := Quote(word); got != want {
			t.Errorf("Quote(%q) = %s, want %s", word, got, want)
		}
	}
	if got, want := QuoteAll([]string{"echo", "a b", ""}), "echo 'a b' ''"; got != want {
		t.Errorf("QuoteAll = %s, want %s", got, want)
	}
}

// shells are those that the login shell of a host, or its /bin/sh, is likely to be.
var shells = [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}}

// TestQuoteRoundTrip sends many strings through real shells, a million in all where
// FLEET_SOAK is set, and wants each back byte for byte.
func TestQuoteRoundTrip(t *testing.T) {
	total := 150_000
	if os.Getenv("FLEET_SOAK") != "" {
		total = 1_000_000
	}
	for n, shell := range shells {
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell[0])
			if err != nil {
				missing(t, shell[0])
			}
			random := rand.New(rand.NewPCG(uint64(n), 7))
			const batch = 10_000
			for done := 0; done < total/len(shells); done += batch {
				words := make([]string, batch)
				for i := range words {
					words[i] = hostileWord(random)
				}
				roundTrip(t, append([]string{path}, shell[1:]...), words)
			}
		})
	}
}

// missing fails where the real shells must be there, else skips.
func missing(t *testing.T, pkg string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
		t.Fatalf("%s is not installed", pkg)
	}
	t.Skipf("install the Debian package %s to run this test", pkg)
}

// hostileWord is made of what shells give a meaning to, and of any other bytes.
func hostileWord(random *rand.Rand) string {
	const special = "'\"\\$`!*?[]{}()<>|&;#~=%^ \t\n\r-"
	word := make([]byte, random.IntN(12))
	for i := range word {
		if random.IntN(3) > 0 {
			word[i] = special[random.IntN(len(special))]
		} else {
			word[i] = byte(1 + random.IntN(255))
		}
	}
	return string(word)
}

func roundTrip(t *testing.T, shell, words []string) {
	t.Helper()
	var script, want bytes.Buffer
	for i, w := range words {
		fmt.Fprintf(&script, "printf '%%s\\0' %s\n", Quote(w))
		want.WriteString(words[i])
		want.WriteByte(0)
	}
	cmd := exec.Command(shell[0], shell[1:]...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdin = &script
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v", shell, err)
	}
	if bytes.Equal(got, want.Bytes()) {
		return
	}
	back := strings.Split(string(got), "\x00")
	for i, w := range words {
		if i >= len(back) || back[i] != w {
			t.Fatalf("%v: word %d, %q, quoted %s, came back as %q", shell, i, w, Quote(w), back[min(i, len(back)-1)])
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("it's $(id)")
	shell, err := exec.LookPath("sh")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.Contains(word, "\x00") {
			return
		}
		roundTrip(t, []string{shell}, []string{word})
	})
}
