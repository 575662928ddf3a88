package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"fleet/internal/engine"
	"fleet/internal/render"
	"fleet/inventory"
)

// planned is one command and the hosts of one batch that it is for.
type planned struct {
	V       int      `json:"v,omitempty"`
	Type    string   `json:"type,omitempty"`
	Batch   int      `json:"batch"`
	Batches int      `json:"batches"`
	Hosts   []string `json:"hosts"`
	Command string   `json:"command"`
	runAs
}

// runAs is whom a command runs as; empty for the login user.
type runAs struct {
	User   string `json:"become_user,omitempty"`
	Method string `json:"become_method,omitempty"`
}

// sending is what one host would be sent.
type sending struct {
	command string
	as      runAs
}

// plan is what req would send to whom, batch by batch; what gives that of a host.
func plan(req *engine.Request, what func(h *inventory.Host) sending) (all []planned) {
	batches := req.Batches()
	for i, hosts := range batches {
		at := map[sending]int{} // to its place in all
		for _, h := range hosts {
			s := what(h)
			k, ok := at[s]
			if !ok {
				k = len(all)
				at[s] = k
				all = append(all, planned{Batch: i + 1, Batches: len(batches), Command: s.command, runAs: s.as})
			}
			all[k].Hosts = append(all[k].Hosts, h.Name)
		}
	}
	return all
}

// dryRun tells what req would send to whom, in an output mode. Nothing is
// connected, and no gate is asked.
func dryRun(e *env, mode string, req *engine.Request, what func(h *inventory.Host) sending) error {
	all := plan(req, what)
	var err error
	switch mode {
	case "json":
		err = plainJSON(e.stdout).Encode(struct {
			V    int       `json:"v"`
			Plan []planned `json:"plan"`
		}{1, all})
	case "jsonl":
		lines := plainJSON(e.stdout)
		for _, p := range all {
			p.V, p.Type = 1, "plan"
			err = errors.Join(err, lines.Encode(p))
		}
	case "quiet":
	default:
		_, err = io.WriteString(e.stdout, planText(e, req, all))
	}
	if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	tell(e.stderr, "fleet: ", fmt.Sprintf("dry run: nothing was sent to %s", amount(len(req.Hosts), "host")))
	return nil
}

func plainJSON(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// planText is the plan for people.
func planText(e *env, req *engine.Request, all []planned) string {
	safe := func(s string) string { return s }
	if isTerminal(e.stdout) {
		safe = func(s string) string { return string(render.AppendSafe(nil, []byte(s))) }
	}
	var b strings.Builder
	for i, p := range all {
		if i > 0 && all[i-1].Batch < p.Batch {
			b.WriteString(gateText(&req.Gate))
		}
		if p.Batches > 1 || len(req.Serial) > 0 {
			fmt.Fprintf(&b, "batch %d of %d: ", p.Batch, p.Batches)
		}
		fmt.Fprintf(&b, "%s (%s)", render.SafeLine(inventory.Fold(p.Hosts)), amount(len(p.Hosts), "host"))
		if p.User != "" {
			b.WriteString(" as " + render.SafeLine(p.User) + " by " + p.Method)
		}
		b.WriteByte('\n')
		for line := range strings.Lines(p.Command + "\n") {
			b.WriteString("    " + safe(line))
		}
	}
	return b.String()
}

// gateText is what stands between two batches.
func gateText(g *engine.Gate) string {
	var parts []string
	if g.Pause > 0 {
		parts = append(parts, "pause of "+render.ShortTime(g.Pause))
	}
	if g.Command != "" {
		where := ""
		if g.Host != nil {
			where = " on " + render.SafeLine(g.Host.Name)
		}
		parts = append(parts, "gate"+where+": "+render.SafeLine(g.Command))
	}
	if g.Ask != nil {
		parts = append(parts, "question")
	}
	if len(parts) == 0 {
		return ""
	}
	return "then " + strings.Join(parts, ", then ") + "\n"
}
