package doctor

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"fleet/internal/engine"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

// labRequest examines all hosts of a lab, each stage within a limit that a
// healthy host never reaches.
func labRequest(f *sshtest.Fleet) Request {
	req := Request{Fanout: 100, Access: engine.Access{User: f.User(), Keys: []string{f.KeyFile}, KnownHosts: []string{f.KnownHosts}}}
	for _, h := range f.Hosts() {
		req.Hosts = append(req.Hosts, &inventory.Host{Name: h.Name, Settings: inventory.Settings{Address: h.Address, Port: h.Port}})
	}
	return req
}

// realRequest examines a real server under one name.
func realRequest(s *sshtest.Server) Request {
	return Request{Fanout: 1, Access: engine.Access{User: s.User, Keys: []string{s.KeyFile}, KnownHosts: []string{s.KnownHosts}},
		Hosts: []*inventory.Host{{Name: "web01", Settings: inventory.Settings{Address: s.Addresses[0], Port: s.Port}}}}
}

func mustRun(t testing.TB, req Request) map[string]*Host {
	t.Helper()
	if req.Limit == 0 {
		req.Limit = time.Minute
	}
	report, err := Run(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*Host)
	for _, h := range report.Hosts {
		all[h.Name] = h
	}
	if t.Failed() || testing.Verbose() {
		t.Log("\n" + shown(t, report))
	}
	return all
}

func shown(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b, TextOptions{All: true, Width: 80, Fold: inventory.Fold}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// kinds are the kinds of a host's problems, in order.
func (h *Host) kinds() []string {
	list := []string{}
	for _, p := range h.Problems {
		list = append(list, p.Kind)
	}
	return list
}

// scripted runs commands by the given shell of this machine, after change has
// had its way with them.
func scripted(shell []string, change func(line string) string) lab.Shell {
	return func(ctx context.Context, c *lab.Command) lab.Exit {
		cmd := exec.CommandContext(ctx, shell[0], append(slices.Clone(shell[1:]), "-c", change(c.Line))...)
		cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Run(); err != nil {
			return lab.Exit{Status: max(1, cmd.ProcessState.ExitCode())}
		}
		return lab.Exit{}
	}
}
