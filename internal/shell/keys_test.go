package shell

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

var keys = []struct{ name, typed, want string }{
	{"text", "uptime é日\r", "uptime é日\r"},
	{"arrows of both modes", "\x1b[A\x1bOB\x1b[C\x1bOD", "\x1b[A\x1b[B\x1b[C\x1b[D"},
	{"home and end", "\x1b[1~\x1b[7~\x1bOH\x1b[4~\x1b[8~\x1b[F", "\x1b[H\x1b[H\x1b[H\x1b[F\x1b[F\x1b[F"},
	{"words", "\x1b[1;5D\x1bb\x1b[1;5C\x1bf\x1b\x7f", "\x1b[1;3D\x1b[1;3D\x1b[1;3C\x1b[1;3C\x17"},
	{"unknown keys", "a\x1b[15~\x1b[1;2P\x1bOP\x1bxb", "ab"},
	{"endless sequence", "\x1b[" + strings.Repeat("1", 400) + "a", "1" + strings.Repeat("1", 400-31) + "a"},
	{"broken off", "\x1b[1\x1b[Ax", "\x1b[Ax"},
	{"bytes that are no text", "a\xff\xc3(b\u009bc\x1ad", "a(bcd"},
	{"replacement character", "a\ufffdb", "ab"},
	{"direction of text", "a\u202eb", "a?b"},
	{"paste", "a\x1b[200~b\r\nc\rd\ne\tf\x03\x07\x1b[Ag\x1b[201~h\t", "ab␤c␤d␤e␉f[Agh\t"},
	{"paste of whole lines", "\x1b[200~one\ntwo\r\n\x1b[201~\r", "one␤two\r"},
}

// TestKeys wants the same whether keys come at once or byte by byte.
func TestKeys(t *testing.T) {
	for _, k := range keys {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(k.typed), "byte by byte": iotest.OneByteReader(strings.NewReader(k.typed))} {
			got, err := io.ReadAll(NewKeys(r))
			if err != nil || string(got) != k.want {
				t.Errorf("%s, %s: %q, %v; want %q", k.name, name, got, err, k.want)
			}
		}
	}
}

func TestInterruptKey(t *testing.T) {
	for _, typed := range []string{"ab\x03cd\r", "ab\x1b[\x03cd\r", "ab\x1b\x03cd\r"} {
		k := NewKeys(strings.NewReader(typed))
		got, err := io.ReadAll(k)
		if string(got) != "ab" || !errors.Is(err, ErrInterrupt) {
			t.Errorf("%q: %q, %v; want ab and an interrupt", typed, got, err)
		}
		if rest, err := io.ReadAll(k); string(rest) != "cd\r" || err != nil {
			t.Errorf("%q: after the interrupt %q, %v", typed, rest, err)
		}
	}
}

// FuzzKeys gives any bytes to the line editor through Keys: it must not hang,
// and no line may come from pasted text alone, nor hold what moves a cursor.
func FuzzKeys(f *testing.F) {
	for _, k := range keys {
		f.Add([]byte(k.typed))
	}
	f.Fuzz(func(t *testing.T, typed []byte) {
		out, err := io.ReadAll(NewKeys(bytes.NewReader(typed)))
		if err != nil && !errors.Is(err, ErrInterrupt) {
			t.Fatal(err)
		}
		if !utf8.Valid(out) {
			t.Fatalf("%q became %q", typed, out)
		}
		keys := NewKeys(iotest.OneByteReader(bytes.NewReader(typed)))
		ed := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{keys, io.Discard}, "> ")
		for n := 0; ; n++ {
			line, err := ed.ReadLine()
			if strings.ContainsFunc(line, unicode.IsControl) {
				t.Fatalf("%q became the line %q", typed, line)
			}
			if err != nil {
				break
			}
			if n > len(typed) {
				t.Fatalf("%q became more lines than it has bytes", typed)
			}
		}
		pasted := append(append([]byte("\x1b[200~"), bytes.ReplaceAll(typed, []byte("\x1b"), nil)...), "\x1b[201~"...)
		if out, err := io.ReadAll(NewKeys(bytes.NewReader(pasted))); err != nil || bytes.ContainsFunc(out, unicode.IsControl) {
			t.Fatalf("pasted %q became %q, %v", pasted, out, err)
		}
	})
}
