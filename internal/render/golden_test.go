package render

import (
	"strings"
	"testing"

	"fleet/internal/event"
)

func TestGolden(t *testing.T) {
	ok := []host{{name: "web01", stdout: "up 3 days\n"}, {name: "web02", stdout: "up 3 days\n"}}
	for _, where := range []struct {
		name string
		o    Options
	}{
		{"pipe", Options{}},
		{"terminal", Options{OutTerminal: true, ErrTerminal: true}},
		{"color", Options{OutTerminal: true, ErrTerminal: true, Color: true, ErrColor: true}},
		{"verbose", Options{Verbose: 1}},
	} {
		for _, mode := range Modes {
			t.Run(mode+"-"+where.name, func(t *testing.T) {
				out, err := show(t, mode, where.o, mixed())
				golden(t, mode+"-"+where.name+".out", []byte(out))
				golden(t, mode+"-"+where.name+".err", []byte(err))
			})
		}
	}
	for _, mode := range Modes {
		t.Run(mode+"-ok", func(t *testing.T) {
			out, err := show(t, mode, Options{}, ok)
			golden(t, mode+"-ok.out", []byte(out))
			golden(t, mode+"-ok.err", []byte(err))
		})
	}
}

func TestNoHosts(t *testing.T) {
	for _, mode := range Modes {
		out, err := show(t, mode, Options{}, nil)
		if mode == "json" && !strings.Contains(out, `"results":[`) || mode == "group" && err != "0 hosts in 812ms\n" {
			t.Errorf("%s: %q, %q", mode, out, err)
		}
	}
}

// A sink that was never started, as after an error before the run, ends too.
func TestFinishWithoutStart(t *testing.T) {
	for _, mode := range Modes {
		for _, terminal := range []bool{false, true} {
			var out, errs buffer
			s, err := New(mode, Options{Out: &out, Err: &errs, OutTerminal: terminal, ErrTerminal: terminal})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Finish(event.Summary{}); err != nil {
				t.Errorf("%s: %v", mode, err)
			}
		}
	}
}

func TestUnknownMode(t *testing.T) {
	_, err := New("yaml", Options{})
	want := `output mode "yaml": not one of live, group, json, jsonl, quiet`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
