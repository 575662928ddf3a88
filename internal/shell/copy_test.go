package shell

import (
	"slices"
	"testing"
)

func TestParseCopy(t *testing.T) {
	for line, want := range map[string][]string{
		":push a /b":                   {"a", "/b"},
		":push  --delete 'a b' \"c\"d": {"--delete", "a b", "cd"},
		`:pull a\ b "x\"y$z" ''`:       {"a b", `x"y$z`, ""},
		`:push "a\b" 'it'\''s'`:        {`a\b`, "it's"},
	} {
		a, err := Parse(line)
		c, ok := a.(Copy)
		if err != nil || !ok || !slices.Equal(c.Words, want) || c.Line != line || c.Push != (line[1:5] == "push") {
			t.Errorf("%s: %#v, %v", line, a, err)
		}
	}
	for _, line := range []string{":push 'a", `:push "a`, `:push a\`} {
		if a, err := Parse(line); err == nil {
			t.Errorf("%s: %#v", line, a)
		}
	}
}

func TestAt(t *testing.T) {
	s := NewSession(nil, nil)
	if got := s.At("a/"); got != "a/" {
		t.Errorf("without :cd: %s", got)
	}
	s.Chdir(Dir{"/srv"})
	for name, want := range map[string]string{"a": "/srv/a", "a/": "/srv/a/", "/x": "/x", "~/x": "~/x", ".": "/srv", "../y": "/y"} {
		if got := s.At(name); got != want {
			t.Errorf("%s in /srv: %s, want %s", name, got, want)
		}
	}
}
