package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/lab"
	"fleet/tasks"
)

type labOptions struct {
	n      int
	rtt    time.Duration
	faults []string
	dir    string
	port   int
}

func newLabCommand(e *env) *cobra.Command {
	o := &labOptions{}
	c := &cobra.Command{
		Use:   "lab [flags]",
		Short: "Start an embedded fleet to try things on",
		Long: `Starts simulated SSH hosts on loopback addresses (127.0.0.0/8), writes an
inventory, a key and a known_hosts file for them into a folder, and runs until
Ctrl-C. The hosts answer commands such as uname, uptime or df from canned facts;
they run nothing on this machine.

FAULTS, for --fault HOST=FAULT[=VALUE], where HOST may be a glob:
` + faultHelp(),
		Example: `  fleet lab
  fleet lab -n 200 --rtt 50ms --fault web03=hang --fault 'db*=slow-auth=2s'
  fleet run -i DIR/hosts.yaml all -- uptime        (DIR as the lab prints it)`,
		Args: noSuch,
		RunE: func(c *cobra.Command, _ []string) error { return runLab(c.Context(), e, o) },
	}
	fs := c.Flags()
	fs.IntVarP(&o.n, "number", "n", 20, "how many hosts")
	fs.DurationVar(&o.rtt, "rtt", 0, "round-trip `TIME` added to every connection")
	fs.StringArrayVar(&o.faults, "fault", nil, "what is wrong with a host, `HOST=FAULT`, may be given again")
	fs.StringVar(&o.dir, "dir", "", "`FOLDER` for the lab's files (default: a temporary one, removed at the end)")
	fs.IntVar(&o.port, "port", 0, "port of all hosts (default: a free one)")
	return c
}

func runLab(ctx context.Context, e *env, o *labOptions) error {
	cfg := lab.Config{N: o.n, RTT: o.rtt, Port: o.port}
	if o.n < 1 {
		return usagef("-n %d: at least 1 host", o.n)
	}
	var err error
	if cfg.Faults, err = parseFaults(o.faults); err != nil {
		return usage(fmt.Errorf("--fault: %w", err), "'fleet lab --help' lists the faults")
	}
	stop := catchInterrupts()
	defer stop.release()
	dir, remove, err := labFolder(o.dir)
	if err != nil {
		return err
	}
	defer remove()
	cfg.Dir = dir
	l, err := startLab(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "lab: %d hosts on 127.0.0.0/8, port %d; until Ctrl-C\n", len(l.Hosts()), l.Port())
	fmt.Fprintf(e.stdout, "inventory: %s\n", l.InventoryFile())
	fmt.Fprintf(e.stdout, "try: fleet run -i %s all -- uptime\n", tasks.QuoteAll([]string{l.InventoryFile()}))
	<-stop.stops
	return l.Close()
}

// faultHelp lists the faults of a lab, one a line.
func faultHelp() string {
	var b strings.Builder
	for _, f := range lab.Faults() {
		name := f.Name
		if f.Arg != "" {
			name += "=" + f.Arg
		}
		fmt.Fprintf(&b, "  %-22s", name)
		const margin, width = 24, 79
		column := margin
		for word := range strings.FieldsSeq(f.Doc) {
			if column+1+len(word) > width {
				b.WriteString("\n" + strings.Repeat(" ", margin))
				column = margin
			}
			b.WriteString(" " + word)
			column += 1 + len(word)
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

// parseFaults reads HOST=FAULT words; a host may have several.
func parseFaults(words []string) (map[string]lab.Fault, error) {
	faults := make(map[string]lab.Fault, len(words))
	for _, word := range words {
		host, fault, err := lab.ParseFault(word)
		if err != nil {
			return nil, err
		}
		if before := faults[host]; before != "" {
			fault = before + "+" + fault
		}
		faults[host] = fault
	}
	return faults, nil
}

// startLab starts a lab and writes its files.
func startLab(ctx context.Context, cfg lab.Config) (*lab.Lab, error) {
	l, err := lab.Start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	if err := l.WriteFiles(); err != nil {
		return nil, fmt.Errorf("start lab: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

// labFolder is where a lab's files go, and how to be rid of it afterwards.
func labFolder(dir string) (path string, remove func(), err error) {
	if dir != "" {
		path, err = filepath.Abs(dir)
		return path, func() {}, err
	}
	path, err = os.MkdirTemp("", "fleet-lab-")
	if err != nil {
		return "", nil, fmt.Errorf("start lab: %w", err)
	}
	return path, func() { os.RemoveAll(path) }, nil
}
