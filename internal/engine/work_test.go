package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
)

// TestWork does something of its own with the connections of hosts: it has
// their output shown, is counted, and its errors are the hosts'.
func TestWork(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{Names: []string{"a", "b", "full", "away"}, Faults: map[string]lab.Fault{"away": "reset"}})
	req := ask(f, "push nothing", f.Hosts()...)
	full := &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: scheduler.KindRemoteNoSpace, Text: "no space left"}}
	req.Work = &Work{What: "push", Do: func(ctx context.Context, j Job) (*event.Transfer, error) {
		res, err := j.Conn.Exec(ctx, "echo hi", j.Stdout, j.Stderr)
		if err != nil || res.ExitCode != 0 {
			return nil, fmt.Errorf("exec: %d, %w", res.ExitCode, err)
		}
		j.Progress(event.Progress{Bytes: 1, Total: 2})
		switch j.Host.Name {
		case "full":
			return &event.Transfer{Sent: 1}, fmt.Errorf("push: %w", full)
		case "b":
			return nil, errors.New("what is this")
		}
		return &event.Transfer{Sent: 2, Bytes: 7, Way: "sftp"}, nil
	}}
	c := carry(t, req, newTold(), nil)
	a := c.results["a"]
	if a.Outcome != okay || a.Transfer == nil || a.Transfer.Sent != 2 || a.Transfer.Bytes != 7 || a.StdoutBytes != 3 || string(c.stdout("a")) != "hi\n" || a.ExitCode != nil {
		t.Errorf("a: %+v %q", a, c.stdout("a"))
	}
	if r := c.results["full"]; r.Outcome != scheduler.Failed || r.Cause.Kind != scheduler.KindRemoteNoSpace || r.Transfer.Sent != 1 {
		t.Errorf("full: %+v, %v", r, r.Cause)
	}
	if r := c.results["b"]; r.Outcome != scheduler.Failed || r.Cause.Kind != scheduler.KindInternal || r.Cause.Text != "what is this" {
		t.Errorf("b: %+v, %v", r, r.Cause)
	}
	if r := c.results["away"]; r.Outcome != never || r.Transfer != nil {
		t.Errorf("away: %+v, %v", r, r.Cause)
	}
	leftAlone(t, f, 0)
}

// TestWorkLeftBehind stops a run twice while work goes on that hears only its
// context: the host is lost, and what the work still tells is dropped.
func TestWorkLeftBehind(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{Names: []string{"a"}})
	stops := make(chan struct{}, 2)
	req := ask(f, "push nothing", f.Hosts()...)
	req.Stops = stops
	deaf := make(chan struct{})
	s := newTold()
	req.Work = &Work{What: "push", Do: func(ctx context.Context, j Job) (*event.Transfer, error) {
		stops <- struct{}{}
		<-ctx.Done()
		stops <- struct{}{}
		<-deaf
		fmt.Fprintln(j.Stdout, "late")
		j.Progress(event.Progress{Bytes: 1})
		return nil, &sshpool.Error{Op: "push", Kind: sshpool.KindCanceled, Sent: true}
	}}
	s.beforeEnd = func() { close(deaf) } // the run has ended: it did not wait
	c := carry(t, req, s, nil)
	if r := c.results["a"]; r.Outcome != lost || !c.summary.Interrupted || string(c.stdout("a")) != "" {
		t.Errorf("a: %+v, %v %q", r, r.Cause, c.stdout("a"))
	}
}
