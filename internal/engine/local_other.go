//go:build !unix

package engine

import "os/exec"

func ownGroup(*exec.Cmd) {}

// endGroup ends cmd; there are no process groups here.
func endGroup(cmd *exec.Cmd, _ bool) { cmd.Process.Kill() }
