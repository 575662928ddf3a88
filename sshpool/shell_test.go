package sshpool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/sshtest"
)

// ownHome gives the user a home of the test's own: shells that are killed must
// not leave anything in a real one.
var ownHome = sshtest.Password("none")

// expect reads from r until text stands at the end of what came.
func expect(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), text) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q, want %q", err, seen.String(), text)
		}
		seen.WriteByte(b)
	}
	return seen.String()
}

// TestShell talks to a login shell on a terminal: what it types, its size and
// its change, Ctrl-C, the exit status.
func TestShell(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			c := mustDial(t, realTarget(t, start(t, ownHome)))
			sh, err := c.Shell(testContext(t), ShellOptions{PTY: &PTY{Term: "vt220", Columns: 91, Rows: 33, Modes: ssh.TerminalModes{ssh.ECHO: 0}}})
			if err != nil {
				t.Fatal(err)
			}
			defer sh.Close()
			out := bufio.NewReader(sh)
			fmt.Fprintln(sh, `stty -echo; echo "<$TERM>"; stty size; tty >/dev/null && echo on a terminal`)
			expect(t, out, "<vt220>\r\n33 91\r\non a terminal\r\n")
			if err := sh.Resize(70, 20); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sh, `stty size`)
			expect(t, out, "20 70\r\n")
			fmt.Fprintln(sh, `trap : INT; sh -c 'echo waiting; exec sleep 1000'; echo "interrupted: $?"`)
			expect(t, out, "waiting\r\n")
			sh.Write([]byte{3})
			expect(t, out, "interrupted: 130\r\n")
			fmt.Fprintln(sh, "exit 7")
			if _, err := io.Copy(io.Discard, out); err != nil {
				t.Error(err)
			}
			if r, err := sh.Wait(); err != nil || !r.HasExit || r.ExitCode != 7 || r.Lingering {
				t.Errorf("%+v, %v", r, err)
			}
			if err := sh.Resize(1, 1); !errors.Is(err, ErrClosed) {
				t.Errorf("resize after the end: %v", err)
			}
			if _, err := sh.Write([]byte("x")); err == nil {
				t.Error("a shell that has ended takes input")
			}
		})
	}
}

// TestShellOnPipes has no terminal: bytes pass exactly, both ways, and the end
// of the input ends the shell.
func TestShellOnPipes(t *testing.T) {
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			c := mustDial(t, realTarget(t, start(t, ownHome)))
			errs := make(chan string, 1)
			sh, err := c.Shell(testContext(t), ShellOptions{Stderr: writerFunc(func(p []byte) (int, error) {
				errs <- string(p)
				return len(p), nil
			})})
			if err != nil {
				t.Fatal(err)
			}
			defer sh.Close()
			every := make([]byte, 256<<10)
			for i := range every {
				every[i] = byte(i ^ i>>8)
			}
			fmt.Fprintln(sh, "echo ready >&2; exec cat")
			go func() {
				if text := <-errs; text != "ready\n" { // before that the shell may read what is not its own
					t.Errorf("%q on stderr", text)
				}
				sh.Write(every)
				sh.CloseWrite()
			}()
			got, err := io.ReadAll(sh)
			if err != nil || !bytes.Equal(got, every) {
				t.Errorf("%d bytes of %d came back, %v", len(got), len(every), err)
			}
			if r, err := sh.Wait(); err != nil || !r.HasExit || r.ExitCode != 0 || r.StdoutBytes != int64(len(every)) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestCommandOnTerminal runs a command on a terminal by Run.
func TestCommandOnTerminal(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, ownHome, sshtest.Config("AcceptEnv LC_*"))))
	var out, errs bytes.Buffer
	r, err := c.Run(testContext(t), Command{Text: `tty >/dev/null; echo "$? $TERM $LC_ONE${REFUSED-}"; stty size; echo on stderr >&2; exit 3`,
		PTY: &PTY{}, Env: []string{"LC_ONE=1"}, OfferEnv: []string{"REFUSED=2"}, Stdout: &out, Stderr: &errs})
	if want := "0 dumb 1\r\n24 80\r\non stderr\r\n"; err != nil || r.ExitCode != 3 || out.String() != want || errs.Len() != 0 {
		t.Errorf("%q and %q, %+v, %v; want %q", &out, &errs, r, err, want)
	}
}

