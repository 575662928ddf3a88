package sshpool

import (
	"testing"

	"fleet/internal/lab"
	"fleet/internal/polltest"
)

func TestPollerConforms(t *testing.T) {
	polltest.Run(t, func(t *testing.T) polltest.World {
		w := newWorld(t, lab.Config{Names: []string{"good", "mute"}, Faults: map[string]lab.Fault{"mute": "hang"}})
		pool := NewPool(PoolConfig{})
		stops := make(chan struct{}, 2)
		p := NewPoller(pool, func(host string) (Target, error) { return w.target(t, host), nil }, stops)
		return polltest.World{Poller: p, Host: "good", Silent: "mute",
			Stop: func() { stops <- struct{}{} },
			Close: func() {
				p.Close()
				pool.Close()
			}}
	})
}
