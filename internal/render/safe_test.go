package render

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestAppendSafe(t *testing.T) {
	for _, c := range []struct{ in, lines, line string }{
		{"", "", ""},
		{"plain text\n", "plain text\n", `plain text\n`},
		{"tab\there\r\n", "tab\there\n", `tab\there\r\n`},
		{"10%\r20%", `10%\r20%`, `10%\r20%`},
		{"\r\r\n", `\r` + "\n", `\r\r\n`},
		{"\x1b[1;31mred\x1b[0m\x1b[K", "red", "red"},
		{"\x1b[38;2;1;2;3mx\x1b(B\x1b[m", "x", "x"},
		{"\x1b[2J", `\x1b[2J`, `\x1b[2J`},
		{"\x1b]0;title\a", `\x1b]0;title\x07`, `\x1b]0;title\x07`},
		{"\x1b[" + strings.Repeat("1", 70) + "m", `\x1b[` + strings.Repeat("1", 70) + "m", `\x1b[` + strings.Repeat("1", 70) + "m"},
		{"\x1b", `\x1b`, `\x1b`},
		{"\x1b[31", `\x1b[31`, `\x1b[31`},
		{"\x1b\x1b[m[31m", `\x1b[31m`, `\x1b[31m`},
		{"\x00\x7f\x08", `\x00\x7f\x08`, `\x00\x7f\x08`},
		{"\xc2\x1b[m\x9b", `\xc2\x9b`, `\xc2\x9b`},
		{"\u009b2J\u0085", `\u009b2J\u0085`, `\u009b2J\u0085`},
		{"a\u202eb\u2066c\u200f\u061c", `a\u202eb\u2066c\u200f\u061c`, `a\u202eb\u2066c\u200f\u061c`},
		{"\u2028\u2029\u200b\ufeff\u00ad\u3164", `\u2028\u2029\u200b\ufeff\u00ad\u3164`, `\u2028\u2029\u200b\ufeff\u00ad\u3164`},
		{"\U000e0041", `\U000e0041`, `\U000e0041`},
		{"Grüße 日本 😀 ─\ufffd", "Grüße 日本 😀 ─\ufffd", "Grüße 日本 😀 ─\ufffd"},
		{"\xff\xed\xa0\x80\xf4\x90\x80\x80", `\xff\xed\xa0\x80\xf4\x90\x80\x80`, `\xff\xed\xa0\x80\xf4\x90\x80\x80`},
		{`C:\x1b`, `C:\x1b`, `C:\x1b`},
	} {
		if got := string(AppendSafe(nil, []byte(c.in))); got != c.lines {
			t.Errorf("AppendSafe(%q) = %q, want %q", c.in, got, c.lines)
		}
		if got := string(AppendSafeLine(nil, []byte(c.in))); got != c.line {
			t.Errorf("AppendSafeLine(%q) = %q, want %q", c.in, got, c.line)
		}
		if got := SafeLine(c.in); got != c.line {
			t.Errorf("SafeLine(%q) = %q, want %q", c.in, got, c.line)
		}
	}
}

// unsafe names what no terminal may be sent, by another rule than the code's.
func unsafe(p []byte, lines bool) string {
	if !utf8.Valid(p) {
		return "invalid UTF-8"
	}
	for _, r := range string(p) {
		switch {
		case r == '\n' || r == '\t':
			if !lines {
				return "a line feed or tab"
			}
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return "a control character"
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x61c:
			return "a bidirectional control"
		case r == 0x2028, r == 0x2029, unicode.Is(unicode.Cf, r):
			return "an invisible character"
		}
	}
	return ""
}

// pieces are what dangerous strings are made of.
var pieces = []string{
	"\x1b", "\x1b[", "\x1b]", "\x1b[31m", "\x1b[K", "\x1b(B", "\x9b", "\xc2", "\xc2\x9b", "\xe2\x80", "\xe2\x80\xae", "\xae",
	"\u202e", "\u2067", "\u200b", "\u2028", "\U000e0001", "\xf3\xa0\x80\x81", "\xf3\xa0", "\r", "\n", "\r\n", "\t", "\x00", "\x7f",
	"m", "K", ";", "0", "a", "─", "é", "日", "😀", "\\", "\xff", "\xed\xa0\x80", "\xc0\x80", "\a", "\x08",
}

// hostile makes a string of pieces and bytes at random.
func hostile(r *rand.Rand, p []byte) []byte {
	for range r.IntN(12) {
		if r.IntN(3) == 0 {
			p = append(p, byte(r.Uint32()))
		} else {
			p = append(p, pieces[r.IntN(len(pieces))]...)
		}
	}
	return p
}

