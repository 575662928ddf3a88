package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/render"
)

func newHostsConvertCommand(e *env) *cobra.Command {
	f := &inventoryFlags{}
	c := &cobra.Command{
		Use:   "convert [flags]",
		Short: "Write the inventory, whatever its source, as hosts.yaml",
		Long: `Writes the inventory as one hosts.yaml, whatever it comes from: several files,
Ansible's or ClusterShell's, genders, a URL. Reading the file gives the same
hosts with the same groups, settings and variables; it was read again before it
was written out.

Secrets are left out, and named: no secret stands in hosts.yaml.`,
		Example: `  fleet hosts convert -i inventory.ini > hosts.yaml
  fleet hosts convert -i clustershell
  fleet hosts convert -i https://cmdb.example.com/hosts.json > snapshot.yaml`,
		Args: noSuch,
		RunE: func(*cobra.Command, []string) error { return runHostsConvert(e, f) },
	}
	f.declare(c)
	return c
}

func runHostsConvert(e *env, f *inventoryFlags) error {
	inv, err := f.load(e)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	for _, from := range f.sources(e) {
		fmt.Fprintf(out, "# from %s\n", render.AppendSafeLine(nil, []byte(shownSource(from))))
	}
	left, err := inv.WriteYAML(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	if len(left) > 0 {
		tell(e.stderr, "fleet: warning: ", "left out: "+strings.Join(left, ", "))
	}
	return nil
}

// shownSource is a source without what may be secret in a URL.
func shownSource(text string) string {
	if address, _, query := strings.Cut(text, "?"); query && strings.Contains(address, "://") {
		return address + "?..."
	}
	return text
}
