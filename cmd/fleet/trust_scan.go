package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fleet/internal/trust"
)

func newTrustScanCommand(e *env) *cobra.Command {
	o := &trustOptions{}
	c := &cobra.Command{
		Use:   "scan [flags] PATTERN",
		Short: "Show the keys of hosts, and what known_hosts says of them",
		Long: `Asks the hosts that PATTERN selects for their keys and shows these, hosts with
the same key together, as

  known    known_hosts has the key, or an authority there vouches for it
  new      known_hosts does not have the host
  changed  known_hosts has the host with other keys
  revoked  known_hosts or RevokedHostKeys says never to trust this key
  invalid  an authority vouches for the host, but its certificate is not valid

Nothing is written down; 'fleet trust approve' does that.`,
		Example: `  fleet trust scan all
  fleet trust scan --types ed25519,rsa web
  fleet trust scan -o json all > keys.json`,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelpTrust},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTrustScan(c.Context(), e, o, args[0])
		},
	}
	o.declare(e, c)
	return c
}

func runTrustScan(ctx context.Context, e *env, o *trustOptions, pattern string) error {
	s, err := o.scan(ctx, e, pattern, false)
	if err != nil {
		return err
	}
	defer s.stop.release()
	err = s.show(func() error {
		if o.output == "json" {
			return s.WriteJSON(e.stdout, s.Keys, nil)
		}
		return o.view(e).Write(e.stdout, trust.Groups(s.Keys))
	})
	if err != nil {
		return err
	}
	s.remarks(e, o)
	if set := s.hostsIn(trust.New); set != "" {
		tell(e.stderr, "fleet: hint: ", "compare new keys with what the hosts' owner says, then: fleet trust approve "+set)
	}
	s.changedHint(e)
	return s.status(s.bad())
}

// changedHint says what to do about changed keys.
func (s *scanned) changedHint(e *env) {
	if set := s.hostsIn(trust.Changed); set != "" {
		tell(e.stderr, "fleet: hint: ", fmt.Sprintf("changed keys: reinstalled hosts, or somebody in between; once you know which: fleet trust remove %s, then fleet trust approve %s", set, set))
	}
}
