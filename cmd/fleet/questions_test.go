package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// asker is an SSH server that lets in whoever answers its two questions, and
// then takes any command for done. It gives the path of an inventory with it.
func asker(t *testing.T) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		got, err := ask("Two steps", "have your token ready\nweb02: Password:", []string{"Animal:", "Code:"}, []bool{true, false})
		if err != nil || len(got) != 2 || got[0] != "cat" || got[1] != "123456" {
			return nil, fmt.Errorf("answers %q, %v", got, err)
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveAnything(conn, config)
		}
	}()
	file := filepath.Join(t.TempDir(), "hosts.yaml")
	text := fmt.Sprintf("hosts: {web01: {address: 127.0.0.1, port: %d, user: ann, hostkey: %q}}\n",
		listener.Addr().(*net.TCPAddr).Port, ssh.FingerprintSHA256(signer.PublicKey()))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func serveAnything(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				r.Reply(true, nil)
				if r.Type == "exec" {
					fmt.Fprintln(channel, "let in")
					channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{}))
					channel.Close()
				}
			}
		}()
	}
}

func askedCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return askedFleet(t, append(args, "--raw", "web01", "--", "true")...)
}

// askedFleet is a command line about that server.
func askedFleet(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := exec.LookPath("fleet")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	dir := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm", "FLEET_SSH_CONFIG=none", "GORACE=" + noSleepAtExit, "FLEET_INVENTORY=" + asker(t)}
	return cmd
}

// TestQuestions answers what a host asks at login: what it lets be seen is
// shown, the rest is not.
func TestQuestions(t *testing.T) {
	cmd := askedCommand(t, "run", "--interactive")
	animal, code := answer("web01: Animal: ", "cat"), answer("web01: Code: ", "123456")
	screen, status, err := onTerminal(cmd, 80, func(person *os.File, seen []byte) {
		animal(person, seen)
		code(person, seen)
	})
	text := strings.Join(screen, "\n")
	if err != nil || status != exitOK || !strings.Contains(text, "let in") {
		t.Errorf("status %d, %v\n%s", status, err, text)
	}
	for _, want := range []string{"web01: Two steps", "web01: have your token ready\nweb01: web02: Password:\n", "Animal: cat"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not stand in\n%s", want, text)
		}
	}
	if strings.Contains(text, "123456") {
		t.Errorf("the code stands on the screen\n%s", text)
	}
}

// TestQuestionGivenUp leaves a question by Ctrl-C and types on: nobody waits for its
// answer any more and takes what is meant for the shell, or for the next question.
func TestQuestionGivenUp(t *testing.T) {
	const prompt = "web01 (1)> "
	screen := sitAt(t, askedFleet(t, "shell", "--interactive", "--raw", "web01"), exitOK,
		turn{prompt, "first\r"},
		turn{"Animal: ", "\x03"},
		turn{prompt, "second\r"},
		turn{"Animal: ", "cat\n"},
		turn{"Code: ", "\x03"},
		turn{prompt, "third\r"},
		turn{"Animal: ", "cat\n"},
		turn{"Code: ", "123456\n"},
		turn{"let in", ""},
		turn{prompt, ":quit\r"},
	)
	holds(t, screen, prompt+"second", prompt+"third", "Animal: cat", "let in")
}

// TestAnswers reads the answers from a file, where nobody may be asked.
func TestAnswers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "answers")
	if err := os.WriteFile(file, []byte("# two\nanimal = cat\n/^Code: ?$/ = 123456\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := askedCommand(t, "run", "--no-input", "--answers", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "web01: let in") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = askedCommand(t, "run", "--no-input").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "keyboard-interactive") {
		t.Errorf("%v: %s", err, out)
	}
}
