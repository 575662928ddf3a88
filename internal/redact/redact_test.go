package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"fleet/tasks"
)

const canary = `Tr0ub4dor&3 it's "$HOME"/é`

// TestForms hides the canary in each way in which it may be written, between
// other text, and wants nothing of it left.
func TestForms(t *testing.T) {
	var s Set
	s.Add([]byte(canary))
	jsonText, err := json.Marshal(canary)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"plain":       canary,
		"quoted":      tasks.Quote(canary),
		"query":       url.QueryEscape(canary),
		"path":        url.PathEscape(canary),
		"lower query": strings.ToLower(url.QueryEscape("it's")) + url.QueryEscape(canary),
		"hex":         hex.EncodeToString([]byte(canary)),
		"json":        string(jsonText),
	}
	for name, form := range cases {
		got := s.String("before " + form + " after")
		if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, Mark) {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(got, "Tr0ub4dor") {
			t.Errorf("%s: the secret is still there: %q", name, got)
		}
	}
}

// TestShellForms asks bash how it quotes the canary.
func TestShellForms(t *testing.T) {
	var s Set
	s.Add([]byte(canary))
	for _, script := range []string{`printf %q "$1"`, `echo "${1@Q}"`, `a="$1"; declare -p a`, `set -x; : "$1"`} {
		out, err := exec.Command("bash", "-c", script, "bash", canary).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(string(out)); strings.Contains(got, "Tr0ub4dor") {
			t.Errorf("%s gives %q, of which %q is left", script, out, got)
		}
	}
}

// TestBase64 encodes the canary behind and before any number of bytes: no four
// characters in a row of its middle may be left.
func TestBase64(t *testing.T) {
	secret := []byte("correct horse battery")
	var s Set
	s.Add(secret)
	for before := range 7 {
		for after := range 7 {
			plain := append(append(bytes.Repeat([]byte{0xfb}, before), secret...), bytes.Repeat([]byte{0xff}, after)...)
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				got := s.String(enc.EncodeToString(plain))
				left, _ := enc.DecodeString(strings.ReplaceAll(got, Mark, "AAAA"))
				if !strings.Contains(got, Mark) || bytes.Contains(left, []byte("orse")) {
					t.Errorf("%d before, %d after: %s", before, after, got)
				}
			}
		}
	}
}

// TestBase64Lines asks base64(1) how it writes a file that is a long secret.
func TestBase64Lines(t *testing.T) {
	secret := strings.Repeat("-a line of a key-\n", 20)
	var s Set
	s.Add([]byte(secret))
	for _, command := range []string{"base64", "base64 -w 64", "base64 | sed 's/$/\r/'", "head -c -1 | base64"} {
		c := exec.Command("sh", "-c", command)
		c.Stdin = strings.NewReader(secret)
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(string(out)); !strings.HasPrefix(got, Mark) || len(got) > len(Mark)+8 {
			t.Errorf("%s: %q", command, got)
		}
	}
}

// TestManySecrets looks for more secrets than are looked for one by one, and
// wants the same as for few.
func TestManySecrets(t *testing.T) {
	var few, many Set
	few.Add([]byte(canary))
	for i := range 2000 {
		many.Add(fmt.Appendf(nil, "password-of-host-%d!", i))
	}
	many.Add([]byte(canary))
	for _, text := range []string{"", "x", "no secret here", "before " + canary + " after", tasks.Quote(canary), canary + canary} {
		if a, b := few.String(text), many.String(text); a != b {
			t.Errorf("%q: %q of few, %q of many", text, a, b)
		}
	}
	if got := many.String("is password-of-host-1234! or password-of-host-9999!"); got != "is "+Mark+" or password-of-host-9999!" {
		t.Errorf("%q", got)
	}
}

func TestShortSecretsAreLeft(t *testing.T) {
	var s Set
	s.Add([]byte("ab"))
	if got := s.String("cabbage"); !s.Empty() || got != "cabbage" {
		t.Errorf("%q", got)
	}
	if s.Add([]byte("bag")); s.String("cabbage") != "cab"+Mark+"e" {
		t.Errorf("%q", s.String("cabbage"))
	}
}

// TestLinesOfSecrets looks for secrets of several lines as terminals, shells and
// JSON have them.
func TestLinesOfSecrets(t *testing.T) {
	const secret = "first-of-é\nsecond\n"
	var s Set
	s.Add([]byte(secret))
	for name, text := range map[string]string{
		"terminal": "first-of-é\r\nsecond\r\n",
		"$(cat)":   "first-of-é\nsecond",
		"JSON":     `"first-of-é\nsecond\n"`,
		"Python":   `"first-of-\u00e9\nsecond"`,
		"base64":   base64.StdEncoding.EncodeToString([]byte("first-of-é\nsecond")),
	} {
		if got := s.String("<" + text + ">"); strings.Contains(got, "first") || strings.Contains(got, "econd") || !strings.Contains(got, Mark) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWriterPassesOn wants all at once that cannot be the beginning of a secret:
// whoever follows a run waits for it.
func TestWriterPassesOn(t *testing.T) {
	var s Set
	s.Add([]byte(strings.Repeat("a long secret ", 200)))
	s.Add([]byte("hunter2"))
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, c := range []struct{ in, out string }{
		{"a line\n", "a line\n"},
		{"ends in hunter", "ends in "},
		{"2\n", Mark + "\n"},
		{"hunt", ""},
		{"ing\n", "hunting\n"},
		{"a long secret a long", ""},
		{" story\n", "a long secret a long story\n"},
	} {
		out.Reset()
		w.Write([]byte(c.in)) //nolint:errcheck // a buffer
		if out.String() != c.out {
			t.Errorf("%q gives %q, want %q", c.in, out.String(), c.out)
		}
	}
}

// FuzzWriter cuts a text into pieces: what comes out must be what comes of the
// whole, however secrets overlap and repeat themselves.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("xxabcdefghijxx"), "abcdef", "efghij", uint8(3))
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaa"), "aaa", "aaaa", uint8(1))
	f.Add([]byte("no secret"), "pass", "word", uint8(2))
	f.Add([]byte("abcabcabcabab"), "abc", "cab", uint8(5))
	f.Fuzz(func(t *testing.T, text []byte, a, b string, size uint8) {
		if len(text) > 4096 || len(a)+len(b) > 100 {
			return // longer ones only take longer
		}
		var s Set
		s.Add([]byte(a))
		s.Add([]byte(b))
		whole := s.Bytes(text)
		var out bytes.Buffer
		w := s.Writer(&out)
		for n := int(size)%7 + 1; len(text) > 0; text = text[min(n, len(text)):] {
			if _, err := w.Write(text[:min(n, len(text))]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), whole) {
			t.Fatalf("in pieces %q, whole %q", out.Bytes(), whole)
		}
	})
}
