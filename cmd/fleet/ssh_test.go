package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleet/internal/sshtest"
)

// servers are the real ones that a shell is opened on.
var servers = map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{"openssh": openSSH, "dropbear": sshtest.Dropbear}

// openSSH starts an sshd whose user has a home of the test's own: shells that
// are killed must not leave anything in a real one.
func openSSH(t testing.TB, opts ...sshtest.Option) *sshtest.Server {
	t.Helper()
	return sshtest.OpenSSH(t, append(opts, sshtest.Password("none"))...)
}

// sshCommand is `fleet ssh ARG...` with an inventory of one host, web01, which is s.
func sshCommand(t *testing.T, s *sshtest.Server, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "hosts.yaml")
	inventory := fmt.Sprintf("defaults: {user: %q, port: %d, key: %q, known_hosts: %q}\nhosts:\n  web01: {address: %q}\n", s.User, s.Port, s.KeyFile, s.KnownHosts, s.Addresses[0])
	if err := os.WriteFile(file, []byte(inventory), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"ssh"}, args...)...)
	cmd.Env = append(os.Environ(), "FLEET_INVENTORY="+file, "HOME="+dir, "TERM=xterm-256color")
	return cmd
}

// step is what a person does when the screen shows a text.
type step struct {
	see string
	do  func(person *os.File)
}

func types(text string) func(*os.File) {
	return func(person *os.File) {
		person.Write([]byte(text)) //nolint:errcheck // the read that follows fails too
	}
}

// stuckAfter is when a conversation is broken off that does not go on.
const stuckAfter = 20 * time.Second

// converse runs cmd on a terminal and does each step once its text has come
// since the step before. It wants the terminal to be afterwards what it was.
func converse(t *testing.T, cmd *exec.Cmd, steps ...step) (screen string, status int) {
	t.Helper()
	seenBefore, next := 0, 0
	var after *unix.Termios
	var stuck *time.Timer
	defer func() { stuck.Stop() }()
	lines, status, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		if stuck == nil {
			stuck = time.AfterFunc(stuckAfter, func() { types("\r~.")(person) })
		}
		for next < len(steps) {
			at := bytes.Index(seen[seenBefore:], []byte(steps[next].see))
			if at < 0 {
				break
			}
			seenBefore += at + len(steps[next].see)
			steps[next].do(person)
			next++
		}
		if bytes.IndexByte(seen, 1) >= 0 && after == nil {
			after = termios(t, person)
		}
	})
	screen = strings.Join(lines, "\n")
	if err != nil {
		t.Fatalf("%v\n%s", err, screen)
	}
	if next < len(steps) {
		t.Errorf("never saw %q:\n%s", steps[next].see, screen)
	}
	person, program, err := openTerminal(80)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	defer program.Close()
	if before := termios(t, person); after == nil || *after != *before {
		t.Errorf("the terminal was %+v and is %+v", before, after)
	}
	return screen, status
}

func termios(t *testing.T, person *os.File) *unix.Termios {
	t.Helper()
	now, err := unix.IoctlGetTermios(int(person.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// TestSSHShell sits at a shell: types, sees, resizes the window, presses
// Ctrl-C, asks for the escapes, and leaves by exit.
func TestSSHShell(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			screen, status := converse(t, sshCommand(t, start(t), "web01"),
				step{"", types("PS1='$'; stty -echo; printf 'be'; echo 'gin'\r")},
				step{"begin\r\n", types("echo \"<$TERM>\"; stty size\r")},
				step{"<xterm-256color>\r\n50 80\r\n", func(person *os.File) {
					unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 31, Col: 77}) //nolint:errcheck // seen below
					types("until test \"$(stty size)\" = '31 77'; do :; done; echo resized\r")(person)
				}},
				step{"resized\r\n", types("trap : INT; sh -c 'echo waiting; exec sleep 1000'; echo \"interrupted: $?\"\r")},
				step{"waiting\r\n", types("\x03")},
				step{"interrupted: 130\r\n", types("\r~?")},
				step{escapeHelp + "\r\n", types("echo '~.' ~~~~.\r")},
				step{"~. ~~~~.\r\n", types("~~\r")}, // the shell gets one ~
				step{"", types("exit 7\r")})
			if status != 7 {
				t.Errorf("status %d, want 7\n%s", status, screen)
			}
		})
	}
}

// TestSSHEnds leaves a terminal as it was, however a shell ends.
func TestSSHEnds(t *testing.T) {
	t.Parallel()
	s := openSSH(t)
	mark := fmt.Sprintf("%ds", 1000+os.Getpid()) // finds our fleet among the processes
	ready := "PS1='$'; stty -echo; echo re''ady\r"
	for _, c := range []struct {
		name   string
		do     func(cmd *exec.Cmd) func(*os.File)
		status int
		says   string
	}{
		{"escape", func(*exec.Cmd) func(*os.File) { return types("\r~.") }, exitInterrupted, "fleet: connection to web01 closed"},
		{"term", func(*exec.Cmd) func(*os.File) {
			return types("kill -TERM $(pgrep -f '^[^ ]*fleet ssh --connect-timeout " + mark + "')\r")
		}, exitInterrupted, ""},
		{"quit", func(*exec.Cmd) func(*os.File) {
			return types("kill -QUIT $(pgrep -f '^[^ ]*fleet ssh --connect-timeout " + mark + "')\r")
		}, exitInterrupted, ""},
		{"signal", func(*exec.Cmd) func(*os.File) { return types("kill -9 $$\r") }, 128 + 9, "fleet: web01: ended by signal KILL"},
		{"lost", func(*exec.Cmd) func(*os.File) { return func(*os.File) { s.Stop() } }, exitUnreachable, "fleet: web01: connection lost: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := sshCommand(t, s, "--connect-timeout", mark, "web01")
			screen, status := converse(t, cmd, step{"", types(ready)}, step{"ready\r\n", c.do(cmd)})
			if status != c.status || !strings.Contains(screen, c.says) {
				t.Errorf("status %d, want %d\n%s\nwant in it: %s", status, c.status, screen, c.says)
			}
		})
	}
}