// TestTerminalModes has the host's terminal set up as asked for.
func TestTerminalModes(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, ownHome)))
	var out bytes.Buffer
	modes := ssh.TerminalModes{ssh.VINTR: 7, ssh.VERASE: 8, ssh.ECHO: 0, ssh.ICANON: 1, ssh.TTY_OP_OSPEED: 19200, ssh.TTY_OP_ISPEED: 19200}
	if _, err := c.Run(testContext(t), Command{Text: "stty -a", PTY: &PTY{Modes: modes}, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"speed 19200 baud", "intr = ^G;", "erase = ^H;", " -echo ", " icanon "} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "\r\n", " "), want) {
			t.Errorf("no %q in %s", want, &out)
		}
	}
}

// TestNoTerminal wants an error where the host gives no terminal, and nothing run.
func TestNoTerminal(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, ownHome, sshtest.Config("PermitTTY no"))))
	_, err := c.Shell(testContext(t), ShellOptions{PTY: &PTY{}})
	if e := wantError(t, err, KindPermission, StageChannel); e.Text != "terminal refused by the host" || e.Sent {
		t.Errorf("%+v", e)
	}
	if r, err := c.Run(testContext(t), Command{Text: "exit 5"}); err != nil || r.ExitCode != 5 {
		t.Errorf("without a terminal: %+v, %v", r, err)
	}
}

// TestShellClosed ends shells from our side: by Close, by their context.
func TestShellClosed(t *testing.T) {
	s := sshtest.OpenSSH(t, ownHome)
	c := mustDial(t, realTarget(t, s))
	for _, byContext := range []bool{false, true} {
		ctx, cancel := context.WithCancel(testContext(t))
		defer cancel()
		sh, err := c.Shell(ctx, ShellOptions{PTY: &PTY{}, Command: "yes"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(sh, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if byContext {
			cancel()
			if _, err := io.Copy(io.Discard, sh); !errors.Is(err, context.Canceled) {
				t.Errorf("read after the end of the context: %v", err)
			}
		} else {
			sh.Close()
		}
		_, err = sh.Wait()
		if e := wantError(t, err, KindCanceled, StageCommand); !e.Sent {
			t.Error("a shell that ran counts as not sent")
		}
		s.WaitCommands(0, 20*time.Second)
	}
	if c.Err() != nil {
		t.Errorf("the connection ended with a shell: %v", c.Err())
	}
}

// TestShellLost has the server die under a shell.
func TestShellLost(t *testing.T) {
	s := sshtest.OpenSSH(t, ownHome)
	c := mustDial(t, realTarget(t, s))
	sh, err := c.Shell(testContext(t), ShellOptions{PTY: &PTY{}, Command: "echo on; sleep 1000"})
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	out := bufio.NewReader(sh)
	expect(t, out, "on\r\n")
	s.Stop()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	_, err = sh.Wait()
	if e := wantError(t, err, KindConnLost, StageCommand); !e.Sent {
		t.Errorf("%+v", e)
	}
}

// TestSlowReader takes output much later than the command's end: all of it
// comes, while a child that is silent is not waited for.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, ownHome)))
	const size = 1 << 20
	sh, err := c.Shell(testContext(t), ShellOptions{Command: fmt.Sprintf("head -c %d /dev/zero; sleep 1000 & exit 4", size)})
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	if _, err := io.ReadFull(sh, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(DrainTime + 500*time.Millisecond)
	rest, err := io.ReadAll(sh)
	if err != nil || len(rest) != size-1 {
		t.Errorf("%d bytes of %d, %v", len(rest)+1, size, err)
	}
	if r, err := sh.Wait(); err != nil || r.ExitCode != 4 || !r.Lingering {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPTYRequest(t *testing.T) {
	for _, c := range []struct {
		pty  PTY
		want string
	}{
		{PTY{}, "\x00\x00\x00\x04dumb\x00\x00\x00\x50\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"},
		{PTY{Term: "xterm", Columns: 300, Rows: 2, Modes: ssh.TerminalModes{ssh.ECHO: 1, ssh.VINTR: 3}},
			"\x00\x00\x00\x05xterm\x00\x00\x01\x2c\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0b\x01\x00\x00\x00\x03\x35\x00\x00\x00\x01\x00"},
	} {
		if got := string(c.pty.request()); got != c.want {
			t.Errorf("%+v: %q, want %q", c.pty, got, c.want)
		}
	}
}
