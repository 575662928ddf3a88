package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/internal/lab"
	"fleet/internal/render"
	"fleet/internal/transfer"
	"fleet/inventory"
)

func newDemoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show fleet at work on an embedded fleet",
		Long: `Starts twenty simulated hosts on loopback, one of which differs from the others
and one of which is down, runs a command on all of them and shows the answers,
then pushes files to all of them.
Nothing is needed for it, and nothing is left of it.`,
		Example: "  fleet demo",
		Args:    noSuch,
		RunE:    func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), e) },
	}
}

const demoCommand = "uname -r"

func runDemo(ctx context.Context, e *env) error {
	dir, err := os.MkdirTemp("", "fleet-demo-")
	if err != nil {
		return fmt.Errorf("start demo: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := startLab(ctx, lab.Config{N: 20, Dir: dir, Faults: map[string]lab.Fault{"web07": "refuse"}})
	if err != nil {
		return err
	}
	defer l.Close()
	hosts, err := demoHosts(l)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "Twenty simulated hosts listen on 127.0.0.0/8. This is\n\n  fleet run -o group all -- %s\n\n", demoCommand)
	stop := catchInterrupts()
	defer stop.release()
	d := &demo{e: e, stop: stop, req: engine.Request{
		Hosts: hosts, Command: demoCommand, Fanout: 100, MaxOutput: 1 << 20, Keep: true,
		Access: engine.Access{ConnectTimeout: 5 * time.Second, KnownHosts: []string{l.KnownHostsFile()}, Keys: []string{l.KeyFile()}},
	}}
	if err := d.carry(ctx, "group", d.req); err != nil {
		return err
	}
	if _, err := fmt.Fprint(e.stdout, demoBetween); err != nil {
		return err
	}
	if err := d.push(ctx, filepath.Join(dir, "site")); err != nil {
		return err
	}
	_, err = fmt.Fprint(e.stdout, demoNext)
	return err
}

// demo is what the demo's runs share.
type demo struct {
	e    *env
	stop *interrupts
	req  engine.Request
}

// carry does one run. One host is down on purpose: its failure is the demo's
// success.
func (d *demo) carry(ctx context.Context, output string, req engine.Request) error {
	e := d.e
	sink, err := render.New(output, render.Options{
		Out: e.stdout, Err: e.stderr, OutTerminal: isTerminal(e.stdout), ErrTerminal: isTerminal(e.stderr),
		Width: func() int { return columns(e.stderr) }, Color: e.color("auto", e.stdout), ErrColor: e.color("auto", e.stderr), Fold: inventory.Fold,
	})
	if err != nil {
		return err
	}
	err = carryOut(ctx, req, sink, d.stop)
	var f *fault
	switch {
	case err == nil:
		return fmt.Errorf("demo ended with status %d instead of %d", exitOK, exitUnreachable)
	case !errors.As(err, &f) || f.code != exitUnreachable:
		return err
	case f.err != nil:
		return f.err
	}
	return nil
}

// push puts a small folder on all hosts.
func (d *demo) push(ctx context.Context, dir string) error {
	for name, text := range map[string]string{"index.html": "<h1>It works</h1>\n", "conf/app.conf": "listen 8080\n"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	p := &transfer.Push{Sources: []string{dir}, Dst: "/srv", Links: transfer.KeepLinks, Warn: func(string) {}}
	if err := p.Prepare(ctx, d.req.Hosts); err != nil {
		return errors.Join(err, p.Close())
	}
	defer p.Close()
	req := d.req
	req.Command, req.Work = "push site /srv", pushWork(p)
	return d.carry(ctx, "live", req)
}

func demoHosts(l *lab.Lab) ([]*inventory.Host, error) {
	inv, err := inventory.Load(filepath.Join(filepath.Dir(l.InventoryFile()), "hosts.yaml"))
	if err != nil {
		return nil, err
	}
	return inv.Select("all")
}

const demoBetween = `
One host answered otherwise, one was down: both were told apart from the rest,
and the exit status of such a run is 4, so that a script knows. This is

  fleet push all site /srv

`

const demoNext = `
Each file was compared with what was sent, then put in place by a rename. A
second push would send nothing.

Next:
  fleet lab                              keep such a fleet running
  fleet lab --fault web03=hang           the same, with a host that hangs
  fleet run -i hosts.yaml web -- uptime  run on hosts of your own
  fleet hosts --help                     how to say which hosts
`
