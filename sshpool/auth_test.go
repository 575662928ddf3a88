package sshpool

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/sshpool/hostkeys"
)

// encrypt writes the lab's key again, under a passphrase.
func encrypt(t *testing.T, w *world, passphrase string) string {
	t.Helper()
	text, err := os.ReadFile(w.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id_locked")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	const rounds = "1" // of the key derivation: as fast as can be
	if out, err := exec.Command("ssh-keygen", "-p", "-a", rounds, "-P", "", "-N", passphrase, "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	return path
}

// TestPassphraseIsAskedOnce logs in to many hosts with one encrypted key.
func TestPassphraseIsAskedOnce(t *testing.T) {
	w := newWorld(t, lab.Config{N: 10, Prefix: "h"})
	path := encrypt(t, w, "open sesame")
	var asked atomic.Int32
	w.auth = &Auth{Keys: []string{path}, Passphrase: func(_ context.Context, file string) ([]byte, error) {
		if file != path {
			t.Errorf("asked for %s", file)
		}
		if asked.Add(1) == 1 {
			return []byte("sesame, open"), nil
		}
		return []byte("open sesame"), nil
	}}
	var wg sync.WaitGroup
	for _, h := range w.Hosts() {
		wg.Go(func() {
			c, err := Dial(testContext(t), w.target(t, h.Name))
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want once and once more after a wrong answer", n)
	}
}

func TestWrongPassphraseIsFinal(t *testing.T) {
	w := newWorld(t, lab.Config{N: 3, Prefix: "h"})
	asked := 0
	w.auth = &Auth{Keys: []string{encrypt(t, w, "right")}, Passphrase: func(context.Context, string) ([]byte, error) {
		asked++
		return []byte("wrong"), nil
	}}
	for _, h := range w.Hosts() {
		_, err := Dial(testContext(t), w.target(t, h.Name))
		e := wantError(t, err, KindAuth, StageAuth)
		if !strings.Contains(e.Text, "wrong passphrase for key") {
			t.Errorf("text %q", e.Text)
		}
	}
	if asked != maxPassphraseTries {
		t.Errorf("asked %d times", asked)
	}
	if err := w.auth.Prepare(testContext(t)); err == nil {
		t.Error("prepared with a wrong passphrase")
	}
}

func TestPassphraseTimeDoesNotCount(t *testing.T) {
	w, target := one(t, "")
	target.Auth = &Auth{Keys: []string{encrypt(t, w, "right")}, Passphrase: func(context.Context, string) ([]byte, error) {
		<-time.After(400 * time.Millisecond) // a person types
		return []byte("right"), nil
	}}
	target.Limits.Auth = 300 * time.Millisecond
	mustDial(t, target)
}

// TestBadKeyFiles names the file and what is wrong with it.
func TestBadKeyFiles(t *testing.T) {
	w, target := one(t, "")
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := os.ReadFile(w.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):               "no such file or directory",
		write("junk", "junk", 0o600):             "no key found",
		write("open", string(key), 0o644):        "can be read by others (mode 0644)",
		encrypt(t, w, "secret that nobody asks"): "is encrypted and there is no way to ask",
	} {
		target.Auth = &Auth{Keys: []string{path}}
		_, err := Dial(testContext(t), target)
		e := wantError(t, err, KindAuth, StageAuth)
		if !strings.Contains(e.Text, want) || !strings.Contains(e.Text, path) {
			t.Errorf("text %q, want %q about %s", e.Text, want, path)
		}
		target.Auth = &Auth{DefaultKeys: []string{path, w.KeyFile}}
		mustDial(t, target)
	}
}

// TestKeysOfOthers leaves it to their owners who may read them, as ssh does.
func TestKeysOfOthers(t *testing.T) {
	for mode, open := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		path := filepath.Join(t.TempDir(), "key")
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil { // whatever the umask
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		me := os.Getuid()
		if got := exposed(info, me); got != open || KeyExposed(info) != open {
			t.Errorf("%v of one's own: %v, want %v", mode, got, open)
		}
		if exposed(info, me+1) {
			t.Errorf("%v of another user is refused", mode)
		}
	}
}

// keyAgent serves the keys on a socket; hold, where not nil, delays all signing.
func keyAgent(t *testing.T, hold <-chan struct{}, keys ...any) string {
	t.Helper()
	ring := agent.NewKeyring()
	for i, k := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: k, Comment: "key " + string(rune('a'+i))}); err != nil {
			t.Fatal(err)
		}
	}
	return serveAgent(t, &slowAgent{Agent: ring, hold: hold})
}

type slowAgent struct {
	agent.Agent
	hold <-chan struct{}
}

func (a *slowAgent) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if a.hold != nil {
		<-a.hold
	}
	return a.Agent.Sign(key, data)
}

