package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// TestDeath ends fleet under a command that ignores all signals but KILL: in
// order, by its own limit, and by kill -9. Nothing is left on the hosts.
func TestDeath(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear} {
		for _, end := range []struct {
			how    string
			signal syscall.Signal
			limit  string
			status int
			tells  string
		}{
			{"interrupt", syscall.SIGINT, "0", exitInterrupted, "canceled: interrupted; killed"},
			{"limit", 0, "2s", exitFailed, "timeout in command after 2s; killed"},
			{"kill", syscall.SIGKILL, "0", -1, ""},
		} {
			t.Run(name+"/"+end.how, func(t *testing.T) {
				t.Parallel()
				s := start(t, sshtest.Listen("127.0.0.1"))
				dir := t.TempDir()
				file := filepath.Join(dir, "hosts.yaml")
				text := fmt.Sprintf("hosts: {web: {address: %s, port: %d, user: %q, key: %q, known_hosts: %q}}\n", s.Addresses[0], s.Port, s.User, s.KeyFile, s.KnownHosts)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				exe, err := exec.LookPath("fleet")
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(exe, "run", "--kill-after", "1s", "-t", end.limit, "web", "--",
					`trap '' TERM HUP INT; sh -c 'trap "" TERM HUP; sleep 1000; true' & echo up; sleep 1001; sleep 1002`)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "FLEET_INVENTORY=" + file, "FLEET_SSH_CONFIG=none", "GORACE=" + noSleepAtExit}
				var told bytes.Buffer
				cmd.Stderr = &told
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
				defer late.Stop()
				if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
					t.Fatal(err)
				}
				if end.signal != 0 {
					if err := cmd.Process.Signal(end.signal); err != nil {
						t.Fatal(err)
					}
				}
				io.Copy(io.Discard, out) //nolint:errcheck // its end is what is waited for
				cmd.Wait()               //nolint:errcheck // the status says more
				if got := cmd.ProcessState.ExitCode(); got != end.status || !bytes.Contains(told.Bytes(), []byte(end.tells)) {
					t.Errorf("status %d, want %d; %q, want %q in it", got, end.status, &told, end.tells)
				}
				s.WaitCommands(0, 30*time.Second)
			})
		}
	}
}
