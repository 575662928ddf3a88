package shell

import (
	"slices"
	"testing"
)

func TestParseScript(t *testing.T) {
	for line, want := range map[string][]string{
		":script":                      nil,
		":script up.sh":                {"up.sh"},
		":script 'my file' -x \"a b\"": {"my file", "-x", "a b"},
	} {
		a, err := Parse(line)
		s, ok := a.(Script)
		if err != nil || !ok || !slices.Equal(s.Words, want) || s.Line != line {
			t.Errorf("%s: %#v, %v", line, a, err)
		}
	}
	if a, err := Parse(":script 'a"); err == nil {
		t.Errorf("a quote is not closed: %#v", a)
	}
}

func TestParseInput(t *testing.T) {
	for line, want := range map[string]Input{
		":stdin":                          {},
		":stdin dump":                     {File: "dump"},
		":stdin  dump  psql -c 'a  b' \"": {File: "dump", Command: "psql -c 'a  b' \""},
		`:stdin my\ file cat | wc`:        {File: "my file", Command: "cat | wc"},
		`:stdin "a 'b\"" cat`:             {File: `a 'b"`, Command: "cat"},
		`:stdin 'a\' cat`:                 {File: `a\`, Command: "cat"},
		":stdin '' cat":                   {Command: "cat"},
	} {
		want.Line = line
		if a, err := Parse(line); err != nil || a != want {
			t.Errorf("%s: %#v, %v", line, a, err)
		}
	}
	for _, line := range []string{":stdin 'a cat", `:stdin a\`} {
		if a, err := Parse(line); err == nil {
			t.Errorf("%s: %#v", line, a)
		}
	}
}
