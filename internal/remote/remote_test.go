package remote

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const nonce = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// shellOr gives a shell's path, which must be there where tests must run.
func shellOr(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// TestEveryShell has each shell be both the login shell and the host's /bin/sh.
func TestEveryShell(t *testing.T) {
	shells := map[string][]string{"dash": {"dash"}, "bash": {"bash"}, "busybox": {"busybox", "sh"}, "zsh": {"zsh"}}
	for login, argv := range shells {
		for sh, as := range shells {
			if sh == "zsh" { // no host has it as /bin/sh
				continue
			}
			t.Run(login+"/"+sh, func(t *testing.T) {
				t.Parallel()
				spec := Spec{Command: `echo "it's \ $1! $FLEET_A" 'a
b'; cat; echo err >&2; exit 7`, Shell: shellOr(t, "dash"), Grace: time.Second, Payload: "FLEET_A=x\nexport FLEET_A\n"}
				line := strings.ReplaceAll(spec.Line(nonce), "/bin/sh -c", shellOr(t, as[0])+strings.Join(append([]string{""}, as[1:]...), " ")+" -c")
				cmd := exec.Command(shellOr(t, argv[0]), append(argv[1:], "-c", line)...)
				var out, errs bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &errs
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				io.WriteString(stdin, spec.Sends(nonce))
				state, err := cmd.Process.Wait()
				if err != nil {
					t.Fatal(err)
				}
				stdin.Close() // as the server does
				cmd.Wait()    //nolint:errcheck // only for the streams
				f := NewFollower(&spec, nonce)
				got := string(f.Stdout.Pass(out.Bytes())) + "|" + string(f.Stderr.Pass(errs.Bytes()))
				is, began := f.Began()
				if want := "it's \\ ! x a\nb\n|err\n"; got != want || state.ExitCode() != 7 || !began || is.PID != cmd.Process.Pid {
					t.Errorf("%q, want %q; %v, %+v", got, want, state, is)
				}
			})
		}
	}
}

// TestEnd ends a tree by the lifeline, with each shell as /bin/sh.
func TestEnd(t *testing.T) {
	for _, as := range [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}} {
		t.Run(as[0], func(t *testing.T) {
			t.Parallel()
			spec := Spec{Command: `trap '' TERM; (sleep 1000 & sleep 1001 &); echo up; sleep 1002; sleep 1003`, Shell: shellOr(t, "dash"), Grace: time.Second}
			line := strings.ReplaceAll(spec.Line(nonce), "/bin/sh -c", shellOr(t, as[0])+strings.Join(append([]string{""}, as[1:]...), " ")+" -c")
			cmd := exec.Command("/bin/sh", "-c", line)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			f := NewFollower(&spec, nonce)
			buf := make([]byte, 1000)
			for got := ""; !strings.Contains(got, "up\n"); {
				n, err := stdout.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got += string(f.Stdout.Pass(buf[:n]))
			}
			f.End()
			io.WriteString(stdin, "end\n")
			io.Copy(io.Discard, stdout) // until all that holds it is gone
			cmd.Wait()                  //nolint:errcheck // it was killed
			f.Stderr.Pass(errs.Bytes())
			if r := f.Report(); r == nil || !r.Forced || len(r.Left) > 0 {
				t.Errorf("%+v; stderr %q", r, &errs)
			}
		})
	}
}

// TestFollow cuts what comes back in two at each byte.
func TestFollow(t *testing.T) {
	text := "motd fleet-\nfleet-ABC\nfleet-" + nonce + " 12 34\r\nout\nfleet-" + nonce + " 5 6\nfleet-" + nonce + " end KILL 7 8\nrest fleet-"
	for ending, want := range map[bool]string{
		false: "out\nfleet-" + nonce + " 5 6\nfleet-" + nonce + " end KILL 7 8\nrest fleet-",
		true:  "out\nrest fleet-",
	} {
		for i := range text {
			f := NewFollower(&Spec{}, nonce)
			if ending {
				f.End()
			}
			got := string(f.Stderr.Pass([]byte(text[:i])))
			got += string(f.Stderr.Pass([]byte(text[i:])))
			got += string(f.Stderr.Rest())
			is, _ := f.Began()
			n, head := f.Stderr.Noise()
			if got != want || is != (Began{12, 34}) || n != 22 || string(head) != "motd fleet-\nfleet-ABC\n" {
				if !ending && strings.HasSuffix(want, got) { // one chunk holds the begin and the rest
					continue
				}
				t.Fatalf("cut at %d, ending %v: %q, want %q; %+v, noise %d %q", i, ending, got, want, is, n, head)
			}
			if r := f.Report(); ending && (r == nil || !r.Forced || len(r.Left) != 2) {
				t.Fatalf("cut at %d: report %+v", i, r)
			}
		}
	}
}

