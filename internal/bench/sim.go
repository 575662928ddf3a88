package main

import (
	"context"
	"time"
)

func simScenario() scenario {
	return scenario{
		name: "sim", title: "1,000,000 simulated hosts, 3 ops each",
		how: "The scheduler over the simulated fleet of `internal/sim`, fanout 1,000, no network: its test TestManyHosts with -million, as a process of its own, once.",
		run: (*bench).sim,
	}
}

func (b *bench) sim(ctx context.Context) error {
	u, err := b.cost(ctx, command{
		argv:  []string{b.tool("sim.test"), "-test.run", "^TestManyHosts$", "-million", "-test.v", "-test.count=1"},
		check: contains("--- PASS: TestManyHosts", "1000000 hosts in "),
	})
	if err != nil {
		return err
	}
	t := b.sheet("sim")
	t.time("wall", u.wall, 20*time.Second)
	t.memory("peak RSS", u.rss, 1<<30)
	return nil
}
