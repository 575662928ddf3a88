package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"fleet/internal/engine"
	"fleet/inventory"
	"fleet/sshpool/sshconfig"
)

// runHostsSSH prints how one host is reached and where each setting comes from.
func runHostsSSH(ctx context.Context, e *env, o *hostsOptions, spec string) error {
	if o.output != "names" && o.output != "json" {
		return usagef("--ssh goes with --output json, or none")
	}
	hop, err := sshconfig.ParseHop(spec)
	if err != nil {
		return usage(fmt.Errorf("--ssh: %w", err), "or ssh://[user@]host[:port]")
	}
	host := &inventory.Host{Name: hop.Host, Settings: inventory.Settings{Address: hop.Host}}
	if sources := o.inventory.sources(e); len(sources) > 0 {
		inv, err := o.inventory.merge(e, sources)
		if err != nil {
			return err
		}
		if known, ok := inv.Host(hop.Host); ok {
			host = known
		}
	}
	a := engine.Access{User: hop.User, Port: hop.Port, MatchExec: o.ssh.runner(e)}
	a.Warn = func(text string) { tell(e.stderr, "fleet: warning: ", text) }
	if a.SSHConfig, err = o.ssh.load(e); err != nil {
		return err
	}
	settings, err := a.Explain(ctx, host)
	if err != nil {
		return usage(err)
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	write := writeSSH
	if o.output == "json" {
		write = writeSSHJSON
	}
	if err = write(out, hop.Host, settings); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

// writeSSH writes a setting a line, with its place behind a #.
func writeSSH(w io.Writer, _ string, settings []sshconfig.Setting) error {
	for _, s := range settings {
		from := s.From.String()
		if s.From.IsSet() && s.Line == 0 {
			from = s.File
		}
		if _, err := fmt.Fprintf(w, "%s %s  # %s\n", s.Key, s.Value, from); err != nil {
			return err
		}
	}
	return nil
}

// sshJSON is a value as --output json shows it; docs/schema holds its schema.
type sshJSON struct {
	Value string  `json:"value"`
	File  *string `json:"file"`
	Line  *int    `json:"line"`
}

func writeSSHJSON(w io.Writer, host string, settings []sshconfig.Setting) error {
	doc := struct {
		V        int                  `json:"v"`
		Host     string               `json:"host"`
		Settings map[string][]sshJSON `json:"settings"`
	}{V: 1, Host: host, Settings: make(map[string][]sshJSON)}
	for _, s := range settings {
		j := sshJSON{Value: s.Value}
		if s.From.IsSet() {
			j.File = &s.File
		}
		if s.Line > 0 {
			j.Line = &s.Line
		}
		doc.Settings[s.Key] = append(doc.Settings[s.Key], j)
	}
	return writeDocument(w, doc)
}