func TestParseLine(t *testing.T) {
	for _, spec := range []Spec{
		{Command: "uptime", Grace: 5 * time.Second},
		{Command: "it's \\ ! \n'", Shell: "/bin/ba sh", Dir: "~/a b", Grace: time.Second, Keep: true, Stdin: true},
		{Command: "", TTY: true, Grace: time.Second},
	} {
		sent, ok := ParseLine(spec.Line(nonce))
		if !ok || sent.Spec != spec || sent.Nonce != nonce {
			t.Errorf("%+v came back as %+v, %v", spec, sent, ok)
		}
	}
	for _, line := range []string{"", "uptime", "exec /bin/sh -c 'eval \"$2\"' x", "exec /bin/sh -c 'eval \"$2\"' 'unfinished"} {
		if sent, ok := ParseLine(line); ok {
			t.Errorf("%q is %+v", line, sent)
		}
	}
	if sent, end, ok := ParseLook(Look(&Spec{Stdin: true, Become: &Become{}}, nonce, Began{12, 34}, time.Second)); !ok || !end || sent.Nonce != nonce {
		t.Errorf("%+v, %v, %v", sent, end, ok)
	}
}

func TestPayloadRefuses(t *testing.T) {
	for _, env := range []string{"A", "1A=x", "=x", "A B=x", "A=x\x00"} {
		if text, err := Environment([]string{env}); err == nil {
			t.Errorf("%q gives %q", env, text)
		} else if strings.Contains(err.Error(), "=x") {
			t.Errorf("%v shows a value", err)
		}
	}
	for _, script := range []string{"#!/bin/sh\r\n", "#!\n", "#! \n", "a\x00b"} {
		if text, err := Script([]byte(script), "", nil); err == nil {
			t.Errorf("%q gives %q", script, text)
		}
	}
	text, err := Script([]byte("echo FLEET_END"), "", []string{"a b"})
	if vars, script, ok := SplitPayload("A=b\n" + text); err != nil || vars != "A=b\n" || script != "echo FLEET_END\n" || !ok {
		t.Errorf("%q, %q, %v, %v of %q", vars, script, ok, err, text)
	}
}

// FuzzQuoteForAny has words read back by a shell, and by our own reading of lines.
func FuzzQuoteForAny(f *testing.F) {
	f.Add(`it's $(id) \ ! "x"`)
	sh := shellOr(f, "sh")
	f.Fuzz(func(t *testing.T, word string) {
		if strings.Contains(word, "\x00") {
			return
		}
		out, err := exec.Command(sh, "-c", "printf %s. "+quoteForAny(word)).Output()
		if err != nil || string(out) != word+"." {
			t.Errorf("%q, quoted %s, came back as %q, %v", word, quoteForAny(word), out, err)
		}
		if list, ok := unquote(quoteForAny(word) + " x"); !ok || len(list) != 2 || list[0] != word {
			t.Errorf("%q, quoted %s, is read as %q", word, quoteForAny(word), list)
		}
	})
}

// FuzzFollow wants neither a panic nor a byte of output that did not come.
func FuzzFollow(f *testing.F) {
	f.Add([]byte("noise\nfleet-"+nonce+" 1 2\nout"), 3)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		if at < 0 || at > len(text) {
			return
		}
		w := NewFollower(&Spec{Become: &Become{Method: Su}}, nonce)
		w.End()
		n := len(w.Stderr.Pass(text[:at]))
		n += len(w.Stderr.Pass(text[at:]))
		n += len(w.Stderr.Rest())
		if noise, head := w.Stderr.Noise(); n+int(noise) > len(text) || len(head) > maxHead {
			t.Errorf("%d bytes of output and %d of noise, of %d", n, noise, len(text))
		}
	})
}
