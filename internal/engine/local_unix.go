//go:build unix

package engine

import (
	"os/exec"
	"syscall"
)

// ownGroup has cmd start in a session of its own, and so in a process group:
// Ctrl-C is not for it, and whoever in it asks on the terminal gets an error at
// once, instead of being stopped until the limit (termios(3), TOSTOP; SIGTTIN).
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// endGroup asks, or makes, the processes of cmd's group end.
func endGroup(cmd *exec.Cmd, now bool) {
	signal := syscall.SIGTERM
	if now {
		signal = syscall.SIGKILL
	}
	syscall.Kill(-cmd.Process.Pid, signal)
}
