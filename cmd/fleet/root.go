package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (e *env) execute(args []string) int {
	e.args = args
	root := newRootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	return report(e.stderr, root.Execute())
}

func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:     "fleet",
		Short:   "Run commands over any number of SSH hosts",
		Version: versionLine(),
		Long: `fleet runs commands over any number of hosts by SSH, and tells truly what
became of each. Nothing is installed on the hosts.

New here? 'fleet demo' shows it at work on an embedded fleet.`,
		Example: `  fleet demo
  fleet hosts
  fleet run web -- uptime
  fleet run -o group 'web[01-20]' -- uname -r`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuch,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(flagError(err), nearFlags(c, err), "'"+c.CommandPath()+" --help' lists the flags")
	})
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetUsageTemplate(usageTemplate)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpTemplate(helpTemplate)
	root.AddCommand(newRunCommand(e), newPushCommand(e), newPullCommand(e), newShellCommand(e), newSSHCommand(e), newHostsCommand(e), newLabCommand(e), newDemoCommand(e), newDoctorCommand(e), newTrustCommand(e), newVersionCommand(e))
	root.AddCommand(newHistoryCommand(e), newRerunCommand(e), newDiffCommand(e, "fleet"), newPsCommand(e), newCancelCommand(e))
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Example = "  source <(fleet completion bash)\n  fleet completion zsh >\"${fpath[1]}/_fleet\""
	}
	eachCommand(root, func(c *cobra.Command) {
		if c.Args != nil {
			c.Args = usageArgs(c.Args)
		}
		completeFlags(e, c)
		if c.Annotations["exit"] == "" {
			c.Annotations = map[string]string{"exit": exitHelpLocal}
		}
	})
	return root
}

// flagError says what is wrong with a flag's value in words of the command line.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	why := bad.Unwrap()
	switch bad.GetFlag().Value.Type() {
	case "int", "count":
		why = errors.New("not a whole number")
	case "duration":
		why = errors.New("not a time such as 500ms, 30s or 1h30m")
	case "bool":
		why = errors.New("takes no value")
	}
	return fmt.Errorf("--%s %s: %w", bad.GetFlag().Name, quoteWord(bad.GetValue()), why)
}

// eachCommand calls f for c and all commands below it.
func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

// usageArgs makes what a check of arguments finds a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		var f *fault
		if err == nil || errors.As(err, &f) {
			return err
		}
		return usage(err, "usage: "+c.UseLine())
	}
}

// onePattern wants one word, which selects hosts.
func onePattern(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("no pattern given")
	case 1:
		return nil
	}
	return fmt.Errorf("one pattern is wanted, and %s follows it; \",\" joins patterns", quoteWord(args[1]))
}

// quoteWord quotes a word of the command line for a message.
func quoteWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}{{with .Annotations}}{{with .exit}}{{.}}
{{end}}{{end}}`

const usageTemplate = `USAGE
{{- if .Runnable}}
  {{.UseLine}}{{end}}
{{- if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND [flags]

COMMANDS
{{- range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasExample}}

EXAMPLES
{{.Example}}{{end}}
{{- flagUsages .}}
{{- if .HasAvailableInheritedFlags}}

{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}
`
