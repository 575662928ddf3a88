package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/lab"
)

// fleetCommand is the built command as a process of its own, its inventory a lab.
func fleetCommand(t *testing.T, cfg lab.Config, args ...string) *exec.Cmd {
	t.Helper()
	cfg.Dir = t.TempDir()
	l, err := startLab(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+l.InventoryFile(), "TERM=xterm-256color", "HOME="+cfg.Dir)
	return cmd
}

// TestInterrupt presses Ctrl-C while two of five hosts run: no other host
// starts, and the summary accounts for all five.
func TestInterrupt(t *testing.T) {
	cmd := fleetCommand(t, lab.Config{N: 5}, "run", "-f", "2", "all", "--", "sleep 600")
	pressed := false
	screen, got, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		if !pressed && bytes.Contains(seen, []byte("running 2")) {
			pressed = true
			person.Write([]byte{3}) //nolint:errcheck // the read that follows fails too
		}
	})
	text := strings.Join(screen, "\n")
	if err != nil || got != exitInterrupted {
		t.Errorf("status %d, %v, want %d\n%s", got, err, exitInterrupted, text)
	}
	for _, want := range []string{"canceled 2", "skipped 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen does not say %q:\n%s", want, text)
		}
	}
}

// TestInterruptAgent presses Ctrl-C while an agent does not answer, before
// anything is sent: each command ends at once and quietly.
func TestInterruptAgent(t *testing.T) {
	dir := t.TempDir()
	agent, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	for _, args := range [][]string{
		{"run", "all", "--", "true"}, {"ssh", "web01"}, {"doctor", "all"}, {"shell", "all"}, {"trust", "scan", "-J", "web02", "web01"},
	} {
		cmd := fleetCommand(t, lab.Config{N: 2}, args...)
		cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+agent.Addr().String())
		var says bytes.Buffer
		cmd.Stderr = &says
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		asked, err := agent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		signalErr := cmd.Process.Signal(os.Interrupt)
		cmd.Wait() //nolint:errcheck // the status says more
		if got := cmd.ProcessState.ExitCode(); signalErr != nil || got != exitInterrupted || says.Len() > 0 {
			t.Errorf("%s: status %d, %v, want %d; says %q", args[0], got, signalErr, exitInterrupted, says.String())
		}
		if took := time.Since(began); took > 4*time.Second { // the agent would have been waited for longer
			t.Errorf("%s: ended after %v", args[0], took)
		}
		asked.Close()
	}
}

// TestInterruptPasswordCommand presses Ctrl-C while a command that gives a password
// does not end: it is a stop like any other, and no mistake in the settings.
func TestInterruptPasswordCommand(t *testing.T) {
	const asks = "echo asking >/dev/tty; sleep 600"
	inventory := filepath.Join(t.TempDir(), "hosts.yaml")
	text := "hosts: {web01: {address: 127.0.0.1, become: true, become_pass_command: '" + asks + "'}}\n"
	if err := os.WriteFile(inventory, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"run", "-b", "--become-pass-command", asks, "all", "--", "true"},
		{"run", "-i", inventory, "all", "--", "true"},
	} {
		screen, status, err := onTerminal(fleetCommand(t, lab.Config{N: 1}, args...), 80, answer("asking", "\x03"))
		if err != nil || status != exitInterrupted {
			t.Errorf("%q: status %d, %v, want %d\n%s", args, status, err, exitInterrupted, strings.Join(screen, "\n"))
		}
	}
}

// TestSecondInterrupt has nobody read the output, so that the first Ctrl-C
// cannot end the process in order; the second must.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	cmd := fleetCommand(t, lab.Config{N: 3}, "run", "all", "--", "lines 200000; sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	if _, err := out.Read(make([]byte, 1)); err != nil { // the run is under way
		t.Fatal(err)
	}
	interrupt(t, cmd)
	line, err := bufio.NewReader(told).ReadString('\n')
	if err != nil || line != "fleet: stopping; Ctrl-C again leaves at once\n" {
		t.Fatalf("after the first interrupt fleet says %q, %v", line, err)
	}
	begin := time.Now()
	interrupt(t, cmd)
	state, err := cmd.Process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if code := state.ExitCode(); code != exitInterrupted {
		t.Errorf("status %d (%v), want %d", code, state, exitInterrupted)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("left %v after the second interrupt", d)
	}
}

// TestHangup closes the terminal of a run, which stops it, and of one that nohup(1)
// began, which goes on.
func TestHangup(t *testing.T) {
	// What this process catches its children begin with as it is by default, also
	// where nohup(1) began the tests.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, c := range []struct {
		begin string
		want  int
	}{{"", exitInterrupted}, {`trap "" HUP; `, exitOK}} {
		began, end := make(chan struct{}, 4), make(chan struct{})
		cmd := fleetCommand(t, lab.Config{N: 4, Shell: func(ctx context.Context, _ *lab.Command) lab.Exit {
			began <- struct{}{}
			select {
			case <-ctx.Done():
				return lab.Exit{Signal: "TERM"}
			case <-end:
				return lab.Exit{}
			}
		}}, "run", "-f", "1", "all", "--", "work")
		shell := exec.Command("sh", append([]string{"-c", c.begin + `exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)...)
		shell.Env = cmd.Env
		var says bytes.Buffer
		shell.Stderr = &says
		if err := shell.Start(); err != nil {
			t.Fatal(err)
		}
		<-began
		if err := shell.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if c.want == exitOK {
			close(end)
		}
		limit := time.AfterFunc(time.Minute, func() { shell.Process.Kill() })
		defer limit.Stop()
		shell.Wait() //nolint:errcheck // the status says more
		if got := shell.ProcessState.ExitCode(); got != c.want {
			t.Errorf("%q: status %d (%v), want %d: %s", c.begin, got, shell.ProcessState, c.want, &says)
		}
	}
}

func interrupt(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}
