package main

import (
	"errors"

	"fleet/inventory"
)

// rerun says that a command line is that of a recorded run, and on which hosts it
// is carried out instead of those that it selects.
type rerun struct {
	of    string // id of the run
	hosts []string
}

// choose gives the hosts as the inventory has them now.
func (r *rerun) choose(inv *inventory.Inventory) ([]*inventory.Host, error) {
	var hosts []*inventory.Host
	var missing []string
	for _, name := range r.hosts {
		if h, ok := inv.Host(name); ok {
			hosts = append(hosts, h)
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, usage(errors.New("the inventory does not have "+inventory.Fold(missing)+", where the run was"),
			"--host PATTERN takes fewer of its hosts")
	}
	return hosts, nil
}
