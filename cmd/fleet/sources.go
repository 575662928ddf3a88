package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fleet/inventory"
	"fleet/inventory/ansible"
	"fleet/inventory/source"
)

// readFlags say how inventories are read.
type readFlags struct {
	ignoreBroken bool
	limit        time.Duration
	vaultFiles   []string
	vaultIDs     []string
	askVault     bool
}

func (f *readFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.BoolVar(&f.ignoreBroken, "ignore-broken-sources", false, "go on without inventories that cannot be read, and name them")
	fs.DurationVar(&f.limit, "source-timeout", source.DefaultScriptLimit, "longest `TIME` that an inventory script may take")
	fs.StringArrayVar(&f.vaultFiles, "vault-password-file", nil, "read the password of ansible-vault from `FILE`, or from what it writes if it is a program; may be given again (default: $ANSIBLE_VAULT_PASSWORD_FILE)")
	fs.StringArrayVar(&f.vaultIDs, "vault-id", nil, "the same for one vault id, `LABEL@FILE`; LABEL@prompt asks")
	fs.BoolVar(&f.askVault, "ask-vault-password", false, "ask for the password of ansible-vault, if one is needed")
	_ = c.RegisterFlagCompletionFunc("source-timeout", cobra.NoFileCompletions)
}

// loadToComplete is load for the shell's completion, which nobody waits long for.
func (f *inventoryFlags) loadToComplete(e *env) (*inventory.Inventory, error) {
	const limit = 5 * time.Second
	if f.read.limit <= 0 || f.read.limit > limit {
		f.read.limit = limit
	}
	f.read.ignoreBroken = true
	return f.load(e)
}

// anyNamed says whether a host's or group's name begins so.
func anyNamed(inv *inventory.Inventory, prefix string) bool {
	return slices.ContainsFunc(inv.Hosts(), func(h *inventory.Host) bool { return strings.HasPrefix(h.Name, prefix) }) ||
		slices.ContainsFunc(inv.Groups(), func(g *inventory.Group) bool { return strings.HasPrefix(g.Name, prefix) })
}

// passwords are those that may open what ansible-vault encrypted.
func (f *readFlags) passwords(e *env, flags *pflag.FlagSet) ([]ansible.VaultPassword, error) {
	var out []ansible.VaultPassword
	ask := func(label string) ansible.VaultPassword {
		return ansible.VaultPassword{Label: label, Get: func() ([]byte, error) {
			p := &prompter{allowed: true}
			if no := flags.Lookup("no-input"); no != nil {
				p.allowed = no.Value.String() == "false"
			}
			question := "vault password"
			if label != "" {
				question += " (" + label + ")"
			}
			return p.secret(context.Background(), question)
		}}
	}
	for _, id := range f.vaultIDs {
		label, file, ok := strings.Cut(id, "@")
		switch {
		case !ok:
			label, file = "", id
		case file == "":
			return nil, usage(fmt.Errorf("--vault-id %s names no file", quoteWord(id)), "LABEL@FILE, or LABEL@prompt")
		}
		if file == "prompt" {
			out = append(out, ask(label))
		} else if err := source.CheckVaultFile(file); err != nil {
			return nil, usage(fmt.Errorf("--vault-id: %w", err))
		} else {
			out = append(out, source.VaultFile(context.Background(), label, file))
		}
	}
	files := f.vaultFiles
	for _, file := range files {
		if err := source.CheckVaultFile(file); err != nil {
			return nil, usage(fmt.Errorf("--vault-password-file: %w", err))
		}
	}
	if file := e.getenv("ANSIBLE_VAULT_PASSWORD_FILE"); file != "" && len(files)+len(out) == 0 && !f.askVault {
		files = []string{file}
	}
	for _, file := range files {
		out = append(out, source.VaultFile(context.Background(), "", file))
	}
	if f.askVault {
		out = append(out, ask(""))
	}
	return out, nil
}

// merge makes one inventory of the paths, and tells warnings.
func (f *inventoryFlags) merge(e *env, paths []string) (*inventory.Inventory, error) {
	o := f.options(e)
	var err error
	if o.VaultPasswords, err = f.read.passwords(e, f.flags); err != nil {
		return nil, err
	}
	f.words.apply(e, &o)
	r, err := source.Load(context.Background(), o, paths...)
	if err != nil {
		return nil, shortened(err)
	}
	f.named = r.Named
	for _, broken := range r.Broken {
		for line := range strings.Lines(broken.Error()) {
			tell(e.stderr, "fleet: warning: left out: ", strings.TrimRight(line, "\n"))
		}
	}
	for _, w := range r.Warnings {
		tell(e.stderr, "fleet: warning: ", w.Error())
	}
	r.Inventory.UseFacts(f.choice.facts(e))
	return r.Inventory, nil
}

// options say what sources may use.
func (f *inventoryFlags) options(e *env) source.Options {
	return source.Options{
		Getenv: e.getenv, IgnoreBroken: f.read.ignoreBroken, ScriptLimit: f.read.limit,
		SSHConfigNames: func(file string) ([]string, error) { return f.sshConfigNames(e, file) },
	}
}
