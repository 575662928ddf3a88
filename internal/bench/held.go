package main

import (
	"context"
	"fmt"
	"strconv"
)

func heldScenario() scenario {
	return scenario{
		name: "held", title: "1,000 connections held open",
		how: "`internal/bench/held` opens 1,000 connections through fleet/sshpool, each of which has run a command, to a lab in another process, and " +
			"reads its own resident set after a garbage collection that gives free memory back, before (with one connection open) and after: " +
			"(after − before) / 999. The bare loop's connections are measured the same way.",
		run: (*bench).held,
	}
}

func (b *bench) held(ctx context.Context) error {
	const n = 1000
	s, err := b.lab(ctx, n)
	if err != nil {
		return err
	}
	defer s.stop()
	per := map[string][]int64{}
	for range b.rounds {
		for _, by := range []string{"sshpool", "bare"} {
			bytes, err := b.hold(ctx, s, n, by)
			if err != nil {
				return err
			}
			per[by] = append(per[by], bytes)
		}
	}
	t := b.sheet("held")
	t.memory("RSS a connection, sshpool", median(per["sshpool"]), 50<<10)
	t.note("RSS a connection, bare x/crypto/ssh", "%s", size(median(per["bare"])))
	return nil
}

// hold measures the resident bytes of one held connection.
func (b *bench) hold(ctx context.Context, s *server, n int, by string) (per int64, err error) {
	_, out, err := b.output(ctx, command{argv: []string{b.tool("held"), "-by", by, "-key", s.key(),
		"-known-hosts", s.knownHosts(), "-addresses", s.addresses(), "-n", strconv.Itoa(n)}})
	if err != nil {
		return 0, err
	}
	var before, after int64
	if _, err := fmt.Sscanf(string(out), "before %d after %d\n", &before, &after); err != nil {
		return 0, fmt.Errorf("read what held says: %w", err)
	}
	return (after - before) / int64(n-1), nil
}
