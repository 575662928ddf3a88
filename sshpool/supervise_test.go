package sshpool

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// supervised is cmd with a short grace.
func supervise(text string) Command {
	return Command{Text: text, Supervise: &Supervision{KillAfter: time.Second}}
}

// loginShells are those that users of hosts have.
var loginShells = []string{"dash", "bash", "busybox", "zsh"}

// shellPath is the path of a shell, which must be installed.
func shellPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("install the Debian package %s to run this test", name)
	}
	return path
}

// eachShell calls f with a connection to each real server for each login shell.
func eachShell(t *testing.T, f func(t *testing.T, s *sshtest.Server, c *Conn)) {
	for name, start := range realServers() {
		for _, shell := range loginShells {
			t.Run(name+"/"+shell, func(t *testing.T) {
				t.Parallel()
				s := start(t, sshtest.Shell(shellPath(t, shell)))
				f(t, s, mustDial(t, realTarget(t, s)))
			})
		}
	}
}

// TestSupervisedIsTheCommand holds a supervised command to what it is without:
// output, exit status, signal.
func TestSupervisedIsTheCommand(t *testing.T) {
	eachShell(t, func(t *testing.T, s *sshtest.Server, c *Conn) {
		for _, text := range []string{
			"echo out; echo err >&2; exit 7", "true", "kill -9 $$", "kill -TERM $$", "exit 143", "cat; echo end",
			`echo "it's" '\\' '!' "$((6*7))"; printf 'no line break'`, "printf 'a\\nb'\n echo c",
			"echo $PPID | grep -c . ; sleep 0.1 & wait; echo waited", "exec /does/not/exist 2>/dev/null",
			"exec 3>&1 4>&2; echo three >&3; echo four >&4",
		} {
			var want, got [2]bytes.Buffer
			plain, err := c.Run(testContext(t), Command{Text: text, Stdout: &want[0], Stderr: &want[1]})
			if err != nil {
				t.Fatal(err)
			}
			cmd := supervise(text)
			cmd.Stdout, cmd.Stderr = &got[0], &got[1]
			r, err := c.Run(testContext(t), cmd)
			if err != nil || r.ExitCode != plain.ExitCode || r.HasExit != plain.HasExit || r.Signal != plain.Signal ||
				r.StdoutBytes != plain.StdoutBytes || r.StderrBytes != plain.StderrBytes || r.Lingering || r.Supervised.PID == 0 {
				t.Errorf("%s: %+v, %v; plain %+v", text, r, err, plain)
			}
			if got[0].String() != want[0].String() || got[1].String() != want[1].String() {
				t.Errorf("%s: %q and %q, plain %q and %q", text, &got[0], &got[1], &want[0], &want[1])
			}
		}
		s.WaitCommands(0, 20*time.Second)
	})
}

// trees are commands that are hard to end.
var trees = []string{
	`sleep 1000; sleep 1000`,
	`exec sleep 1000`,
	`trap '' TERM; sleep 1000; sleep 1000`,
	`trap '' TERM; sleep 1000 & (sleep 1001 & exec sleep 1002) &`,
	`sh -c 'trap "" TERM; sh -c "sh -c \"sleep 1000; sleep 1001\"; sleep 1002"; sleep 1003'`,
	`timeout 900 sleep 1000 & timeout -k 900 900 sh -c "trap '' TERM; sleep 1000; sleep 1000" & sh -c 'setsid sleep 1000 & wait'`,
	`sleep 1000 & kill -STOP $!; wait`,
}

// forest is all trees at once.
func forest() string {
	var b strings.Builder
	for _, tree := range trees {
		b.WriteString("(" + tree + ") & ")
	}
	return b.String() + "trap '' TERM; echo up; sleep 1000; wait"
}

// TestSuperviseEndsTheTree gives a command up that is hard to end, and wants all
// of it gone when Run returns.
func TestSuperviseEndsTheTree(t *testing.T) {
	eachShell(t, func(t *testing.T, s *sshtest.Server, c *Conn) {
		wantKilled(t, s, c, supervise(forest()))
	})
}

// TestSuperviseEndsWhatIsBusy gives commands up that do not hold still.
func TestSuperviseEndsWhatIsBusy(t *testing.T) {
	for name, start := range realServers() {
		for _, text := range []string{
			`trap '' TERM; echo up; while :; do sh -c 'trap "" TERM; sleep 1000' & sleep 0.05; done`,
			`sh -c 'trap "" TERM; yes' & echo up; yes >&2`,
		} {
			t.Run(name+"/"+text, func(t *testing.T) {
				t.Parallel()
				s := start(t)
				wantKilled(t, s, mustDial(t, realTarget(t, s)), supervise(text))
			})
		}
	}
}

