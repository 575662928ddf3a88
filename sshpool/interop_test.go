package sshpool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/sshtest"
)

// exactly is a checker that takes one key.
type exactly struct{ key ssh.PublicKey }

func (c *exactly) Algorithms(string) []string { return []string{c.key.Type()} }

func (c *exactly) Check(_ string, _ net.Addr, key ssh.PublicKey) error {
	if !bytes.Equal(key.Marshal(), c.key.Marshal()) {
		return errors.New("another key")
	}
	return nil
}

// keygen runs ssh-keygen without questions.
func keygen(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", append([]string{"-q"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %v: %v: %s", args, err, out)
	}
}

// pythonServer starts a server of testdata that runs under Debian's Python and
// gives the way in, without credentials.
func pythonServer(t testing.TB, module, script, hostKey, authorized, password string) Target {
	t.Helper()
	sshtest.Need(t, "/usr/lib/python3/dist-packages/"+module, "python3-"+module)
	cmd := exec.Command("/usr/bin/python3", filepath.Join("testdata", script), hostKey, authorized, password)
	cmd.Stderr = os.Stderr
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
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(hostKey + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Address: "127.0.0.1", Port: port, User: "me", HostKeys: &exactly{key}}
}

// answersCommand dials and wants a command's output, errors and exit code.
func answersCommand(t *testing.T, target Target) *Conn {
	t.Helper()
	c := mustDial(t, target)
	var out, errw bytes.Buffer
	r, err := c.Exec(testContext(t), "echo out; echo err >&2; exit 7", &out, &errw)
	if err != nil || r.ExitCode != 7 || out.String() != "out\n" || errw.String() != "err\n" {
		t.Errorf("%q, %q, %+v, %v", &out, &errw, r, err)
	}
	return c
}

// TestPythonServers logs in to AsyncSSH and Paramiko with each kind of key, a
// password, and answers.
func TestPythonServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host := filepath.Join(dir, "host")
	keygen(t, "-t", "ed25519", "-N", "", "-f", host)
	for module, script := range map[string]string{"asyncssh": "asyncssh_server.py", "paramiko": "paramiko_server.py"} {
		t.Run(module, func(t *testing.T) {
			var target Target
			kinds := []string{"ed25519", "ecdsa", "rsa"}
			if module == "paramiko" { // says of RSA only that it takes SHA-1
				kinds = kinds[:2]
			}
			for _, kind := range kinds {
				key := filepath.Join(t.TempDir(), "id_"+kind)
				keygen(t, "-t", kind, "-N", "", "-f", key)
				target = pythonServer(t, module, script, host, key+".pub", "secret")
				target.Auth = &Auth{Keys: []string{key}}
				answersCommand(t, target)
			}
			target.Auth = &Auth{Password: func(context.Context) (string, error) { return "secret", nil }}
			answersCommand(t, target)
			target.Auth = &Auth{Password: func(context.Context) (string, error) { return "wrong", nil }}
			_, err := Dial(testContext(t), target)
			wantError(t, err, KindAuth, StageAuth)
			if module != "asyncssh" {
				return
			}
			answers, err := ReadAnswers(strings.NewReader("password = secret\n/^Code: ?$/ = 123456\n"))
			if err != nil {
				t.Fatal(err)
			}
			target.Auth = &Auth{Answers: answers}
			c := answersCommand(t, target)
			if got := c.Facts().Methods; len(got) != 1 || got[0] != "keyboard-interactive" {
				t.Errorf("logged in by %v", got)
			}
		})
	}
}

