package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// TestShellReal talks to a real OpenSSH server and to dropbear. All commands of
// a host come over one connection, whose address and port the host's shell
// knows; dropbear gets another one after a command was cancelled.
func TestShellReal(t *testing.T) {
	servers := map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sshtest.Listen("127.0.0.1", "127.0.0.2"))
			dir := t.TempDir()
			hosts := fmt.Sprintf("defaults: {user: %q, port: %d, key: %q, known_hosts: %q}\nhosts:\n  web01: {address: %q}\n  web02: {address: %q}\n",
				s.User, s.Port, s.KeyFile, s.KnownHosts, s.Addresses[0], s.Addresses[1])
			file := filepath.Join(dir, "hosts.yaml")
			if err := os.WriteFile(file, []byte(hosts), 0o600); err != nil {
				t.Fatal(err)
			}
			exe, err := exec.LookPath("fleet")
			if err != nil {
				t.Fatal(err)
			}
			script, input := filepath.Join(dir, "up.sh"), filepath.Join(dir, "input")
			if err := errors.Join(os.WriteFile(script, []byte("echo \"$1 at $PWD\"\n"), 0o600), os.WriteFile(input, []byte(strings.Repeat("x\n", 100_000)), 0o600)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "shell", "-o", "live", "all")
			cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+file, "TERM=xterm-256color", "HOME="+dir, "XDG_STATE_HOME=")
			const prompt = "web[01-02] (2)> "
			screen := sitAt(t, cmd, exitFailed,
				turn{prompt, "echo from $SSH_CONNECTION\r"},
				turn{prompt, ":cd " + dir + "\r"},
				turn{"> ", "exec sleep 601\r"},
				turn{"running 2", "\x03"},
				turn{"interrupted", ""},
				turn{"> ", "pwd\r"},
				turn{"> ", "echo from $SSH_CONNECTION\r"},
				turn{"> ", ":script " + dir + "/u\t 'it is'\r"},
				turn{"> ", ":stdin " + input + " echo lines $(wc -l)\r"},
				turn{"> ", ":cd /no/such/folder\r"},
				turn{"> ", "false; echo ran\r"},
				turn{"> ", "\x04"},
			)
			from := map[string]int{}
			for line := range strings.Lines(screen) {
				if _, client, ok := strings.Cut(line, ": from "); ok {
					from[client]++
				}
			}
			if len(from) != 2 {
				t.Errorf("4 commands of 2 hosts came over %d connections, want 2: %v", len(from), from)
			}
			holds(t, screen, "canceled 2", "web01: "+dir, "web02: "+dir, "web01: it is at "+dir, "web02: lines 100000", "/no/such/folder")
			if strings.Contains(screen, "web01: ran") {
				t.Errorf("a command ran outside of its folder:\n%s", screen)
			}
		})
	}
}

// TestShellInterruptedPipe interrupts a shell that reads a pipe: what runs is
// cancelled, and nothing after it runs.
func TestShellInterruptedPipe(t *testing.T) {
	cmd, l := shellCommand(t, lab3, "-o", "live", "web")
	cmd.Stdin = strings.NewReader("echo begun; sleep 600\necho after\n")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	cmd.Stderr = &told
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // some host runs it
		t.Fatal(err)
	}
	interrupt(t, cmd)
	rest := new(bytes.Buffer)
	rest.ReadFrom(out) //nolint:errcheck // it ends with the process
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("status %d, %v, want %d\n%s", code, err, exitInterrupted, told.String())
	}
	for _, h := range l.Hosts() {
		for _, c := range h.Stats().Commands {
			if c == "echo after" {
				t.Errorf("%s ran what came after the interrupt", h.Name)
			}
		}
	}
}

// TestShellPipeNobodyWrites interrupts a shell that waits for the other end of a
// pipe with a name.
func TestShellPipeNobodyWrites(t *testing.T) {
	for _, line := range []string{":stdin pipe cat", ":script pipe"} {
		cmd, l := shellCommand(t, lab3, "-v", "web")
		cmd.Dir = t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(cmd.Dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = strings.NewReader(line + "\necho after\n")
		told, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) //nolint:errcheck // the status tells
		if _, err := told.Read(make([]byte, 1)); err != nil {              // it tells the line that it carries out
			t.Fatal(err)
		}
		interrupt(t, cmd)
		rest, _ := io.ReadAll(told)
		err = cmd.Wait()
		late.Stop()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("%s: status %d, %v, want %d\n%s", line, code, err, exitInterrupted, rest)
		}
		for _, h := range l.Hosts() {
			if sent := h.Stats().Commands; len(sent) > 0 {
				t.Errorf("%s: %s was sent %q", line, h.Name, sent)
			}
		}
	}
}
