package sshtest

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// TestStopLeavesOthers stops a server that did not get its port: the commands of
// the one that has it live on.
func TestStopLeavesOthers(t *testing.T) {
	late := &Server{t: t, Port: 1, cmd: exec.Command("sleep", "1000")} // a port that no server here has
	other := exec.Command("sleep", "1000")
	other.Env = append(os.Environ(), "SSH_CONNECTION=127.0.0.1 2 127.0.0.1 "+strconv.Itoa(late.Port))
	for _, cmd := range []*exec.Cmd{late.cmd, other} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	defer other.Wait()         //nolint:errcheck // it was killed
	defer other.Process.Kill() //nolint:errcheck // it may be gone
	Until(t, "command of another server", func() bool { return len(late.Commands()) == 1 })
	late.Stop()
	if state := stateOf(other.Process.Pid); state != "S" {
		t.Errorf("the other's command is in state %s", state)
	}
}
