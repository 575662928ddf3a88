package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// play feeds parts to a keyboard and gives what is sent and which commands came.
func play(parts ...string) (sent, commands string, err error) {
	r, w := io.Pipe()
	go func() {
		for _, p := range parts {
			io.WriteString(w, p) //nolint:errcheck // the keyboard reads all
		}
		w.Close()
	}()
	var called strings.Builder
	k := newKeyboard(r, func(c byte) { called.WriteByte(c) })
	all, err := io.ReadAll(k)
	return string(all), called.String(), err
}

func TestEscapes(t *testing.T) {
	for _, c := range []struct{ typed, sent, commands string }{
		{"ls\r", "ls\r", ""},
		{"~.", "", "."},
		{"~?", "", "?"},
		{"~?~.", "", "?."},
		{"ls\r~.", "ls\r", "."},
		{"ls\n~.", "ls\n", "."},
		{"ls ~.", "ls ~.", ""},
		{"ls\r~~.", "ls\r~.", ""},
		{"~~~.", "~~.", ""},
		{"~x~.", "~x~.", ""},
		{"~\r~.", "~\r", "."},
		{"\x03~.", "\x03~.", ""},
		{"~", "", ""},
		{"a~", "a~", ""},
		{"~?a\r", "a\r", "?"},
		{"\x00\xff\r\x80", "\x00\xff\r\x80", ""},
	} {
		for _, parts := range [][]string{{c.typed}, strings.Split(c.typed, "")} {
			sent, commands, err := play(parts...)
			if sent != c.sent || commands != c.commands || err != nil {
				t.Errorf("%q: sent %q, commands %q, %v; want %q and %q", parts, sent, commands, err, c.sent, c.commands)
			}
		}
	}
}

// TestKeyboardGoesOn hears ~. while nobody takes what was typed before.
func TestKeyboardGoesOn(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	heard := make(chan byte)
	k := newKeyboard(r, func(c byte) { heard <- c })
	go func() {
		for range 100 {
			io.WriteString(w, "waits\r") //nolint:errcheck // the keyboard reads all
		}
		io.WriteString(w, "~.") //nolint:errcheck // the keyboard reads all
	}()
	if n, err := k.Read(make([]byte, 1)); n != 1 || err != nil { // and never again
		t.Fatal(n, err)
	}
	if c := <-heard; c != '.' {
		t.Errorf("heard %q", c)
	}
}

// FuzzEscapes wants the same whatever the pieces in which keys come, and what
// has no ~ at the beginning of a line to arrive as it was typed.
func FuzzEscapes(f *testing.F) {
	f.Add([]byte("ls\r~~x\r~?~.\r"), 3)
	f.Fuzz(func(t *testing.T, typed []byte, cut int) {
		cut = max(0, min(cut, len(typed)))
		whole, asked, err := play(string(typed))
		parts, again, err2 := play(string(typed[:cut]), string(typed[cut:]))
		if err := errors.Join(err, err2); err != nil || whole != parts || asked != again {
			t.Fatalf("%q: %q %q, cut at %d %q %q, %v", typed, whole, asked, cut, parts, again, err)
		}
		if len(whole) > len(typed) {
			t.Fatalf("%q became %q", typed, whole)
		}
		if !bytes.HasPrefix(typed, []byte("~")) && !bytes.Contains(typed, []byte("\r~")) && !bytes.Contains(typed, []byte("\n~")) && whole != string(typed) {
			t.Fatalf("%q became %q", typed, whole)
		}
	})
}
