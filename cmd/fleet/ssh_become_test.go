package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// TestSSHBecome opens shells of another user, with and without a terminal. It is
// not root, whose home is this machine's.
func TestSSHBecome(t *testing.T) {
	const password, bensPassword = "hunter2-of-ann", "correct-horse"
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sshtest.Listen("127.0.0.1"), sshtest.WithAccounts(sshtest.Accounts{
				Login: "ann", Passwords: map[string]string{"ann": password, "ben": bensPassword},
				Files: map[string]string{"sudoers": "Defaults !lecture\nann ALL=(ALL) ALL\n", "doas.conf": "permit ann\n"}}))
			dir := t.TempDir()
			right, wrong, bens := filepath.Join(dir, "right"), filepath.Join(dir, "wrong"), filepath.Join(dir, "bens")
			for path, text := range map[string]string{right: password, wrong: "wrong", bens: bensPassword} {
				if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for method, file := range map[string]string{"sudo": right, "su": bens, "doas": right} {
				screen, status := converse(t, sshCommand(t, s, "-b", "--become-user", "ben", "--become-method", method, "--become-pass-file", file, "web01"),
					step{"$ ", types("id -un; pwd; tty | tr a-z A-Z\r")},
					step{"/DEV/PTS/", types("sh -c 'echo $((40+2)) up; exec sleep 100'\r")},
					step{"42 up", types("\x03")},
					step{"$ ", types("exit 7\r")})
				if status != 7 || !strings.Contains(screen, "\nben\n"+s.Dir+"/home-ben\n") {
					t.Errorf("%s: status %d:\n%s", method, status, screen)
				}
				if strings.Contains(screen, password) || strings.Contains(screen, bensPassword) {
					t.Errorf("%s shows the password:\n%s", method, screen)
				}
			}
			run := func(status int, stdin string, args ...string) (out, told string) {
				t.Helper()
				cmd := sshCommand(t, s, append([]string{"-b", "--become-user", "ben"}, args...)...)
				var o, e bytes.Buffer
				cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &o, &e
				cmd.Run() //nolint:errcheck // the status says more
				if got := cmd.ProcessState.ExitCode(); got != status {
					t.Errorf("%v: status %d, want %d\n%s%s", args, got, status, &o, &e)
				}
				return o.String(), e.String()
			}
			if out, told := run(5, "in", "--become-pass-file", right, "web01", "--", "id -un; cat; exit 5"); out != "ben\nin" || told != "" {
				t.Errorf("%q, %q", out, told)
			}
			if out, _ := run(0, "id -un; pwd\n", "--become-pass-file", right, "web01"); out != "ben\n"+s.Dir+"/home-ben\n" {
				t.Errorf("%q", out)
			}
			_, told := run(3, "", "--become-pass-file", wrong, "web01", "--", "id -un")
			holds(t, told, "fleet: web01: sudo did not take the password", "hint: ")
			_, told = run(3, "", "web01", "--", "id -un")
			holds(t, told, "fleet: web01: sudo asks for a password, and there is none", "-K")
			_, told = run(2, "", "-N", "-L", "0:x:1", "web01")
			holds(t, told, "--become has nothing to run as another user")
		})
	}
}

// TestSSHBecomeLeft leaves a shell of another user, and wants it gone.
func TestSSHBecomeLeft(t *testing.T) {
	t.Parallel()
	s := openSSH(t, sshtest.Listen("127.0.0.1"), sshtest.WithAccounts(sshtest.Accounts{Login: "ann", Passwords: map[string]string{"ben": ""},
		Files: map[string]string{"sudoers": "Defaults !lecture\nann ALL=(ALL) NOPASSWD: ALL\n"}}))
	screen, status := converse(t, sshCommand(t, s, "-b", "--become-user", "ben", "web01"),
		step{"$ ", types("trap '' HUP TERM; sh -c 'echo pid $$ end; exec sleep 1000'\r")},
		step{" end\r\n", types("\r~.")})
	if status != exitInterrupted || !strings.Contains(screen, "connection to web01 closed") {
		t.Errorf("status %d:\n%s", status, screen)
	}
	found := regexp.MustCompile(`\npid (\d+) end`).FindStringSubmatch(screen)
	if found == nil {
		t.Fatalf("no process:\n%s", screen)
	}
	if _, err := os.Stat("/proc/" + found[1]); err == nil {
		t.Errorf("process %s is left", found[1])
	}
}
