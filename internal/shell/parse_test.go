package shell

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var parsed = map[string]Action{
	"":                 Nothing{},
	" \t":              Nothing{},
	"# a comment":      Nothing{},
	"# one\necho two":  Command{"# one\necho two"},
	"uptime":           Command{"uptime"},
	"  uptime ":        Command{"uptime "},
	`echo a\ `:         Command{`echo a\ `},
	"! grep root f":    Command{"! grep root f"},
	"!(a)":             Command{"!(a)"},
	"!":                Command{"!"},
	": > /tmp/f":       Command{": > /tmp/f"},
	":":                Command{":"},
	"exit 3":           Command{"exit 3"},
	"exit":             Quit{},
	" logout ":         Quit{},
	":quit":            Quit{},
	":q":               Quit{},
	"!!":               Again{},
	":again":           Again{},
	"@web":             Change{Switch, "web"},
	"@ web&db ":        Change{Switch, "web&db"},
	"@@failed":         Change{Switch, "@failed"},
	"@failed":          Failed{},
	"@all ":            Start{},
	"@*":               Change{Switch, "*"},
	"+db1":             Change{Add, "db1"},
	"-web03":           Change{Remove, "web03"},
	"!web03":           Change{Remove, "web03"},
	":cd":              Dir{},
	":cd /var/log":     Dir{"/var/log"},
	":cd a b":          Dir{"a b"},
	":cd 'a b'":        Dir{"a b"},
	":cd -":            Dir{"-"},
	":output  group":   Output{"group"},
	":output":          Ask{"output"},
	":timeout 1m30s":   Timeout{90 * time.Second},
	":timeout none":    Timeout{},
	":fanout 20":       Fanout{20},
	":hosts":           Hosts{},
	":status\t":        Status{},
	":help":            Help{},
	"\n:status\r\n":    Status{},
	"echo one\necho 2": Command{"echo one\necho 2"},
}

func TestParse(t *testing.T) {
	for line, want := range parsed {
		if got, err := Parse(line); err != nil || got != want {
			t.Errorf("%q is %#v, %v; want %#v", line, got, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		":nonsense":       "unknown command :nonsense",
		":status all":     ":status takes no words after it",
		":timeout soon":   "not a time",
		":timeout -3s":    "not a time",
		":fanout 0":       "not a whole number",
		":fanout many":    "not a whole number",
		":cd a\x07b":      "control characters",
		"@":               "no pattern after @",
		"- ":              "no pattern after -",
		"@web\nuptime":    "several lines",
		":cd /\nrm -rf *": "several lines",
		"echo \x00":       "NUL",
	} {
		a, err := Parse(line)
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %#v, %v; want an error that holds %q", line, a, err, want)
		}
	}
}

// TestHelpNamesEverything holds the help to what can be typed.
func TestHelpNamesEverything(t *testing.T) {
	for _, w := range Words {
		if !strings.Contains(HelpText, ":"+w) {
			t.Errorf("the help does not name :%s", w)
		}
		if _, err := Parse(":" + w); err != nil {
			t.Errorf(":%s: %v", w, err)
		}
	}
	for line := range strings.Lines(HelpText) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than a terminal of 80 columns: %s", line)
		}
	}
}

// FuzzParse wants every line to be an action or an error, a command to be what
// was typed, and nothing but a command to hold a line break.
func FuzzParse(f *testing.F) {
	for line := range parsed {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a, err := Parse(line)
		if (a == nil) == (err == nil) {
			t.Fatalf("%q is %#v, %v", line, a, err)
		}
		again := Continues(line)
		switch a := a.(type) {
		case Command:
			if !strings.HasSuffix(line, a.Line) || strings.Trim(line[:len(line)-len(a.Line)], blanks) != "" {
				t.Errorf("%q runs %q", line, a.Line)
			}
			return
		case Change:
			if a.Pattern == "" || strings.ContainsAny(a.Pattern, "\r\n") {
				t.Errorf("%q has the pattern %q", line, a.Pattern)
			}
		case Dir:
			if strings.ContainsAny(a.Path, "\r\n\x00") {
				t.Errorf("%q has the folder %q", line, a.Path)
			}
		}
		if again {
			t.Errorf("%q goes on in the next line, but is no command", line)
		}
	})
}

func TestSource(t *testing.T) {
	long := strings.Repeat("x", maxLine+10)
	in := "\ufeffone\r\n\n# note \\\ntwo \\\n  more \\\\\nthree\n" + long + "\n:cd a\\\nlast \\"
	s := NewSource(strings.NewReader(in))
	for _, want := range []typed{
		{"one", 1, ""}, {"", 2, ""}, {`# note \`, 3, ""}, {"two \\\n  more \\\\", 4, ""}, {"three", 6, ""},
		{"", 7, "characters or more"}, {`:cd a\`, 8, ""}, {"", 9, "ends in a backslash"}, {"", 10, "EOF"},
	} {
		text, number, err := s.Next()
		if text != want.text || number != want.number || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("line %.40q, %d, %v; want %+v", text, number, err, want)
		}
	}
}

type typed struct {
	text   string
	number int
	err    string
}

// TestSteers knows the lines that decide where others run, also wrong ones.
func TestSteers(t *testing.T) {
	for line, want := range map[string]bool{
		"@web": true, " @nosuch": true, "@": true, "+db": true, "-web01": true, "!web01": true, "@failed": true, "@all\r": true,
		":cd": true, ":cd /tmp": true, ":cd\tx\x01": true, "uptime": false, "": false, " ": false, "!!": false, "! true": false, "!(true)": false, "!": false,
		":cdx": false, ":again": false, ":push a b": false, "# @web": false, "echo @web": false,
	} {
		if got := Steers(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
