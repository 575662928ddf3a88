package sshtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
)

// useAccounts makes the command see passwd and shadow files of the test's own,
// in which the user's home is the server's folder and the password, where one
// is given, is right. As root that is a mount namespace over /etc; for other
// users, or where namespaces are not allowed, Debian's libnss-wrapper.
func (s *Server) useAccounts(cmd *exec.Cmd, o *options) {
	s.t.Helper()
	s.writeAccounts(o.password, s.loginShell(o.shell))
	if os.Getuid() == 0 && canMount() {
		const script = `for f in passwd shadow shells; do mount --bind "$1/$f" /etc/$f || exit; done; shift; exec "$@"`
		cmd.Args = append([]string{"/bin/sh", "-c", script, "sh", s.Dir}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
		return
	}
	libs, _ := filepath.Glob("/usr/lib/*/libnss_wrapper.so")
	if len(libs) == 0 {
		missing(s.t, "%s needs root with mount namespaces, or the Debian package libnss-wrapper", s.t.Name())
	}
	cmd.Env = append(cmd.Env, "LD_PRELOAD="+libs[0],
		"NSS_WRAPPER_PASSWD="+s.path("passwd"), "NSS_WRAPPER_GROUP=/etc/group", "NSS_WRAPPER_SHADOW="+s.path("shadow"))
}

// canMount reports whether this process may make a mount namespace.
func canMount() bool {
	cmd := exec.Command("/bin/sh", "-c", "mount --bind /etc/passwd /etc/passwd")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd.Run() == nil
}

// writeAccounts copies the machine's passwd with the user's line changed.
func (s *Server) writeAccounts(password, shell string) {
	s.t.Helper()
	me, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	old, err := os.ReadFile("/etc/passwd")
	if err != nil {
		s.t.Fatal(err)
	}
	var passwd strings.Builder
	fmt.Fprintf(&passwd, "%s:x:%s:%s::%s:%s\n", me.Username, me.Uid, me.Gid, s.Dir, shell)
	for line := range strings.Lines(string(old)) {
		if !strings.HasPrefix(line, me.Username+":") {
			passwd.WriteString(line)
		}
	}
	hash := "*"
	if password != "" {
		hash = s.crypt(password)
	}
	s.write("passwd", passwd.String(), 0o644)
	s.write("shells", shell+"\n", 0o644)
	s.write("shadow", fmt.Sprintf("%s:%s:19000:0:99999:7:::\n", me.Username, hash), 0o600)
}

// loginShell is the path of the user's shell: /bin/sh, or what was asked for.
func (s *Server) loginShell(path string) string {
	switch filepath.Base(path) {
	case ".":
		return "/bin/sh"
	case "busybox": // is a shell by the name sh
		link := s.path("sh")
		if err := os.Symlink(path, link); err != nil && !errors.Is(err, os.ErrExist) {
			s.t.Fatal(err)
		}
		return link
	}
	return path
}
