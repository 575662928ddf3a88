package remote

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostShells are those that hosts have as /bin/sh.
var hostShells = [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}}

// eachHost calls f for each shell that a host may have, with what runs a line there.
func eachHost(t *testing.T, f func(t *testing.T, run func(line string) *exec.Cmd)) {
	for _, as := range hostShells {
		t.Run(as[0], func(t *testing.T) {
			t.Parallel()
			sh := strings.Join(append([]string{shellOr(t, as[0])}, as[1:]...), " ") + " -c"
			f(t, func(line string) *exec.Cmd {
				return exec.Command("/bin/sh", "-c", strings.ReplaceAll(line, "/bin/sh -c", sh))
			})
		})
	}
}

// TestPayloadCut has the payload end before its end, or hold what is none of it. A
// command whose variables are not set may do harm: it must not run.
func TestPayloadCut(t *testing.T) {
	const vars = "FLEET_A=x\nexport FLEET_A\n"
	eachHost(t, func(t *testing.T, run func(string) *exec.Cmd) {
		for _, spec := range []Spec{{}, {Stdin: true}, {Keep: true}} {
			spec.Command, spec.Payload, spec.Shell = `echo "ran with <$FLEET_A>"`, vars, shellOr(t, "dash")
			whole := spec.Sends(nonce)
			for what, sent := range map[string]string{
				"whole": whole, "nothing": "", "a line": "FLEET_A=x\n", "all but the end": vars, "all but a byte": whole[:len(whole)-1],
				"an end before it": ("end\n" + whole)[:len(whole)], "an end within it": (vars[:10] + "end\n" + whole[10:])[:len(whole)],
			} {
				cmd := run(spec.Line(nonce))
				cmd.Stdin = strings.NewReader(sent)
				out, _ := cmd.Output()
				f := NewFollower(&spec, nonce)
				got := string(f.Stdout.Pass(out))
				_, began := f.Began()
				if want := map[bool]string{true: "ran with <x>\n"}[what == "whole"]; got != want || began != (want != "") {
					t.Errorf("%s, %q: %q, want %q; begun: %v", what, spec.flags(), got, want, began)
				}
			}
		}
	})
}

// TestEnvironmentIsKept has variables in the login's environment that could be named
// as those of our scripts are, and one that changes what cd does.
func TestEnvironmentIsKept(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "CDPATH=/usr", "HOME="+folder)
	var names, want strings.Builder
	for c := 'A'; c <= 'z'; c++ {
		if name := string(c); isName(name) && name != "_" {
			env = append(env, name+"=value of "+name)
			names.WriteString("$" + name + ",")
			want.WriteString("value of " + name + ",")
		}
	}
	eachHost(t, func(t *testing.T, run func(string) *exec.Cmd) {
		spec := Spec{Command: "pwd; echo \"" + names.String() + "$CDPATH\"", Dir: "lib", Shell: shellOr(t, "dash"), Payload: "FLEET_A=x\n"}
		cmd := run(spec.Line(nonce))
		cmd.Dir, cmd.Env, cmd.Stdin = folder, env, strings.NewReader(spec.Sends(nonce))
		out, err := cmd.Output()
		f := NewFollower(&spec, nonce)
		got := string(f.Stdout.Pass(out))
		n, noise := f.Stdout.Noise()
		if want := filepath.Join(folder, "lib") + "\n" + want.String() + "/usr\n"; got != want || err != nil || n != 0 {
			t.Errorf("%q, want %q; before it %q; %v", got, want, noise, err)
		}
	})
}

// TestOthersEndNothing has folders of the command's name made that are not the login
// user's: of another user, who may read the name in a list of processes, or a link.
func TestOthersEndNothing(t *testing.T) {
	eachHost(t, func(t *testing.T, run func(string) *exec.Cmd) {
		nonce := rand.Text()
		spec := Spec{Command: "echo up; exec sleep 1000", Shell: shellOr(t, "dash"), Grace: time.Second, Stdin: true}
		cmd := run(spec.Line(nonce))
		log := logLooks(t, cmd)
		ended := launch(t, cmd, NewFollower(&spec, nonce))
		name := ".fleet-" + nonce
		link, others, own := "/var/tmp/"+name, "/tmp/"+name, "/dev/shm/"+name
		t.Cleanup(func() {
			for _, planted := range []string{link, others, own} {
				os.Remove(planted)
			}
		})
		if err := os.Symlink(t.TempDir(), link); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 { // nobody else can give a folder away
			if err := errors.Join(os.Mkdir(others, 0o777), os.Chown(others, 12345, 12345)); err != nil {
				t.Fatal(err)
			}
		}
		late := time.After(time.Minute)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for looked := ""; strings.Count(looked, "\n") < 4; { // each is looked at in each look
			select {
			case <-tick.C:
				text, _ := os.ReadFile(log)
				looked = string(text)
			case <-ended:
				t.Fatal("somebody else has ended it")
			case <-late:
				t.Fatal("the guard does not look")
			}
		}
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-late:
			t.Fatal("the command is not ended")
		}
	})
}

// logLooks has ls(1) write a line to a file each time that cmd's guard runs it.
func logLooks(t *testing.T, cmd *exec.Cmd) (log string) {
	t.Helper()
	bin := t.TempDir()
	log = filepath.Join(bin, "log")
	if err := os.WriteFile(filepath.Join(bin, "ls"), []byte("#!/bin/sh\necho >>"+log+"\nexec /bin/ls \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	return log
}

// launch starts a command and waits until it has written "up".
func launch(t *testing.T, cmd *exec.Cmd, f *Follower) (ended <-chan error) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	var got bytes.Buffer
	for buf := make([]byte, 1000); !strings.Contains(got.String(), "up\n"); {
		n, err := stdout.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(f.Stdout.Pass(buf[:n]))
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	return over
}

// TestLongWords has a program say much before it asks: the question counts all the
// same.
func TestLongWords(t *testing.T) {
	for _, lecture := range []int{0, 100, maxSaid - 10, maxSaid, 5 * maxSaid} {
		for _, piece := range []int{1, 7, 1 << 20} {
			f := NewFollower(&Spec{Become: &Become{Method: Su, Password: true}}, nonce)
			in := strings.NewReader("fleet-" + nonce + " become\n" + strings.Repeat("You are warned. \n", lecture/17) + "Password: ")
			for {
				p := make([]byte, piece)
				n, err := io.ReadFull(in, p)
				f.Stderr.Pass(p[:n])
				if err != nil {
					break
				}
			}
			if f.count() != 1 {
				t.Errorf("after %d bytes, %d at a time: asked %d times", lecture, piece, f.count())
			}
			f.Stderr.Pass([]byte("\nsu: Authentication failure\n"))
			if d := f.Denied(true); d != DeniedPassword {
				t.Errorf("after %d bytes: %s", lecture, d)
			}
			if len(f.Said()) > maxSaid {
				t.Errorf("%d bytes are kept", len(f.Said()))
			}
		}
	}
}