// TestPAM answers what PAM asks for behind a real sshd, from a file and as a
// person would, and after a key where both are wanted.
func TestPAM(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("PAM asks for passwords of others only where sshd is root")
	}
	const password = "correct horse"
	answers, err := ReadAnswers(strings.NewReader("Password: = " + password + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for methods, want := range map[string][]string{
		"keyboard-interactive":           {"keyboard-interactive"},
		"publickey,keyboard-interactive": {"publickey", "keyboard-interactive"},
	} {
		s := sshtest.OpenSSH(t, sshtest.Password(password), sshtest.Config("UsePAM yes"),
			sshtest.Config("KbdInteractiveAuthentication yes"), sshtest.Config("AuthenticationMethods "+methods))
		target := realTarget(t, s)
		target.Auth = &Auth{Keys: []string{s.KeyFile}, Answers: answers}
		c := answersCommand(t, target)
		if got := c.Facts().Methods; !slices.Equal(got, want) {
			t.Errorf("%s: logged in by %v", methods, got)
		}
		var asked []string
		person := func(_ context.Context, _, _, _ string, questions []Question) ([]string, error) {
			for _, q := range questions {
				asked = append(asked, q.Text)
			}
			return []string{password}, nil
		}
		target.Auth = &Auth{Keys: []string{s.KeyFile}, Interactive: person}
		answersCommand(t, target)
		if len(asked) != 1 || !strings.Contains(asked[0], "Password") {
			t.Errorf("%s: asked %q", methods, asked)
		}
		target.Auth = &Auth{Keys: []string{s.KeyFile}, Password: func(context.Context) (string, error) { return "wrong", nil }}
		_, err := Dial(testContext(t), target)
		wantError(t, err, KindAuth, StageAuth)
	}
}

// TestTinySSH runs one command a connection: tinysshd ends it with the first.
func TestTinySSH(t *testing.T) {
	t.Parallel()
	s := sshtest.TinySSH(t)
	target := realTarget(t, s)
	answersCommand(t, target)
	var out bytes.Buffer
	in := strings.Repeat("x", 1<<20)
	if _, err := mustDial(t, target).Run(testContext(t), Command{Text: "cat", Stdin: strings.NewReader(in), Stdout: &out}); err != nil || out.String() != in {
		t.Errorf("%d bytes of %d, %v", out.Len(), len(in), err)
	}
	target.Auth = &Auth{Signers: []ssh.Signer{mustSigner(t, newKey(t))}}
	_, err := Dial(testContext(t), target)
	wantError(t, err, KindAuth, StageAuth)
}

func mustSigner(t testing.TB, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKeyFilesOpenSSH logs in to sshd with key files of each type and format.
func TestKeyFilesOpenSSH(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t)
	dir := t.TempDir()
	const passphrase = "correct horse"
	for name, args := range map[string][]string{
		"rsa":          {"-t", "rsa", "-b", "3072"},
		"ecdsa256":     {"-t", "ecdsa", "-b", "256"},
		"ecdsa384":     {"-t", "ecdsa", "-b", "384"},
		"ecdsa521":     {"-t", "ecdsa", "-b", "521"},
		"ed25519":      {"-t", "ed25519"},
		"rsa-pem":      {"-t", "rsa", "-b", "2048", "-m", "PEM"},
		"rsa-pkcs8":    {"-t", "rsa", "-b", "2048", "-m", "PKCS8"},
		"locked":       {"-t", "ed25519", "-a", "1", "-N", passphrase},
		"locked-ecdsa": {"-t", "ecdsa", "-a", "1", "-N", passphrase},
		"locked-pem":   {"-t", "rsa", "-b", "2048", "-m", "PEM", "-N", passphrase},
	} {
		t.Run(name, func(t *testing.T) {
			key := filepath.Join(dir, name)
			if !strings.HasPrefix(name, "locked") {
				args = append(args, "-N", "")
			}
			keygen(t, append(args, "-f", key)...)
			allow(t, s, key+".pub")
			asked := 0
			target := realTarget(t, s)
			target.Auth = &Auth{Keys: []string{key}, Passphrase: onePassphrase(&asked, passphrase)}
			answersCommand(t, target)
			if want := strings.HasPrefix(name, "locked"); (asked == 1) != want {
				t.Errorf("asked %d times", asked)
			}
			if name == "locked-pem" { // nothing beside it tells its public key
				if err := os.Remove(key + ".pub"); err != nil {
					t.Fatal(err)
				}
				target.Auth = &Auth{Keys: []string{key}, Passphrase: onePassphrase(&asked, passphrase)}
				answersCommand(t, target)
			}
		})
	}
}

// allow adds a line to a server's authorized_keys.
func allow(t testing.TB, s *sshtest.Server, lines string) {
	t.Helper()
	if strings.HasSuffix(lines, ".pub") {
		text, err := os.ReadFile(lines)
		if err != nil {
			t.Fatal(err)
		}
		lines = string(text)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, "authorized_keys"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(lines); err != nil {
		t.Fatal(err)
	}
}

// noted is a connection that counts the deadlines it is given.
type noted struct {
	net.Conn
	deadlines atomic.Int32
}

func (c *noted) SetDeadline(at time.Time) error {
	if !at.IsZero() {
		c.deadlines.Add(1)
	}
	return c.Conn.SetDeadline(at)
}

// TestRekeyOpenSSH exchanges keys many times within one command; the limits of
// the login do not come back with that.
func TestRekeyOpenSSH(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t, sshtest.Config("RekeyLimit 1M"))
	target := realTarget(t, s)
	var nc *noted
	target.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		nc = &noted{Conn: c}
		return nc, err
	}
	c := mustDial(t, target)
	before := nc.deadlines.Load()
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	var out bytes.Buffer
	if _, err := c.Run(testContext(t), Command{Text: "cat", Stdin: bytes.NewReader(in), Stdout: &out}); err != nil || !bytes.Equal(out.Bytes(), in) {
		t.Errorf("%d bytes of %d, %v", out.Len(), len(in), err)
	}
	if n := nc.deadlines.Load(); n != before {
		t.Errorf("%d deadlines set after the login", n-before)
	}
}