// TestStringsAreSafe makes hostile strings safe, a million where FLEET_SOAK is set.
func TestStringsAreSafe(t *testing.T) {
	n := 200_000
	if os.Getenv("FLEET_SOAK") != "" {
		n = 1_000_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	var in, out []byte
	for i := range n {
		in = hostile(r, in[:0])
		lines := i%2 == 0
		// Results stay safe when they are joined, however the input was cut.
		cut := r.IntN(len(in) + 1)
		out = appendSafe(appendSafe(out[:0], in[:cut], lines), in[cut:], lines)
		if why := unsafe(out, lines); why != "" {
			t.Fatalf("%q, cut at %d, shows as %q, which holds %s", in, cut, out, why)
		}
	}
}

// The check of the test above must see what it is for.
func TestUnsafeSees(t *testing.T) {
	for _, s := range []string{"\x1b", "\r", "\x00", "\x7f", "\u009b", "\x9b", "\u202e", "\u2066", "\u200f", "\u061c", "\u2028", "\u200b", "\U000e0001"} {
		if unsafe([]byte("a"+s+"b"), true) == "" {
			t.Errorf("%q passes as safe", s)
		}
	}
	if unsafe([]byte("a\n\té😀"), true) != "" || unsafe([]byte("\n"), false) == "" {
		t.Error("line feeds and tabs are judged wrongly")
	}
}

func FuzzAppendSafe(f *testing.F) {
	for _, p := range pieces {
		f.Add([]byte("a"+p+"b"), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, lines bool) {
		out := appendSafe(nil, in, lines)
		if why := unsafe(out, lines); why != "" {
			t.Fatalf("%q shows as %q, which holds %s", in, out, why)
		}
		if again := appendSafe(nil, out, lines); string(again) != string(out) {
			t.Fatalf("%q shows as %q, and that as %q", in, out, again)
		}
	})
}

// Everything a mode shows on a terminal is safe, whatever hosts send as output,
// name, cause or signal. Colours and the status line are fleet's own.
func TestModesAreSafe(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var hosts []host
		for range 4 {
			h := host{name: string(hostile(r, nil)), stdout: string(hostile(r, nil)), stderr: string(hostile(r, nil))}
			if r.IntN(2) == 0 {
				h.outcome, h.exit, h.signal = "failed", 1, string(hostile(r, nil))
				h.cause.Text = string(hostile(r, nil))
			}
			hosts = append(hosts, h)
		}
		for _, mode := range Modes {
			o := Options{OutTerminal: true, ErrTerminal: true, NoStatus: true, Verbose: 1, Fold: func(n []string) string { return strings.Join(n, ",") }}
			out, err := show(t, mode, o, hosts)
			for _, s := range []string{out, err} {
				if why := unsafe([]byte(s), true); why != "" {
					t.Fatalf("%s: %+v shows as %q, which holds %s", mode, hosts, s, why)
				}
			}
		}
	}
}

func BenchmarkAppendSafe(b *testing.B) {
	text := []byte(strings.Repeat("total 64 drwxr-xr-x 2 root root 4096 Mar  1 12:00 .\n", 6))
	b.SetBytes(int64(len(text)))
	var dst []byte
	for b.Loop() {
		dst = AppendSafe(dst[:0], text)
	}
}

// A host's line that would look like a header of another host stands behind a
// backslash, whatever it has that shows nothing.
func TestGroupHeadersAreNotForged(t *testing.T) {
	for _, line := range []string{
		"── web99 (1 host) ──", "\ufe0f── web99 (1 host) ──", "─\ufe0e─ web99 (1 host) ──", "\u0301─\u20dd\u180b\U000e0100─ web99", "\x1b[1m── web99", "–– web99", "⎯⎯ web99",
	} {
		out, _ := show(t, "group", Options{OutTerminal: true, NoStatus: true}, []host{{name: "evil", stdout: "first\n" + line + "\n"}})
		_, shown, _ := strings.Cut(out, "first\n")
		if !strings.HasPrefix(shown, "\\") {
			t.Errorf("%q is shown as %q", line, shown)
		}
	}
	for _, line := range []string{"─ one stroke", "├── a tree", "e\u0301\u0301 accents", "-- dashes"} {
		out, _ := show(t, "group", Options{OutTerminal: true, NoStatus: true}, []host{{name: "good", stdout: line + "\n"}})
		if !strings.Contains(out, "\n"+line+"\n") {
			t.Errorf("%q is shown as %q", line, out)
		}
	}
}
