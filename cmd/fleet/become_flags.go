package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/inventory"
	"fleet/sshpool"
)

// becomeFlags say whom commands run as on their hosts.
type becomeFlags struct {
	on          bool
	user        string
	method      string
	askPass     bool
	passFile    string
	passCommand string
	timeout     time.Duration
	set         func(flag string) bool
}

func (f *becomeFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	f.set = fs.Changed
	fs.BoolVarP(&f.on, "become", "b", false, "run as another user; =false runs as the login user whatever the inventory says")
	fs.StringVar(&f.user, "become-user", "", "that `USER` (default: the inventory's, else root)")
	fs.StringVar(&f.method, "become-method", "", "`PROGRAM` that makes it so: "+strings.Join(sshpool.BecomeMethods(), ", ")+" (default: the inventory's, else sudo)")
	fs.BoolVarP(&f.askPass, "ask-become-pass", "K", false, "ask once for the password that this takes")
	fs.StringVar(&f.passFile, "become-pass-file", "", "read it from `FILE`, - for standard input")
	fs.StringVar(&f.passCommand, "become-pass-command", "", "take it from the first line that `COMMAND` of this machine writes")
	fs.DurationVar(&f.timeout, "become-timeout", sshpool.DefaultBecomeLimit, "longest `TIME` until a host has made the user another")
	fixedCompletion(c, "become-method", sshpool.BecomeMethods())
}

// check says what is wrong with the flags.
func (f *becomeFlags) check(hosts []*inventory.Host) error {
	given := 0
	for _, flag := range []string{"ask-become-pass", "become-pass-file", "become-pass-command"} {
		if f.set(flag) {
			given++
		}
	}
	switch {
	case given > 1:
		return usagef("--ask-become-pass, --become-pass-file and --become-pass-command exclude each other")
	case f.set("become-method") && !slices.Contains(sshpool.BecomeMethods(), f.method):
		return usage(fmt.Errorf("--become-method %s: unknown program", quoteWord(f.method)), "--become-method takes "+strings.Join(sshpool.BecomeMethods(), ", "))
	case f.set("become-user") && (f.user == "" || strings.HasPrefix(f.user, "-") || strings.ContainsAny(f.user, "\n\x00")):
		return usagef("--become-user %s: no name of a user", quoteWord(f.user))
	}
	if f.timeout <= 0 {
		return usagef("--become-timeout %v: a limit is above zero", f.timeout)
	}
	on := f.on || !f.set("become") && slices.ContainsFunc(hosts, func(h *inventory.Host) bool { return h.Become })
	for _, flag := range []string{"become-user", "become-method", "ask-become-pass", "become-pass-file", "become-pass-command", "become-timeout"} {
		if !on && f.set(flag) {
			return usage(fmt.Errorf("--%s without --become, and no host of these has become: true", flag), "-b runs commands as another user")
		}
	}
	return nil
}

// apply asks for the password where that is wanted. The login's own question may
// have standard input.
func (f *becomeFlags) apply(ctx context.Context, e *env, connect *connectFlags, req *engine.Request, ask *prompter) error {
	if err := f.check(req.Hosts); err != nil {
		return err
	}
	req.Become = engine.Become{Set: f.set("become"), On: f.on, User: f.user, Method: f.method, Limit: f.timeout, Secret: func(p []byte) { secrets.Add(p) }}
	var password string
	var err error
	switch {
	case f.askPass:
		var answer []byte
		answer, err = ask.secret(ctx, "become password")
		if errors.Is(err, errNoPrompt) {
			return usage(fmt.Errorf("--ask-become-pass: %w", err), "--become-pass-file FILE reads it from a file")
		}
		password = string(answer)
	case f.passFile == "-" && connect.passFile == "-":
		return usagef("--pass-file - and --become-pass-file - exclude each other")
	case f.passFile != "":
		if password, err = secretFile(f.passFile, e.stdin); err != nil {
			return usage(fmt.Errorf("--become-pass-file: %w", err))
		}
	case f.passCommand != "":
		err = untilStopped(ctx, ask.stopped, func(ctx context.Context) (err error) {
			password, err = engine.SecretCommand(ctx, f.passCommand)
			return err
		})
		if errors.Is(err, errInterrupted) {
			return err
		}
		if err != nil {
			return usage(fmt.Errorf("--become-pass-command: %w", err))
		}
		secrets.Add([]byte(password))
	default:
		return nil
	}
	req.Become.Password = func() string { return password }
	return err
}