// TestSuperviseEndsWhatIsOver gives a command up that may have ended by itself in
// that moment: it is told as the one or as the other.
func TestSuperviseEndsWhatIsOver(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := mustDial(t, realTarget(t, s))
			for range 5 {
				ctx, cancel := context.WithCancel(testContext(t))
				cmd := supervise("echo up")
				cmd.Stdout = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
				switch r, err := c.Run(ctx, cmd); {
				case err == nil:
					if r.Supervised.Killed || r.Supervised.Unkilled || !r.HasExit || r.ExitCode != 0 {
						t.Errorf("ended by itself: %+v", r)
					}
				default:
					wantError(t, err, KindCanceled, StageCommand)
					if !r.Supervised.Killed || r.Supervised.Unkilled {
						t.Errorf("given up: %+v", r)
					}
				}
				cancel()
				if c.Err() != nil || !c.usable() {
					c = mustDial(t, realTarget(t, s))
				}
			}
			s.WaitCommands(0, 30*time.Second)
		})
	}
}

// wantKilled gives cmd up and wants nothing left of it.
func wantKilled(t *testing.T, s *sshtest.Server, c *Conn, cmd Command) {
	t.Helper()
	r := giveUp(t, c, cmd)
	if !r.Supervised.Killed || r.Supervised.Unkilled || len(r.Supervised.Left) > 0 {
		t.Errorf("%+v", r)
	}
	s.WaitCommands(0, 30*time.Second) // those of the server itself, and the guard's
}

// giveUp runs cmd, gives it up at its first output, and wants that in time.
func giveUp(t *testing.T, c *Conn, cmd Command) ExecResult {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var at time.Time
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		if at.IsZero() {
			at = time.Now()
			cancel()
		}
		return len(p), nil
	})
	r, err := c.Run(ctx, cmd)
	if e := wantError(t, err, KindCanceled, StageCommand); !e.Sent {
		t.Error("a command that ran counts as not sent")
	}
	if took := time.Since(at); took > 12*time.Second {
		t.Errorf("given up after %v", took)
	}
	return r
}

// TestSuperviseLeavesTheBackground has a command end by itself: what it left is
// not touched, unless the command was given up.
func TestSuperviseLeavesTheBackground(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := mustDial(t, realTarget(t, s))
			r, err := c.Run(testContext(t), supervise("sleep 1000 >/dev/null 2>&1 </dev/null & true"))
			if err != nil || r.ExitCode != 0 || r.Lingering {
				t.Errorf("%+v, %v", r, err)
			}
			s.WaitCommands(1, 20*time.Second)
		})
	}
}

// TestSuperviseLostConnection ends the connection under a command.
func TestSuperviseLostConnection(t *testing.T) {
	for name, start := range realServers() {
		for _, keep := range []bool{false, true} {
			for _, stdin := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/keep=%v/stdin=%v", name, keep, stdin), func(t *testing.T) {
					t.Parallel()
					s := start(t)
					c := mustDial(t, realTarget(t, s))
					cmd := supervise(`trap '' HUP PIPE; sh -c 'trap "" TERM; exec sleep 1000' & echo up; exec sleep 1001`)
					cmd.Supervise.KeepRunning = keep
					if stdin {
						cmd.Stdin = strings.NewReader("x")
					}
					cmd.Stdout = writerFunc(func(p []byte) (int, error) {
						c.Close()
						return len(p), nil
					})
					_, err := c.Run(testContext(t), cmd)
					wantError(t, err, KindConnLost, StageCommand)
					if !keep {
						s.WaitCommands(0, 30*time.Second)
						return
					}
					if !stdin {
						s.WaitCommands(2, 30*time.Second) // the guard has left
					}
					eventually(t, "both to go on", func() bool { return len(sleepers(s)) == 2 })
				})
			}
		}
	}
}

// sleepers are the processes on the server that sleep for long.
func sleepers(s *sshtest.Server) (found []sshtest.Process) {
	for _, p := range s.Commands() {
		if strings.HasPrefix(p.Command, "sleep 10") {
			found = append(found, p)
		}
	}
	return found
}

// TestSuperviseWithInput gives up commands that read what they are sent.
func TestSuperviseWithInput(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			c := mustDial(t, realTarget(t, s))
			var out bytes.Buffer
			in := strings.Repeat("0123456789abcde\n", 1<<17)
			cmd := supervise("cat")
			cmd.Stdin, cmd.Stdout = strings.NewReader(in), &out
			if r, err := c.Run(testContext(t), cmd); err != nil || out.String() != in {
				t.Errorf("%d bytes of %d, %+v, %v", out.Len(), len(in), r, err)
			}
			const text = `sh -c 'trap "" TERM HUP; echo up; sleep 1000; true'; true`
			cmd = supervise(text)
			cmd.Stdin = strings.NewReader("x")
			wantKilled(t, s, c, cmd)
			t.Run("terminal", func(t *testing.T) {
				if name == "openssh" && os.Getuid() != 0 {
					t.Skip("an sshd that is no root's ends when a terminal is closed: it may not write login records")
				}
				cmd := supervise(text)
				cmd.PTY = &PTY{}
				wantKilled(t, s, c, cmd)
			})
			eventually(t, "the end of all folders that ask for an end", func() bool { // others may have theirs now
				left, _ := filepath.Glob("/dev/shm/.fleet-*")
				return len(left) == 0
			})
		})
	}
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := testContext(t); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no sign of %s", what)
		}
	}
}
