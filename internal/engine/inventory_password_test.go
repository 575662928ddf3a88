package engine

import (
	"context"
	"testing"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
)

// TestPasswordOfInventory logs in by passwords that the inventory has, each
// host by its own; one that is asked for stands above them. Nothing tells them.
func TestPasswordOfInventory(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"one", "two", "bad"}, Password: canary, Faults: map[string]lab.Fault{"*": "password-only"}})
	req := ask(f, "true", f.Hosts()...)
	for i, h := range req.Hosts {
		own := *h
		own.Password = inventory.NewSecret(canary)
		if h.Name == "bad" {
			own.Password = inventory.NewSecret(canary + "-not")
		}
		req.Hosts[i] = &own
	}
	c := secretly(t, req)
	if c.results["one"].Outcome != okay || c.results["two"].Outcome != okay || c.results["bad"].Outcome != never {
		t.Error(c.causes())
	}
	req.Password = func(context.Context) (string, error) { return canary, nil }
	if c := secretly(t, req); c.summary.Counts[okay] != 3 {
		t.Error(c.causes())
	}
}
