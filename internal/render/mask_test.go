package render

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fleet/internal/event"
	"fleet/scheduler"
)

func mask(t *testing.T, names []string, exprs ...string) *Mask {
	t.Helper()
	m, err := NewMask(names, exprs)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMaskTimes(t *testing.T) {
	m := mask(t, []string{"times"})
	at := time.Date(2026, 3, 1, 9, 4, 5, 123456789, time.FixedZone("CET", 3600))
	for _, layout := range []string{
		time.ANSIC, time.UnixDate, time.RFC822, time.RFC822Z, time.RFC1123, time.RFC1123Z, time.RFC3339, time.RFC3339Nano, time.Stamp, time.StampMicro,
		time.DateTime, time.DateOnly, time.TimeOnly, time.Kitchen,
		"02/Jan/2006:15:04:05 -0700", "2006/01/02 15:04:05", "15:04", "15:04:05,000", "Jan _2  2006", "Mon 02 Jan 2006 03:04:05 PM CET", "Mon 2006-01-02 15:04:05 CET",
	} {
		text := at.Format(layout)
		for _, around := range []string{"%", "x %", "% y", "[%] started", "since=%;"} {
			line := strings.ReplaceAll(around, "%", text)
			want := strings.ReplaceAll(around, "%", "<time>")
			if layout == "Mon 2006-01-02 15:04:05 CET" { // the day's name says nothing more
				want = strings.ReplaceAll(around, "%", "Sun <time>")
			}
			if got := string(m.apply(nil, []byte(line), nil)); got != want {
				t.Errorf("%s: %q became %q", layout, line, got)
			}
		}
	}
	for _, line := range []string{
		"version 1.2.3", "10.0.0.1:8080", "10.0.0.1:22", "00:11:22:33:44:55", "fe80::12:34", "main.c:3:15", "port 22", "::1", "aa:bb:cc:dd:ee:ff", "12345", "May the force", "Summary 3", "a:1 b:2", "2026", "-rw-r--r-- 1 root root 512",
	} {
		if got := string(m.apply(nil, []byte(line), nil)); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
}

func TestMaskPidsAndHost(t *testing.T) {
	m := mask(t, []string{"pids", "host"}, `0x[0-9a-f]+`)
	names := m.names("web01.example.com", func(string) []string { return []string{"10.0.0.1", ""} })
	for line, want := range map[string]string{
		"sshd[4711]: up":              "sshd[<pid>]: up",
		"pid 7, PID: 8 ppid=9":        "pid <pid>, PID: <pid> ppid=<pid>",
		"Process 12 (Pid#3)":          "Process <pid> (Pid#<pid>)",
		"rapid 7":                     "rapid 7",
		"web01.example.com is web01":  "<host> is <host>",
		"web01-db web010 xweb01":      "web01-db web010 xweb01",
		"web01":                       "<host>",
		"10.0.0.1:22 but 10.0.0.12":   "<host>:22 but 10.0.0.12",
		"web01 web01 web01":           "<host> <host> <host>",
		"at 0xdeadbeef":               "at <masked>",
		"nothing to see":              "nothing to see",
		"web01.other web02.example.c": "<host>.other web02.example.c",
	} {
		if got := string(m.apply(nil, []byte(line), names)); got != want {
			t.Errorf("%q became %q, want %q", line, got, want)
		}
	}
	if got := m.names("10.1.2.3", nil); len(got) != 1 {
		t.Errorf("names of an address: %q", got)
	}
}

func TestNewMask(t *testing.T) {
	if m, err := NewMask(nil, nil); m != nil || err != nil {
		t.Errorf("%v, %v", m, err)
	}
	for _, c := range []struct{ name, expr, want string }{
		{"moods", "x", `unknown mask "moods": not one of times, pids, host`},
		{"pids", "(", `--mask-regex: regular expression "(": missing closing ): (`},
		{"pids", "x*", `--mask-regex: regular expression "x*": matches nothing at all, too`},
	} {
		if _, err := NewMask([]string{c.name}, []string{c.expr}); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// FuzzTimeBegins holds the quick look to the expression itself.
func FuzzTimeBegins(f *testing.F) {
	for _, s := range []string{"12:34", "5 May", "May 5", "2026-03-01", "1/Mar/2026", "x", "1:", "Dec", "Nov  1", "10:22:01.5 CET", "Thu, 26 Nov 2026"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if timeRE.Match(p) && !timeBegins(p) {
			t.Errorf("%q begins with a time that is not seen", p)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	m, _ := NewMask([]string{"times", "pids", "host"}, nil)
	plain := []byte("Filesystem 1K-blocks Used Available Use% Mounted on /var/lib/something of some length 12345 6789")
	stamped := []byte("Nov 26 10:22:01 web01 sshd[4711]: Accepted publickey for root from 10.0.0.1 port 22 ssh2: ED25519")
	for name, line := range map[string][]byte{"plain": plain, "stamped": stamped} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			var buf []byte
			for b.Loop() {
				buf = m.apply(buf[:0], line, []string{"web01"})
			}
		})
	}
}

// FuzzMask has masking be the same however output is cut, and never break
// lines or characters.
func FuzzMask(f *testing.F) {
	f.Add([]byte("Thu Nov 26 10:22:01 UTC 2026 web01 x[12]\nlast"), uint64(1))
	f.Add([]byte("\xff\n\n12:34"), uint64(2))
	f.Add([]byte(strings.Repeat("web01 12:34:56 ", 6000)), uint64(3))
	m, _ := NewMask([]string{"times", "pids", "host"}, []string{"b+"})
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		want := m.masked(text, []string{"web01"})
		if utf8.Valid(text) && len(text) < pieceMax && !utf8.Valid(want) {
			t.Errorf("%q became %q, which is no UTF-8", text, want)
		}
		if len(text) < pieceMax && strings.Count(string(text), "\n") != strings.Count(string(want), "\n") {
			t.Errorf("%q became %q, other lines", text, want)
		}
		w := maskedLines{mask: m, names: []string{"web01"}}
		whole, cut := digest{w: w}, digest{w: w}
		whole.add(text)
		r := rand.New(rand.NewPCG(seed, 1))
		for rest := text; len(rest) > 0; {
			k := min(len(rest), 1+r.IntN(3000))
			cut.add(rest[:k])
			rest = rest[k:]
		}
		if whole.end() != cut.end() {
			t.Errorf("%q: the sum depends on how it came", text)
		}
	})
}

// TestGatherOfPieces compares hosts whose equal outputs come in other pieces.
func TestGatherOfPieces(t *testing.T) {
	text := []byte(strings.Repeat("started at 12:34:56 on HOST[77]\n", 5000) + strings.Repeat("x", 3*pieceMax) + "\nlast HOST")
	for _, m := range []*Mask{nil, mask(t, []string{"times", "host", "pids"})} {
		g := newGather(Options{Mask: m, ExpectSame: true})
		for i, name := range []string{"web1", "web2", "web3", "web4"} {
			data := text
			if m != nil {
				data = []byte(strings.ReplaceAll(string(text), "HOST", name))
			}
			if i == 3 {
				data = append(data[:len(data):len(data)], '\n') // that is another output
			}
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for rest := data; len(rest) > 0; {
				k := min(len(rest), 1+r.IntN(30_000))
				g.output(event.Output{Host: name, Stream: event.Stdout, Data: rest[:k]})
				rest = rest[k:]
			}
			g.result(event.Result{Host: name, Outcome: scheduler.OK})
		}
		g.result(event.Result{Host: "away", Outcome: scheduler.Unreachable})
		kinds := g.sorted()
		if len(kinds) != 2 || strings.Join(kinds[0].hosts, ",") != "web1,web2,web3" || kinds[1].hosts[0] != "web4" {
			t.Errorf("mask %v: kinds %+v", m, kinds)
		}
		if len(g.open) != 0 {
			t.Errorf("%d hosts are still open", len(g.open))
		}
	}
}
