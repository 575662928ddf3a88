package sshpool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBecomeLatePrompt sends the password only when it is asked for, however late
// PAM lets that be: after five seconds (pam_exec runs sleep in front of
// pam_unix). The command's input is its own.
func TestBecomeLatePrompt(t *testing.T) {
	t.Parallel()
	const pam = "auth required pam_exec.so quiet /bin/sleep 5\nauth required pam_unix.so\naccount required pam_unix.so\nsession required pam_unix.so\n"
	ways := map[string]Become{
		"openssh":  {Method: "sudo", Password: secret(annPassword)},
		"dropbear": {Method: "su", Password: secret(rootPassword)},
	}
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, ok := ways[name]
			if !ok {
				t.Fatalf("nothing to become another user by on %s", name)
			}
			s := becomeServer(t, start, map[string]string{"sudoers": sudoers + "ann ALL=(ALL) ALL\n", "pam.d/sudo": pam, "pam.d/su": pam})
			c := mustDial(t, realTarget(t, s))
			began := time.Now()
			ownInput(t, c, &b, "first line\nrest")
			if took := time.Since(began); took < 5*time.Second {
				t.Errorf("it took %v: PAM did not wait", took)
			}
		})
	}
}

// TestBecomeLimit gives up where the question does not come in time.
func TestBecomeLimit(t *testing.T) {
	const pam = "auth required pam_exec.so quiet /bin/sleep 5\nauth required pam_unix.so\naccount required pam_unix.so\n"
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := becomeServer(t, start, map[string]string{"sudoers": sudoers + "ann ALL=(ALL) ALL\n", "pam.d/sudo": pam})
			c := mustDial(t, realTarget(t, s))
			_, err := c.Run(testContext(t), Command{Text: "id -un", Become: &Become{Password: secret(annPassword), Limit: time.Millisecond}})
			wantError(t, err, KindTimeout, StageBecome)
		})
	}
}

// TestBecomeTicket gives a password where sudo would need none, as a live ticket
// lets it in: the password must not become the command's input.
func TestBecomeTicket(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := becomeServer(t, start, map[string]string{"sudoers": sudoers + "Defaults timestamp_type=global, timestamp_timeout=60\nann ALL=(ALL) ALL\n"})
			c := mustDial(t, realTarget(t, s))
			sudo := func(line, in string) int {
				t.Helper()
				r, err := c.Run(testContext(t), Command{Text: line, Stdin: strings.NewReader(in)})
				if err != nil {
					t.Fatal(err)
				}
				return r.ExitCode
			}
			if got := sudo("sudo -n true", ""); got == 0 {
				t.Fatal("sudo asks for no password without a ticket")
			}
			if got := sudo("sudo -S -v", annPassword+"\n"); got != 0 {
				t.Fatalf("sudo -v: exit status %d", got)
			}
			for range 2 { // what runs in between must not use it up, either
				if got := sudo("sudo -n true", ""); got != 0 {
					t.Fatalf("there is no live ticket: exit status %d", got)
				}
				ownInput(t, c, &Become{Password: secret(annPassword)}, "", "first line\nrest")
			}
			ownInput(t, c, &Become{}, "") // the ticket is enough
		})
	}
}

// ownInput runs cat as another user, with each input, and sees that it
// reads that and nothing else.
func ownInput(t *testing.T, c *Conn, b *Become, inputs ...string) {
	t.Helper()
	for _, in := range inputs {
		var out, errs bytes.Buffer
		cmd := Command{Text: "id -un; cat; exit 7", Become: b, Stdout: &out, Stderr: &errs}
		if in != "" {
			cmd.Stdin = strings.NewReader(in)
		}
		r, err := c.Run(testContext(t), cmd)
		if err != nil || r.ExitCode != 7 || out.String() != "root\n"+in || errs.Len() > 0 {
			t.Errorf("input %q: %q, %q, %+v, %v", in, &out, &errs, r, err)
		}
	}
}

// TestBecomeInputWithoutTerminal has a command read input where the password, or
// the program itself, wants a terminal: nothing runs, and the error says why.
// Where no password is asked for, it runs.
func TestBecomeInputWithoutTerminal(t *testing.T) {
	for name, start := range realServers() {
		for rules, methods := range map[string][]string{"asked": {"doas"}, "free": {"doas"}, "tty": {"sudo"}} {
			t.Run(name+"/"+rules, func(t *testing.T) {
				t.Parallel()
				s := becomeServer(t, start, becomeRules()[rules])
				c := mustDial(t, realTarget(t, s))
				for _, method := range methods {
					b := &Become{Method: method, Password: secret(annPassword)}
					if rules == "free" {
						ownInput(t, c, b, "first line\nrest")
						continue
					}
					var out bytes.Buffer
					in := strings.NewReader("input")
					_, err := c.Run(testContext(t), Command{Text: "id -un; cat", Become: b, Stdin: in, Stdout: &out})
					if e := wantError(t, err, KindBecomeDenied, StageBecome); e.Text != method+" wants a terminal, and a command that is sent input has none" {
						t.Errorf("%q", e.Text)
					}
					if out.Len() > 0 || in.Len() != len("input") {
						t.Errorf("output %q, %d bytes of the input are left", &out, in.Len())
					}
				}
			})
		}
	}
}

// TestBecomeSecondFactor has PAM ask for a code, before the password or after it:
// nobody can give one, and that is told long before the limit.
func TestBecomeSecondFactor(t *testing.T) {
	t.Parallel()
	modules, _ := filepath.Glob("/usr/lib/*/security/pam_google_authenticator.so")
	if len(modules) == 0 {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
			t.Fatal("libpam-google-authenticator is not installed")
		}
		t.Skip("install the Debian package libpam-google-authenticator to run this test")
	}
	const code = "auth required pam_google_authenticator.so secret=/etc/codes user=root no_strict_owner allowed_perm=0440 no_increment_hotp\n"
	const password, rest = "auth required pam_unix.so\n", "account required pam_unix.so\nsession required pam_unix.so\n"
	ways := []Become{{Method: "sudo", Password: secret(annPassword)}, {Method: "su", Password: secret(rootPassword)}, {Method: "doas", Password: secret(annPassword)}}
	for name, start := range realServers() {
		for order, pam := range map[string]string{"before": code + password + rest, "after": password + code + rest} {
			t.Run(name+"/"+order, func(t *testing.T) {
				t.Parallel()
				s := becomeServer(t, start, map[string]string{"sudoers": sudoers + "ann ALL=(ALL) ALL\n", "doas.conf": "permit ann\n",
					"pam.d/sudo": pam, "pam.d/su": pam, "pam.d/doas": pam, "codes": "ABCDEFGHIJKLMNOPQRSTUVWXYZ\n\" TOTP_AUTH\n"})
				for _, b := range ways {
					b.Limit = time.Minute
					began := time.Now()
					_, err := mustDial(t, realTarget(t, s)).Run(testContext(t), Command{Text: "id -un", Become: &b})
					if e := wantError(t, err, KindBecomeDenied, StageBecome); e.Text != b.Method+` asks for more than a password: "Verification code:"` {
						t.Errorf("%s: %q", b.Method, e.Text)
					}
					if took := time.Since(began); took > b.Limit/2 {
						t.Errorf("%s: told after %v", b.Method, took)
					}
				}
			})
		}
	}
}
