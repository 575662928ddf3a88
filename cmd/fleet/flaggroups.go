package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroups puts the flags that many commands share under headings, in the
// help of commands that have so many flags that nobody finds one in the list.
// What is not named here is the command's own and stands first.
var flagGroups = []struct {
	title string
	flags string
}{
	{"WHICH HOSTS", `ask-vault-password facts-age hosts ignore-broken-sources inventory inventory-age inventory-headers limit order
		pick seed source-timeout split vault-id vault-password-file`},
	{"REACHING HOSTS", `answers ask-pass connect-timeout hostkeys interactive jump key known-hosts no-input pass-file port
		ssh-config ssh-config-exec user`},
	{"HOW THE COMMAND RUNS", `argv ask-become-pass become become-method become-pass-command become-pass-file become-timeout become-user cwd env
		keep-running kill-after raw script shell stdin timeout tty`},
	{"ROLLOUT", `canary deadline delay fanout gate gate-host gate-timeout max-fail on-halt pause retries
		retry-delay retry-on serial straggler straggler-after`},
	{"OUTPUT", `color diff expect-same live-fold mask mask-regex max-output out-dir output timestamps verbose`},
	{"RECORD", `detach follow no-record record-max`},
}

// manyFlags is from how many flags on there are headings.
const manyFlags = 20

// flagUsages is the list of a command's flags, fit for 80 columns.
func flagUsages(c *cobra.Command) string {
	all := c.LocalFlags()
	n := 0
	all.VisitAll(func(*pflag.Flag) { n++ })
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	var b strings.Builder
	if n < manyFlags {
		write(&b, "FLAGS", all)
		return b.String()
	}
	groups := make([]*pflag.FlagSet, len(flagGroups))
	for i := range groups {
		groups[i] = pflag.NewFlagSet("", pflag.ContinueOnError)
	}
	all.VisitAll(func(f *pflag.Flag) {
		for i, g := range flagGroups {
			if slices.Contains(strings.Fields(g.flags), f.Name) {
				groups[i].AddFlag(f)
				return
			}
		}
		own.AddFlag(f)
	})
	write(&b, "FLAGS", own)
	for i, g := range flagGroups {
		write(&b, g.title, groups[i])
	}
	return b.String()
}

// write writes the flags of a set, if it has any, under a title.
func write(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		b.WriteString("\n\n" + title + "\n" + strings.TrimRight(flags.FlagUsagesWrapped(80), " \n"))
	}
}
