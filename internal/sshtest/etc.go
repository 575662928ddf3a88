package sshtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Accounts are users of a server that has an /etc of its own. It needs root, who
// may make a mount namespace.
type Accounts struct {
	// Login is who logs in, by the server's key: no user of this machine.
	Login string
	// Passwords are those of the users, also of root; without one nobody can give
	// one. Users that are not on this machine are made.
	Passwords map[string]string
	// Files are written to /etc, by name, owned by root with mode 0440.
	Files map[string]string
}

// WithAccounts gives the server those accounts.
func WithAccounts(a Accounts) Option { return func(o *options) { o.accounts = &a } }

// firstUID is the number of the first user that is made.
const firstUID = 54321

// useEtc makes cmd see an /etc of its own, and a place for sudo's tickets.
func (s *Server) useEtc(cmd *exec.Cmd, o *options) {
	s.t.Helper()
	if os.Getuid() != 0 || !canMount() {
		missing(s.t, "%s needs root with mount namespaces", s.t.Name())
	}
	etc := s.path("etc")
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		s.t.Fatalf("cp: %v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Dir(s.Dir), 0o711); err != nil { // t.TempDir's own folder
		s.t.Fatal(err)
	}
	s.makeUsers(o.accounts)
	for name, text := range o.accounts.Files {
		path := filepath.Join("etc", name)
		if err := os.RemoveAll(s.path(path)); err != nil {
			s.t.Fatal(err)
		}
		s.write(path, text, 0o440)
	}
	s.User = o.accounts.Login
	const script = `mount --bind "$1" /etc || exit; shift; for d in /run/sudo /var/lib/sudo; do
		[ ! -d $d ] || mount -t tmpfs -o mode=0711 tmpfs $d || exit
	done; exec "$@"`
	cmd.Args = append([]string{"/bin/sh", "-c", script, "sh", etc}, cmd.Args...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
}

// makeUsers writes passwd, group and shadow.
func (s *Server) makeUsers(a *Accounts) {
	s.t.Helper()
	old, err := os.ReadFile("/etc/passwd")
	if err != nil {
		s.t.Fatal(err)
	}
	passwd, group := strings.Builder{}, strings.Builder{}
	shadow := strings.Builder{}
	known := map[string]bool{}
	for line := range strings.Lines(string(old)) {
		name, _, _ := strings.Cut(line, ":")
		known[name] = true
	}
	passwd.Write(old)
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		s.t.Fatal(err)
	}
	group.Write(groups)
	names := append([]string{a.Login}, keys(a.Passwords)...)
	uid := firstUID
	for _, name := range names {
		if known[name] {
			continue
		}
		known[name] = true
		home := s.path("home-" + name)
		fmt.Fprintf(&passwd, "%s:x:%d:%d::%s:/bin/sh\n", name, uid, uid, home)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, uid)
		s.makeHome(home, uid)
		uid++
	}
	for name := range known {
		hash := "*"
		if p := a.Passwords[name]; p != "" {
			hash = s.crypt(p)
		}
		fmt.Fprintf(&shadow, "%s:%s:19000:0:99999:7:::\n", name, hash)
	}
	s.write("etc/passwd", passwd.String(), 0o644)
	s.write("etc/group", group.String(), 0o644)
	s.write("etc/shadow", shadow.String(), 0o600)
	if s.Name == "openssh" {
		if err := os.Chmod(s.path("authorized_keys"), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

// makeHome makes a home in which the server's key logs in.
func (s *Server) makeHome(home string, uid int) {
	s.t.Helper()
	keys, err := os.ReadFile(s.path("authorized_keys"))
	if err != nil {
		keys, err = os.ReadFile(s.path(".ssh/authorized_keys"))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(home, ".ssh/authorized_keys")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		s.t.Fatal(err)
	}
	for _, path := range []string{home, filepath.Dir(file), file} {
		if err := os.Chown(path, uid, uid); err != nil {
			s.t.Fatal(err)
		}
	}
}

func keys(m map[string]string) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// crypt hashes a password for shadow(5). perl-base is on every Debian system.
func (s *Server) crypt(password string) string {
	s.t.Helper()
	out, err := exec.Command("perl", "-e", `print crypt($ARGV[0], '$6$loopback$')`, password).Output()
	if err != nil {
		s.t.Fatalf("perl: %v", err)
	}
	return string(out)
}
