package engine

import (
	"cmp"

	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

// command is the run's command, and what each host changes in it.
func (r *Run) command(res *results) tasks.Command {
	hosts := make(map[string]*inventory.Host, len(r.req.Hosts))
	for _, h := range r.req.Hosts {
		hosts[h.Name] = h
	}
	e := r.req.How
	e.Command = r.req.Command
	return tasks.Command{Exec: e, Limit: r.req.Timeout, Output: res.output,
		For: func(host string, e *scheduler.Exec) error {
			h := hosts[host]
			e.Shell = cmp.Or(e.Shell, h.Shell)
			e.Become = r.becomes[host]
			if r.req.Input != nil {
				e.Stdin = r.req.Input.Reader()
			}
			if r.req.For != nil {
				return r.req.For(h, e)
			}
			return nil
		}}
}
