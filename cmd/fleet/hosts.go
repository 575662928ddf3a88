package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"fleet/inventory"
	"fleet/sshpool"
)

type hostsOptions struct {
	inventory inventoryFlags
	output    string
	vars      bool
	secrets   bool
	ssh       sshConfigFlags
	sshHost   string
	why       string
}

var hostsOutputs = []string{"names", "folded", "json", "tree", "groups", "regrouped"}

func newHostsCommand(e *env) *cobra.Command {
	o := &hostsOptions{}
	c := &cobra.Command{
		Use:   "hosts [flags] [PATTERN]",
		Short: "List hosts of the inventory; expand and fold host sets",
		Long: `Lists the hosts of the inventory that PATTERN selects, all without one.

PATTERN is a host, a group or @group, a host set web[01-20], a glob web*, ~regex
or all; joined by "," (or), "&" (and), "!" (not) and "^" (one of the two, not
both), read from left to right. Ansible's web:db, web:&prod, web:!db1, web[0:2]
and @FILE are understood too. A condition on variables, settings and facts (see
'fleet hosts facts --help') is a pattern: role=front, port>1024, mem<2G.

With --ssh it prints how one host is reached by inventory and ssh_config, as
'ssh -G' does, and where each setting comes from; the host need not be in the
inventory.`,
		Example: `  fleet hosts
  fleet hosts 'prod&web*!web07'
  fleet hosts --output json --vars db1
  fleet hosts --ssh ops@db1:2222
  fleet hosts --why web20
  fleet hosts -i ssh_config
  fleet hosts -i inventories/prod 'web:&staging:!web01'
  fleet hosts expand 'web[01-03]'
  fleet hosts fold web01 web02 web03`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.inventory.completePattern(e),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("ssh") {
				if len(args) > 0 {
					return usagef("--ssh and a pattern exclude each other")
				}
				return runHostsSSH(c.Context(), e, o, o.sshHost)
			}
			if c.Flags().Changed("why") {
				if len(args) > 0 {
					return usagef("--why and a pattern exclude each other")
				}
				return runHostsWhy(e, o, o.why)
			}
			pattern := "all"
			if len(args) == 1 {
				pattern = args[0]
			}
			return runHosts(e, o, pattern)
		},
	}
	o.inventory.declare(c)
	o.inventory.declareChoice(e, c)
	c.Flags().StringVarP(&o.output, "output", "o", "names", "`FORMAT`: "+strings.Join(hostsOutputs, ", "))
	c.Flags().BoolVar(&o.vars, "vars", false, "show variables and connection settings too")
	c.Flags().BoolVar(&o.secrets, "show-secrets", false, "with --vars, show passwords and what ansible-vault encrypted in plain text")
	c.Flags().StringVar(&o.sshHost, "ssh", "", "print how `HOST` is reached: [user@]host[:port] or ssh:// URI")
	c.Flags().StringVar(&o.why, "why", "", "print which line of which file says what of `HOST`, and what it stands above")
	o.ssh.declare(c)
	fixedCompletion(c, "output", hostsOutputs)
	c.AddCommand(newHostsExpandCommand(e), newHostsFoldCommand(e), newHostsFactsCommand(e), newHostsCheckCommand(e), newHostsConvertCommand(e))
	return c
}

func runHosts(e *env, o *hostsOptions, pattern string) error {
	o.inventory.want(pattern)
	inv, err := o.inventory.load(e)
	if err != nil {
		return err
	}
	hosts, err := o.inventory.choose(e, inv, pattern)
	if err != nil {
		return err
	}
	if o.secrets {
		hosts = revealed(hosts)
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	switch o.output {
	case "names":
		err = writeNames(out, hosts, o.vars)
	case "folded":
		_, err = fmt.Fprintln(out, inventory.Fold(hostNames(hosts)))
	case "json":
		err = writeHostsJSON(out, hosts, o.vars)
	case "groups":
		err = writeGroups(out, inv, hosts)
	case "regrouped":
		err = writeRegrouped(out, inv, hosts)
	case "tree":
		err = writeTree(out, inv, hosts, o.vars)
	default:
		return usage(fmt.Errorf("unknown output %s", quoteWord(o.output)), "--output takes "+strings.Join(hostsOutputs, ", "))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write hosts: %w", err)
	}
	return nil
}

// revealed is hosts with the secrets among their variables in plain text.
func revealed(hosts []*inventory.Host) []*inventory.Host {
	out := make([]*inventory.Host, len(hosts))
	for i, h := range hosts {
		open := *h
		open.Vars, _ = inventory.Reveal(h.Vars).(map[string]any)
		out[i] = &open
	}
	return out
}

func hostNames(hosts []*inventory.Host) []string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return names
}

func writeNames(w io.Writer, hosts []*inventory.Host, vars bool) error {
	for _, h := range hosts {
		if _, err := fmt.Fprintln(w, h.Name); err != nil {
			return err
		}
		if !vars {
			continue
		}
		for _, line := range hostDetails(h) {
			if _, err := fmt.Fprintln(w, "  "+line); err != nil {
				return err
			}
		}
	}
	return nil
}

// hostJSON is a host as --output json shows it; docs/schema holds its schema.
type hostJSON struct {
	Name    string         `json:"name"`
	Address string         `json:"address"`
	Port    int            `json:"port"`
	User    string         `json:"user"`
	Groups  []string       `json:"groups"`
	Vars    map[string]any `json:"vars,omitempty"`
}

func writeHostsJSON(w io.Writer, hosts []*inventory.Host, vars bool) error {
	doc := struct {
		V     int        `json:"v"`
		Hosts []hostJSON `json:"hosts"`
	}{V: 1, Hosts: make([]hostJSON, len(hosts))}
	for i, h := range hosts {
		j := hostJSON{Name: h.Name, Address: cmp.Or(h.Address, h.Name), Port: cmp.Or(h.Port, sshpool.DefaultPort), User: h.User, Groups: h.Groups}
		if j.Groups == nil {
			j.Groups = []string{}
		}
		if vars {
			j.Vars = h.Vars
		}
		doc.Hosts[i] = j
	}
	return writeDocument(w, doc)
}

// fixedCompletion offers words for a flag.
func fixedCompletion(c *cobra.Command, flag string, words []string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails for an undeclared flag only
}

// eachWord calls f for every word of args, or of standard input if there are none.
func (e *env) eachWord(args []string, f func(string)) error {
	if len(args) > 0 {
		for _, a := range args {
			for _, word := range strings.Fields(a) {
				f(word)
			}
		}
		return nil
	}
	in := bufio.NewScanner(e.stdin)
	in.Buffer(make([]byte, 64<<10), 64<<20)
	in.Split(bufio.ScanWords)
	for in.Scan() {
		f(in.Text())
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}
