//go:build unix

package source

import (
	"os/exec"
	"syscall"
)

// killGroup has the end of cmd's context end all that cmd started too.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
