package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/tasks"
)

type sshOptions struct {
	inventory inventoryFlags
	connect   connectFlags
	forwards  forwardFlags
	become    becomeFlags
	tty       bool
	noTTY     bool
	noStdin   bool
	argv      bool
	agent     bool
	verbose   int
}

const exitHelpSSH = `
EXIT STATUS
  that of the remote shell or command, or 128+N where signal N ended it; else
  1  an error of fleet's own, or a    3    the host does not run it
     forward that cannot be set up    4    unreachable, or connection lost
  2  usage, inventory or              130  interrupted, or left by ~.
     configuration`

func newSSHCommand(e *env) *cobra.Command {
	o := &sshOptions{}
	c := &cobra.Command{
		Use:   "ssh [flags] HOST [-- COMMAND [ARG...]]",
		Short: "Open a shell on one host, or run a command there",
		Long: `Opens the login shell of the user on HOST, or runs COMMAND there with standard
input, output and error passed through byte for byte. HOST is a host of the
inventory, USER@HOST, or a pattern that selects just one host.

It stays the user that logs in, also where the inventory has become: true; a
warning says so. With -b it becomes another: a shell is the login shell of that
user, and COMMAND is read by /bin/sh. Passwords are given as to 'fleet run'.

A shell gets a terminal where standard input is one; a command gets one with -t.
On a terminal, typed at the beginning of a line: ~. leaves, ~? lists the others.

Flags stand before HOST: what follows it is the command, as with ssh, so that
'rsync -e "fleet ssh"' works. Its words are joined by spaces and read by the
shell of the user on the host; with --argv each word arrives as it stands.

Forwards are SPECs as ssh has them: [BIND:]PORT:HOST:HOSTPORT for -L and -R,
[BIND:]PORT for -D and -R, with /paths of UNIX sockets in the place of either
side; addresses of IPv6 stand in brackets. Without BIND only local connections
are taken. Port 0 takes any free port and says which.`,
		Example: `  fleet ssh web01
  fleet ssh root@db1 -- journalctl -n 50
  fleet ssh -t web01 -- top
  fleet ssh -b -K web01
  fleet ssh db1 -- 'pg_dump app | gzip' > app.sql.gz
  fleet ssh -N -L 5432:localhost:5432 db1
  fleet ssh -N -D 1080 bastion`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelpSSH},
		RunE: func(c *cobra.Command, args []string) error {
			host, words, err := splitSSHArgs(args, c.ArgsLenAtDash())
			if err != nil {
				return err
			}
			return runSSH(c.Context(), e, o, host, words)
		},
	}
	o.inventory.declare(c)
	o.connect.declare(c)
	o.forwards.declare(c)
	o.become.declare(c)
	fs := c.Flags()
	fs.SetInterspersed(false)
	fs.BoolVarP(&o.tty, "tty", "t", false, "ask for a terminal, also for a command")
	fs.BoolVarP(&o.noTTY, "no-tty", "T", false, "ask for no terminal, also for a shell")
	fs.BoolVarP(&o.noStdin, "no-stdin", "n", false, "pass no standard input on, as in a loop that reads its own")
	fs.BoolVar(&o.argv, "argv", false, "quote each word of COMMAND, so that the host's shell changes none")
	fs.BoolVarP(&o.agent, "forward-agent", "A", false, "let the host use the ssh-agent of this machine meanwhile")
	fs.CountVarP(&o.verbose, "verbose", "v", "say how the connection comes about")
	return c
}

// splitSSHArgs takes "HOST [--] [COMMAND [ARG...]]" apart; dash is the number
// of words before a "--" that stood among the flags, or -1.
func splitSSHArgs(args []string, dash int) (host string, words []string, err error) {
	hint := "usage: fleet ssh [flags] HOST [-- COMMAND [ARG...]]"
	if len(args) == 0 {
		return "", nil, usage(errors.New("no host given"), hint)
	}
	host, words = args[0], args[1:]
	switch {
	case len(words) == 0:
		return host, nil, nil
	case words[0] == "--" && dash < 0:
		words = words[1:]
	case strings.HasPrefix(words[0], "-") && words[0] != "-":
		return "", nil, usage(fmt.Errorf("flag %s after the host %s", quoteWord(words[0]), quoteWord(host)),
			"flags stand before the host: fleet ssh "+words[0]+" ... "+tasks.QuoteAll(args[:1]), hint)
	}
	if strings.TrimSpace(strings.Join(words, "")) == "" {
		return "", nil, usage(errors.New("no command given after the host"), "without '--' it opens a shell", hint)
	}
	return host, words, nil
}

// withUser is USER@HOST, where USER is no part of a pattern.
var withUser = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*\$?)@(.+)$`)

// oneHost finds the host that name selects.
func oneHost(inv *inventory.Inventory, name string) (*inventory.Host, error) {
	hosts, err := inv.Select(name)
	switch {
	case err != nil && strings.Contains(name, ":"):
		return nil, usage(err, "a port is given by -p; hosts come from the inventory, or by -i ssh_config from Host lines")
	case err != nil:
		return nil, usage(err, "'fleet hosts' lists the inventory; -i ssh_config takes the hosts of ~/.ssh/config")
	case len(hosts) == 0:
		return nil, usage(fmt.Errorf("%s selects no host", quoteWord(name)))
	case len(hosts) > 1:
		return nil, usage(fmt.Errorf("%s selects %d hosts, where one is wanted: %s", quoteWord(name), len(hosts), inventory.Fold(hostNames(hosts))),
			"name one of them; 'fleet run' and 'fleet shell' work on many")
	}
	return hosts[0], nil
}

func (o *sshOptions) check(words []string) error {
	switch {
	case o.tty && o.noTTY:
		return usagef("--tty and --no-tty exclude each other")
	case o.forwards.only && (len(words) > 0 || o.tty):
		return usagef("-N runs nothing: no command and no terminal goes with it")
	case o.forwards.only && o.become.on:
		return usagef("-N runs nothing: --become has nothing to run as another user")
	case o.forwards.only && o.forwards.none():
		return usage(errors.New("-N without a forward does nothing"), "give it -L, -R or -D")
	}
	return nil
}

func runSSH(ctx context.Context, e *env, o *sshOptions, name string, words []string) error {
	if err := o.check(words); err != nil {
		return err
	}
	if m := withUser.FindStringSubmatch(name); m != nil {
		if o.connect.user != "" && o.connect.user != m[1] {
			return usagef("-u %s and %s name two users", quoteWord(o.connect.user), quoteWord(name))
		}
		o.connect.user, name = m[1], m[2]
	}
	inv, err := o.inventory.load(e)
	if err != nil {
		return err
	}
	host, err := oneHost(inv, name)
	if err != nil {
		return err
	}
	v := &visit{env: e, o: o, host: host, notes: &notes{w: e.stderr}}
	v.cmd = sshpool.Command{Text: strings.Join(words, " "), Shell: len(words) == 0}
	if o.argv {
		v.cmd.Text = tasks.QuoteAll(words)
	}
	if host.Become && !o.become.set("become") && !o.forwards.only {
		v.notes.Note("fleet: warning: " + host.Name + ": become: true in the inventory counts for nothing here: this is the login user; -b becomes another")
	}
	return v.run(ctx)
}
