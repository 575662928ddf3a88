package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestNearFlags leaves the end out of each flag of each command: what is told
// names a flag that begins so.
func TestNearFlags(t *testing.T) {
	t.Parallel()
	commands := func() *cobra.Command {
		return newRootCommand(&env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }})
	}
	tried, root := 0, commands()
	eachCommand(commands(), func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			word := f.Name[:len(f.Name)-1]
			if f.Hidden || len(word) < 2 || c.Flags().Lookup(word) != nil {
				return
			}
			tried++
			root.SetArgs(append(strings.Fields(c.CommandPath())[1:], "--"+word))
			err := root.Execute()
			told, ok := err.(*fault)
			if !ok || told.code != exitUsage || !strings.Contains(told.hints[0], "did you mean --"+word) {
				t.Errorf("%s --%s: %v", c.CommandPath(), word, err)
			}
		})
	})
	if tried < 300 {
		t.Errorf("only %d flags were tried", tried)
	}
}

func TestLikely(t *testing.T) {
	names := []string{"older-than", "max-size", "max-fail", "fanout", "output", "retries", "retry-on", "retry-delay", "run", "all"}
	for word, want := range map[string]string{
		"older":        "older-than",
		"olderthan":    "older-than",
		"fanuot":       "fanout",
		"Fanout":       "fanout",
		"max-failures": "max-fail",
		"retry":        "retry-delay retry-on",
		"retr":         "retries retry-delay retry-on",
		"rnu":          "",
		"al":           "all",
		"x":            "",
		"nothing-like": "",
	} {
		if got := strings.Join(likely(word, names), " "); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := didYouMean("--", []string{"a", "b", "c"}); got != "did you mean --a, --b or --c?" {
		t.Error(got)
	}
}
