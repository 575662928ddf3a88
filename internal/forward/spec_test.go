package forward

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines only: the system's way of copying from socket to
// socket keeps pipes for the next copy.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func tcp(host string, port int) Endpoint { return Endpoint{Network: "tcp", Host: host, Port: port} }
func unix(path string) Endpoint          { return Endpoint{Network: "unix", Path: path} }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text       string
		listen, to Endpoint
	}{
		{Local, "8080:db1:5432", tcp("localhost", 8080), tcp("db1", 5432)},
		{Local, "0:db1:5432", tcp("localhost", 0), tcp("db1", 5432)},
		{Local, "10.0.0.1:8080:db1:5432", tcp("10.0.0.1", 8080), tcp("db1", 5432)},
		{Local, "*:8080:db1:5432", tcp("", 8080), tcp("db1", 5432)},
		{Local, ":8080:db1:5432", tcp("", 8080), tcp("db1", 5432)},
		{Local, "[::1]:8080:[2001:db8::1]:5432", tcp("::1", 8080), tcp("2001:db8::1", 5432)},
		{Local, "8080:/run/db.sock", tcp("localhost", 8080), unix("/run/db.sock")},
		{Local, "[::]:8080:/run/db.sock", tcp("::", 8080), unix("/run/db.sock")},
		{Local, "./s:db1:5432", unix("./s"), tcp("db1", 5432)},
		{Local, "/tmp/a:/tmp/b", unix("/tmp/a"), unix("/tmp/b")},
		{Remote, "8080:localhost:80", tcp("localhost", 8080), tcp("localhost", 80)},
		{Remote, "*:8080:localhost:80", tcp("", 8080), tcp("localhost", 80)},
		{Remote, "/run/s:localhost:80", unix("/run/s"), tcp("localhost", 80)},
		{Remote, "8080:/run/s", tcp("localhost", 8080), unix("/run/s")},
		{Remote, "1080", tcp("localhost", 1080), Endpoint{}},
		{Remote, "*:1080", tcp("", 1080), Endpoint{}},
		{Remote, "/run/s", unix("/run/s"), Endpoint{}},
		{Dynamic, "1080", tcp("localhost", 1080), Endpoint{}},
		{Dynamic, "[::1]:1080", tcp("::1", 1080), Endpoint{}},
		{Dynamic, "0.0.0.0:0", tcp("0.0.0.0", 0), Endpoint{}},
	} {
		s, err := Parse(c.kind, c.text)
		if err != nil || s.Listen != c.listen || s.To != c.to || s.String() != "-"+string(rune(c.kind))+" "+c.text {
			t.Errorf("-%c %s: %+v, %v", c.kind, c.text, s, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Local, "", `"" is no port`},
		{Local, "8080", "not a forward"},
		{Local, "8080:db1", "not a forward"},
		{Local, "8080:db1:x", `"x" is no port`},
		{Local, "8080:db1:0", "port 0 cannot be connected to"},
		{Local, "8080::5432", "no host to connect to"},
		{Local, "65536:db1:5432", `"65536" is no port`},
		{Local, "-1:db1:5432", `"-1" is no port`},
		{Local, "a:b:c:d:e", `"a" is no port`},
		{Local, "1:2:3:4:5", "not a forward"},
		{Local, "[::1:8080:db1:5432", "bracket without an end"},
		{Local, "[::1]x:8080:db1:5432", "something behind a bracket"},
		{Local, "[]:8080:db1:5432", "no address in the brackets"},
		{Local, "8080:db 1:5432", "space or control character"},
		{Local, "8080:db1\n:5432", "space or control character"},
		{Dynamic, "1080:db1:80", "not a forward"},
		{Dynamic, "/run/s", "not a forward"},
		{Dynamic, "x", `"x" is no port`},
		{Remote, "", `"" is no port`},
		{Remote, "x:1", ""},
	} {
		s, err := Parse(c.kind, c.text)
		if c.want == "" {
			if err != nil {
				t.Errorf("-%c %q: %v", c.kind, c.text, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), "PORT") {
			t.Errorf("-%c %q: %+v, %v; want %q", c.kind, c.text, s, err, c.want)
		}
	}
}

// FuzzParse wants each spec that is taken to be one that can be used, and to be
// the same again when it is written out in full.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"8080:db1:5432", "[::1]:8080:[2001:db8::1]:5432", "/tmp/a:/tmp/b", "*:1080", "0", "[", "a:b:c:d:e", ":1:x:2", "[*]:1:[a]:2"} {
		for _, kind := range []Kind{Local, Remote, Dynamic} {
			f.Add(byte(kind), seed)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		if kind != 'L' && kind != 'R' && kind != 'D' {
			return
		}
		s, err := Parse(Kind(kind), text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		for _, e := range []Endpoint{s.Listen, s.To} {
			if e.Network == "tcp" && (e.Port < 0 || e.Port > 65535) || e.Network == "unix" && !strings.Contains(e.Path, "/") ||
				strings.ContainsAny(e.Addr(), "\x00\n\x1b ") {
				t.Fatalf("%q: %+v", text, e)
			}
		}
		if s.To.Network == "tcp" && (s.To.Host == "" || s.To.Port == 0) || s.Listen.Network == "" || s.To.Network == "" && s.Kind == Local {
			t.Fatalf("%q: %+v", text, s)
		}
		again, err := Parse(s.Kind, whole(s))
		if err != nil || again.Listen != s.Listen || again.To != s.To {
			t.Fatalf("%q is %q, which is %+v, %v; want %+v", text, whole(s), again, err, s)
		}
	})
}

// whole writes a spec with nothing left out.
func whole(s Spec) string {
	text := s.Listen.Addr()
	if s.To.Network != "" {
		text += ":" + s.To.Addr()
	}
	if s.Listen.Network == "tcp" && s.Listen.Host != "" && !strings.HasPrefix(text, "[") {
		return "[" + s.Listen.Host + "]" + strings.TrimPrefix(text, s.Listen.Host)
	}
	return text
}
