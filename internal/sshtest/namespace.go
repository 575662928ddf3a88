package sshtest

import (
	"os"
	"os/exec"
	"syscall"
)

// Namespace runs sh code before the server starts, in a mount namespace that they
// share with the server's sessions and nobody else: what it mounts only they see,
// and it is gone with them. It needs root.
func Namespace(code string) Option { return func(o *options) { o.namespace = code } }

func (s *Server) useNamespace(cmd *exec.Cmd, code string) {
	s.t.Helper()
	if os.Getuid() != 0 || !canMount() {
		missing(s.t, "%s needs root with mount namespaces", s.t.Name())
	}
	cmd.Args = append([]string{"/bin/sh", "-c", "set -e\n" + code + "\nexec \"$@\"", "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNS
}
