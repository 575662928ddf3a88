package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"fleet/internal/engine"
	"fleet/internal/remote"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/tasks"
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
	Script *plannedScript `json:"script,omitempty"`
}

// plannedScript is a script that is sent in place of a command.
type plannedScript struct {
	Bytes       int      `json:"bytes"`
	SHA256      string   `json:"sha256"`
	Interpreter []string `json:"interpreter"`
	Text        string   `json:"text"` // of its first lines
	Lines       int      `json:"lines"`
}

// Bounds of what is shown of a script.
const (
	shownLines = 10
	shownWidth = 200 // bytes of one line
)

// describeScript is what is told of a script before it is sent; nil if there is
// none. Its interpreter can be found.
func (f *commandFlags) describeScript() *plannedScript {
	text := f.scriptText
	if text == nil {
		return nil
	}
	sum := sha256.Sum256(text)
	p := &plannedScript{Bytes: len(text), SHA256: hex.EncodeToString(sum[:])}
	p.Interpreter, _ = remote.Interpreter(text, f.shell) // remote.Script had no error
	var b strings.Builder
	for line := range bytes.Lines(text) {
		if p.Lines++; p.Lines > shownLines {
			continue
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > shownWidth {
			line = append(line[:shownWidth:shownWidth], "…"...)
		}
		b.WriteString(strings.ToValidUTF8(string(line), "\uFFFD") + "\n")
	}
	p.Text = b.String()
	return p
}

// write tells of the script to people.
func (p *plannedScript) write(b *strings.Builder, safe func(string) string) {
	fmt.Fprintf(b, "    script of %s, by %s\n    sha256 %s\n", amount(p.Bytes, "byte"), safe(tasks.QuoteAll(p.Interpreter)), p.SHA256)
	for line := range strings.Lines(p.Text) {
		b.WriteString("    | " + safe(line))
	}
	if more := p.Lines - shownLines; more > 0 {
		fmt.Fprintf(b, "    | … %s more\n", amount(more, "line"))
	}
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
// connected, and no gate is asked. script is what is sent for the command, or nil.
func dryRun(e *env, mode string, req *engine.Request, script *plannedScript, what func(h *inventory.Host) sending) error {
	all := plan(req, what)
	for i := range all {
		all[i].Script = script
	}
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
		if p.Script != nil && i == 0 { // it is the same for all
			p.Script.write(&b, safe)
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
