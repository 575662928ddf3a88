package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelp wants an example and the exit statuses in the help of each command,
// lines that fit 80 columns, and flags in the field's usual form.
func TestHelp(t *testing.T) {
	e := &env{stdin: strings.NewReader(""), getenv: func(string) string { return "" }}
	eachCommand(newRootCommand(e), func(c *cobra.Command) {
		if c.Name() == "help" || c.HasParent() && c.Parent().Name() == "completion" {
			return
		}
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			var out bytes.Buffer
			c.SetOut(&out)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			help := out.String()
			for _, part := range []string{"USAGE\n", "EXAMPLES\n", "EXIT STATUS\n", c.CommandPath()} {
				if !strings.Contains(help, part) {
					t.Errorf("help has no %q", part)
				}
			}
			for line := range strings.Lines(help) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
					t.Errorf("line of %d columns: %s", n, line)
				}
			}
			if strings.Contains(help, "\t") {
				t.Error("help holds a tab")
			}
		})
	})
}

// TestFlagGroups wants each flag of each command in its help once, and the names
// under the headings to be those of flags that there are.
func TestFlagGroups(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	eachCommand(newRootCommand(&env{getenv: func(string) string { return "" }}), func(c *cobra.Command) {
		listed := map[string]int{}
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-.,)? +--([a-z0-9-]+)`).FindAllStringSubmatch(flagUsages(c), -1) {
			listed[m[1]]++
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			known[f.Name] = true
			if n := listed[f.Name]; n != 1 && !f.Hidden {
				t.Errorf("%s: --%s stands %d times in its help", c.CommandPath(), f.Name, n)
			}
		})
	})
	for _, g := range flagGroups {
		for _, name := range strings.Fields(g.flags) {
			if !known[name] {
				t.Errorf("under %s stands --%s, which no command has", g.title, name)
			}
		}
	}
}

// TestHintsNameRealFlags holds what hints advise to what fleet run can do.
func TestHintsNameRealFlags(t *testing.T) {
	source, err := os.ReadFile("../../internal/render/hints.go")
	if err != nil {
		t.Fatal(err)
	}
	run := newRunCommand(&env{getenv: func(string) string { return "" }}).Flags()
	push := newPushCommand(&env{getenv: func(string) string { return "" }}).Flags()
	foreign := regexp.MustCompile("`(ssh|fleet hosts)[^`]*`") // other commands, with flags of their own
	found := 0
	for _, m := range regexp.MustCompile(`[ (;](-[a-zA-Z]|--[a-z-]+)\b`).FindAllStringSubmatch(foreign.ReplaceAllString(string(source), ""), -1) {
		found++
		name := strings.TrimLeft(m[1], "-")
		if push.Lookup(name) == nil && run.Lookup(name) == nil && (len(name) > 1 || run.ShorthandLookup(name) == nil) {
			t.Errorf("a hint names %s, which neither fleet run nor fleet push has", m[1])
		}
	}
	if found < 10 {
		t.Errorf("found %d flags in the hints: does the test still read them?", found)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "300": 300, "512K": 512 << 10, "1M": 1 << 20, "2GiB": 2 << 30, "7b": 7} {
		var b byteSize
		if err := b.Set(text); err != nil || b.bytes != want {
			t.Errorf("Set(%q): %d, %v; want %d", text, b.bytes, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1T", "1.5M", "9999999999G", "1KK"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("Set(%q) gave %d, want an error", text, b.bytes)
		}
	}
	for size, want := range map[int64]string{0: "0", 1 << 20: "1M", 1536: "1536", 3 << 30: "3G", 512 << 10: "512K"} {
		if got := (&byteSize{size}).String(); got != want {
			t.Errorf("String of %d: %s, want %s", size, got, want)
		}
	}
}