// TestSSHCommandOnTerminal runs a command with -t, and one without.
func TestSSHCommandOnTerminal(t *testing.T) {
	s := openSSH(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-t", "web01", "--", "tty >/dev/null && stty size"}, "50 80"},
		{[]string{"web01", "--", "tty"}, "not a tty"},
	} {
		screen, status := converse(t, sshCommand(t, s, c.args...))
		if !strings.Contains(screen, c.want) || c.want == "not a tty" && status != 1 {
			t.Errorf("%v: status %d, %q", c.args, status, screen)
		}
	}
}

// TestSSHPipes passes 20 MB of every byte through cat, exactly, both ways.
func TestSSHPipes(t *testing.T) {
	t.Parallel()
	sent := make([]byte, 20<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	copy(sent, "~.\n~.\n")
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			cmd := sshCommand(t, start(t), "web01", "--", "cat; echo oops >&2; exit 9")
			var out, errs bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(sent), &out, &errs
			began := time.Now()
			cmd.Run() //nolint:errcheck // the status is looked at
			t.Logf("20 MiB there and back in %v", time.Since(began))
			if status := cmd.ProcessState.ExitCode(); status != 9 || !bytes.Equal(out.Bytes(), sent) || errs.String() != "oops\n" {
				t.Errorf("status %d, %d bytes of %d, %q on stderr", status, out.Len(), len(sent), &errs)
			}
		})
	}
}

// TestSSHScript feeds a shell without a terminal.
func TestSSHScript(t *testing.T) {
	cmd := sshCommand(t, openSSH(t), "web01")
	cmd.Stdin = strings.NewReader("echo one\necho two >&2\nexit 5\n")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run() //nolint:errcheck // the status is looked at
	if status := cmd.ProcessState.ExitCode(); status != 5 || out.String() != "one\n" || errs.String() != "two\n" {
		t.Errorf("status %d, %q and %q", status, &out, &errs)
	}
}

// TestSSHReaderLeaves ends a command whose output nobody takes.
func TestSSHReaderLeaves(t *testing.T) {
	s := openSSH(t)
	cmd := sshCommand(t, s, "web01", "--", "yes")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	out.Close()
	cmd.Wait() //nolint:errcheck // the status is looked at
	if status := cmd.ProcessState.ExitCode(); status != exitInternal || errs.String() != "fleet: web01: pass output on: broken pipe\n" {
		t.Errorf("status %d, %q", status, &errs)
	}
	s.WaitCommands(0, 20*time.Second)
}

// TestSSHInterrupted has fleet ended from outside while a command runs: what
// listens to the end of its input or to the signal ends there too.
func TestSSHInterrupted(t *testing.T) {
	s := openSSH(t)
	cmd := sshCommand(t, s, "web01", "--", "echo on; exec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := cmd.Process.Wait()
	if err != nil || state.ExitCode() != exitInterrupted {
		t.Errorf("%v, %v, want status %d", state, err, exitInterrupted)
	}
	s.WaitCommands(0, 20*time.Second)
}

func TestWantsTTY(t *testing.T) {
	for _, c := range []struct {
		tty, noTTY  bool
		request     string
		shell, here bool
		want        bool
	}{
		{request: "auto", shell: true, here: true, want: true},
		{request: "auto", shell: true},
		{request: "auto", here: true},
		{tty: true, request: "no", want: true},
		{noTTY: true, request: "force", shell: true, here: true},
		{request: "force", want: true},
		{request: "yes", here: true, want: true},
		{request: "yes", shell: true},
		{request: "no", shell: true, here: true},
		{shell: true, here: true, want: true},
	} {
		if got := wantsTTY(&sshOptions{tty: c.tty, noTTY: c.noTTY}, c.request, c.shell, c.here); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestSSHConfigured has a host's ssh_config ask for a terminal and offer variables.
func TestSSHConfigured(t *testing.T) {
	s := openSSH(t, sshtest.Config("AcceptEnv LC_FLEET"))
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("Host web01\n RequestTTY force\n SetEnv LC_FLEET=offered REFUSED=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := sshCommand(t, s, "-F", config, "web01", "--", `tty >/dev/null && echo "$LC_FLEET$REFUSED"`)
	out, err := cmd.Output()
	if err != nil || string(out) != "offered\r\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestSSHAgent lends the agent for as long as the command runs, and says so.
func TestSSHAgent(t *testing.T) {
	s := openSSH(t)
	socket := filepath.Join(t.TempDir(), "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agent.Process.Kill()
		agent.Wait() //nolint:errcheck // killed
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for { // the socket is there before anybody listens
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			break
		}
		<-tick.C
	}
	add := exec.Command("ssh-add", s.KeyFile)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	cmd := sshCommand(t, s, "-A", "web01", "--", "ssh-add -l")
	cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+socket)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "ED25519") || !strings.HasPrefix(errs.String(), "fleet: warning: the ssh-agent is lent to web01") {
		t.Errorf("%q and %q, %v", &out, &errs, err)
	}
	cmd = sshCommand(t, s, "-A", "web01", "--", "true")
	cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK=")
	if text, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(text), "there is no agent") {
		t.Errorf("%v, %s", err, text)
	}
}
