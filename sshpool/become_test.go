package sshpool

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// Secrets that no artefact may hold, but the channel.
const (
	annPassword  = "hunter2-of-ann $'\"\\"
	rootPassword = "correct-horse-of-root"
)

// sudoers is the least that sudo works with.
const sudoers = "Defaults !lecture, passwd_tries=3\nroot ALL=(ALL) ALL\n"

// becomeServer starts a server where ann logs in, with those files in /etc.
func becomeServer(t *testing.T, start func(testing.TB, ...sshtest.Option) *sshtest.Server, files map[string]string) *sshtest.Server {
	t.Helper()
	for _, program := range []string{"/usr/bin/sudo", "/usr/bin/doas"} {
		if _, err := os.Stat(program); err != nil {
			if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	return start(t, sshtest.Listen("127.0.0.1"), sshtest.WithAccounts(sshtest.Accounts{
		Login: "ann", Passwords: map[string]string{"ann": annPassword, "root": rootPassword, "ben": ""}, Files: files}))
}

// becoming is one way to become another user, and how it ends.
type becoming struct {
	rules  string
	name   string
	become Become
	want   Kind // empty: it works
	text   string
}

func secret(s string) func() string { return func() string { return s } }

// becomeRules are files of /etc.
func becomeRules() map[string]map[string]string {
	return map[string]map[string]string{
		"asked": {"sudoers": sudoers + "ann ALL=(ALL) ALL\n", "doas.conf": "permit ann\n"},
		"free":  {"sudoers": sudoers + "ann ALL=(ALL) NOPASSWD: ALL\n", "doas.conf": "permit nopass ann\n"},
		"never": {"sudoers": sudoers + "Defaults requiretty\n", "doas.conf": "permit root\n"},
		"tty":   {"sudoers": sudoers + "Defaults requiretty\nann ALL=(ALL) ALL\n"},
		"pty":   {"sudoers": sudoers + "Defaults requiretty, use_pty\nann ALL=(ALL) ALL\n"},
	}
}

var becomings = []becoming{
	{"asked", "sudo", Become{Password: secret(annPassword)}, "", ""},
	{"asked", "sudo ben", Become{User: "ben", Password: secret(annPassword)}, "", ""},
	{"asked", "sudo asks", Become{}, KindBecomeDenied, "sudo asks for a password, and there is none"},
	{"asked", "sudo nobody", Become{User: "no-such-user", Password: secret(annPassword)}, KindBecomeDenied, "sudo did not begin the command (exit status 1): "},
	{"asked", "sudo wrong", Become{Password: secret("wrong")}, KindBecomePassword, "sudo did not take the password"},
	{"free", "sudo", Become{}, "", ""},
	{"free", "sudo, password", Become{Password: secret(annPassword)}, "", ""},
	{"never", "sudo", Become{Password: secret(annPassword)}, KindBecomeDenied, "sudo did not begin the command (exit status 1): "},
	{"tty", "sudo", Become{Password: secret(annPassword)}, "", ""},
	{"pty", "sudo", Become{Password: secret(annPassword)}, "", ""},
	{"asked", "su", Become{Method: "su", Password: secret(rootPassword)}, "", ""},
	{"asked", "su wrong", Become{Method: "su", Password: secret("wrong")}, KindBecomePassword, "su did not take the password"},
	{"asked", "su asks", Become{Method: "su"}, KindBecomeDenied, "su asks for a password, and there is none"},
	{"asked", "doas", Become{Method: "doas", Password: secret(annPassword)}, "", ""},
	{"asked", "doas asks", Become{Method: "doas"}, KindBecomeDenied, "doas asks for a password, and there is none"},
	{"asked", "doas wrong", Become{Method: "doas", Password: secret("wrong")}, KindBecomePassword, "doas did not take the password"},
	{"free", "doas ben", Become{Method: "doas", User: "ben"}, "", ""},
	{"never", "doas", Become{Method: "doas"}, KindBecomeDenied, "doas did not begin the command (exit status 1): "},
}

// becomingsByServer are those of the same rules and method: on a server of their
// own, as most of them wait for PAM.
func becomingsByServer() map[string][]becoming {
	parts := map[string][]becoming{}
	for _, b := range becomings {
		part := b.rules + "/" + string(b.become.remote().Method)
		parts[part] = append(parts[part], b)
	}
	return parts
}

// TestBecome becomes other users on real servers, or learns why not. Whoever it
// is ends what it started, and no process ever has a password in its arguments.
func TestBecome(t *testing.T) {
	t.Parallel()
	for name, start := range realServers() {
		for part, bs := range becomingsByServer() {
			t.Run(name+"/"+part, func(t *testing.T) {
				t.Parallel()
				s := becomeServer(t, start, becomeRules()[bs[0].rules])
				for _, b := range bs {
					t.Run(b.name, func(t *testing.T) {
						c := mustDial(t, realTarget(t, s)) // see stop: a connection is not for what comes after
						if b.want == "" {
							b.works(t, s, c)
							return
						}
						_, err := c.Run(testContext(t), Command{Text: "id -un", Become: &b.become})
						if e := wantError(t, err, b.want, StageBecome); !strings.HasPrefix(e.Text, b.text) {
							t.Errorf("%q, want %q", e.Text, b.text)
						}
					})
				}
			})
		}
	}
}

func (b *becoming) works(t *testing.T, s *sshtest.Server, c *Conn) {
	t.Helper()
	user := b.become.User
	if user == "" {
		user = "root"
	}
	var out, errs bytes.Buffer
	r, err := c.Run(testContext(t), Command{Text: `id -un; echo "$HOME"; cat; cat /proc/$$/cmdline /proc/$PPID/cmdline >/dev/null; echo '\ "quoted"' >&2; exit 7`,
		Become: &b.become, Stdout: &out, Stderr: &errs})
	home := s.Dir + "/home-" + user + "\n"
	if user == "root" {
		home = "/root\n"
	}
	told := out.String() + errs.String()
	if err != nil || r.ExitCode != 7 || told != user+"\n"+home+`\ "quoted"`+"\n" || r.Supervised.NoiseBytes != 0 {
		t.Errorf("%q, %q, %+v, %v", &out, &errs, r, err)
	}
	cmd := supervise(`trap '' TERM; sh -c 'trap "" TERM; sleep 1000; true' & echo up; sleep 1001; true`)
	cmd.Become = &b.become
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var argv []sshtest.Process
	cmd.Stdout = writerFunc(func(p []byte) (int, error) {
		argv = s.Tree()
		cancel()
		return len(p), nil
	})
	r, err = c.Run(ctx, cmd)
	wantError(t, err, KindCanceled, StageCommand)
	if !r.Supervised.Killed {
		t.Errorf("%+v", r)
	}
	for _, p := range argv {
		if strings.Contains(p.Command, "hunter2") || strings.Contains(p.Command, rootPassword) {
			t.Errorf("a password in the arguments of %v", p)
		}
	}
	if len(argv) < 2 {
		t.Errorf("only %d processes were looked at", len(argv))
	}
	eventually(t, "the end of all processes", func() bool { return len(sleeping(s)) == 0 })
}

// sleeping are the processes below the server that sleep.
func sleeping(s *sshtest.Server) (found []sshtest.Process) {
	for _, p := range s.Tree() {
		if strings.HasPrefix(p.Command, "sleep 100") {
			found = append(found, p)
		}
	}
	return found
}