func privateKey(t *testing.T, w *world) any {
	t.Helper()
	text, err := os.ReadFile(w.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAgent(t *testing.T) {
	w, target := one(t, "")
	right := privateKey(t, w)
	keys := []any{newKey(t), newKey(t), newKey(t), right}

	target.Auth = &Auth{AgentSocket: keyAgent(t, nil, keys...)}
	defer target.Auth.Close()
	mustDial(t, target)

	// The agent's key named by its public half goes first, before a host that
	// counts attempts has had enough.
	for range 20 {
		keys = append([]any{newKey(t)}, keys...)
	}
	pub := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(pub, ssh.MarshalAuthorizedKey(w.Signer().PublicKey()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, only := range []bool{false, true} {
		named := target
		named.Auth = &Auth{AgentSocket: keyAgent(t, nil, keys...), Keys: []string{pub}, IdentitiesOnly: only}
		defer named.Auth.Close()
		mustDial(t, named)
	}
	wrong := target
	wrong.Auth = &Auth{AgentSocket: keyAgent(t, nil, newKey(t), newKey(t))}
	defer wrong.Auth.Close()
	_, err := Dial(testContext(t), wrong)
	e := wantError(t, err, KindAuth, StageAuth)
	if strings.Count(e.Text, "SHA256:") != 2 || !strings.Contains(e.Text, "(agent: key b)") {
		t.Errorf("text %q does not list both keys", e.Text)
	}
}

// TestAgentHangs fails only the host that needs the agent, within its limit.
func TestAgentHangs(t *testing.T) {
	hold := make(chan struct{})
	w, target := one(t, "")
	needs := target
	needs.Auth = &Auth{AgentSocket: keyAgent(t, hold, privateKey(t, w))}
	defer needs.Auth.Close()
	defer close(hold)
	needs.Limits.Auth = 200 * time.Millisecond
	began := time.Now()
	_, err := Dial(testContext(t), needs)
	e := wantError(t, err, KindTimeout, StageAuth)
	if took := time.Since(began); took > 10*time.Second || e.Text != "timeout in auth after 200ms: the agent did not sign" {
		t.Errorf("%q after %v", e.Text, took)
	}
	mustDial(t, target)
	gone := target
	gone.Auth = &Auth{AgentSocket: filepath.Join(t.TempDir(), "none"), Signers: nil}
	_, err = Dial(testContext(t), gone)
	if e := wantError(t, err, KindAuth, StageAuth); !strings.Contains(e.Text, "agent: no such file") {
		t.Errorf("text %q", e.Text)
	}
}

func TestPassword(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1", "h2"}, Password: "hunter2", Faults: map[string]lab.Fault{"h1": "password-only"}})
	asked := 0
	w.auth = &Auth{Password: func(context.Context) (string, error) {
		asked++
		return "hunter2", nil
	}}
	mustDial(t, w.target(t, "h1"))
	mustDial(t, w.target(t, "h2"))
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	w.auth = &Auth{Password: func(context.Context) (string, error) { return "wrong", nil }}
	_, err := Dial(testContext(t), w.target(t, "h1"))
	e := wantError(t, err, KindAuth, StageAuth)
	if !strings.Contains(e.Text, "tried password") || strings.Contains(e.Text, "wrong") {
		t.Errorf("text %q", e.Text)
	}
	w.auth = &Auth{Password: func(context.Context) (string, error) { return "", errors.New("no terminal") }}
	_, err = Dial(testContext(t), w.target(t, "h1"))
	if e := wantError(t, err, KindAuth, StageAuth); !strings.Contains(e.Text, "no terminal") {
		t.Errorf("text %q", e.Text)
	}
	w.auth = &Auth{}
	_, err = Dial(testContext(t), w.target(t, "h1"))
	if e := wantError(t, err, KindAuth, StageAuth); !strings.HasPrefix(e.Text, "no way to log in; the host allows ") {
		t.Errorf("text %q", e.Text)
	}
}

// TestEndlessQuestions ends a login that is never enough.
func TestEndlessQuestions(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Password: "p", Faults: map[string]lab.Fault{"h1": "partial-auth-endless"}})
	w.auth.Password = func(context.Context) (string, error) { return "p", nil }
	_, err := Dial(testContext(t), w.target(t, "h1"))
	wantError(t, err, KindAuth, StageAuth)
}

// TestKeyTypes logs in to a real server with each type of key.
func TestKeyTypes(t *testing.T) {
	s := sshtest.OpenSSH(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	target := realTarget(t, s)
	target.Auth = &Auth{Signers: []ssh.Signer{signer}}
	_, err = Dial(testContext(t), target)
	e := wantError(t, err, KindAuth, StageAuth) // a key that the server does not know
	if !strings.Contains(e.Text, "tried ssh-rsa SHA256:") {
		t.Errorf("text %q", e.Text)
	}
	target.Auth = &Auth{Signers: []ssh.Signer{signer, s.Signer}}
	mustDial(t, target)
}

// realTarget is the way into a real server.
func realTarget(t testing.TB, s *sshtest.Server) Target {
	t.Helper()
	index, err := hostkeys.Load(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Address: s.Addresses[0], Port: s.Port, User: s.User,
		Auth: &Auth{Keys: []string{s.KeyFile}}, HostKeys: &hostkeys.Policy{Index: index}}
}

// onePassphrase answers with the passphrase and counts how often.
func onePassphrase(asked *int, passphrase string) func(context.Context, string) ([]byte, error) {
	return func(context.Context, string) ([]byte, error) {
		*asked++
		return []byte(passphrase), nil
	}
}
