package sshpool

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// serveAgent serves an agent on a socket.
func serveAgent(t *testing.T, a agent.Agent) string {
	t.Helper()
	return serveEach(t, "unix", func(c net.Conn) { agent.ServeAgent(a, c) })
}

// rawKey reads a private key file.
func rawKey(t testing.TB, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestCertificates logs in to sshd by certificates: beside the key, by name,
// and held by the agent. Those that are of no use are left out and named.
func TestCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca"), filepath.Join(dir, "id")
	keygen(t, "-t", "ed25519", "-N", "", "-f", ca)
	for _, kind := range []string{"ed25519", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			key := key + kind
			keygen(t, "-t", kind, "-N", "", "-f", key)
			s := sshtest.OpenSSH(t, sshtest.Config("TrustedUserCAKeys "+ca+".pub"))
			target := realTarget(t, s)
			sign := func(validity, to string) {
				keygen(t, "-s", ca, "-I", "me", "-n", s.User, "-V", validity, key+".pub")
				if err := os.Rename(key+"-cert.pub", to); err != nil {
					t.Fatal(err)
				}
			}
			beside, other := key+"-cert.pub", filepath.Join(t.TempDir(), "other")
			login := func(a *Auth, wantKey string) {
				t.Helper()
				target.Auth = a
				defer a.Close()
				c := mustDial(t, target)
				if got := c.Facts().Keys; len(got) != 1 || !strings.Contains(got[0], "-cert-v01@openssh.com SHA256:") || !strings.Contains(got[0], wantKey) {
					t.Errorf("logged in by %v, want %s", got, wantKey)
				}
			}
			sign("-1d:+1d", other)
			login(&Auth{Keys: []string{key}, Certificates: []string{other}}, other)
			sign("-1d:+1d", beside)
			login(&Auth{Keys: []string{key}}, beside)
			login(&Auth{Keys: []string{key}, KeyAlgorithms: []string{"ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"}}, beside)

			raw := rawKey(t, key)
			ring := agent.NewKeyring()
			if err := ring.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
				t.Fatal(err)
			}
			socket := serveAgent(t, ring)
			login(&Auth{AgentSocket: socket, Keys: []string{key + ".pub"}, IdentitiesOnly: true}, beside)
			cert, err := readCertificate(beside)
			if err != nil {
				t.Fatal(err)
			}
			if err := ring.Add(agent.AddedKey{PrivateKey: raw, Certificate: cert.public.(*ssh.Certificate)}); err != nil {
				t.Fatal(err)
			}
			login(&Auth{AgentSocket: socket}, "(agent: ")

			for validity, want := range map[string]string{"-2d:-1d": " expired at 2", "+1d:+2d": " is not valid before 2"} {
				sign(validity, beside)
				target.Auth = &Auth{Keys: []string{key}}
				_, err := Dial(testContext(t), target)
				e := wantError(t, err, KindAuth, StageAuth)
				if !strings.Contains(e.Text, "; certificate ssh-") || !strings.Contains(e.Text, want) || strings.Count(e.Text, "tried") != 1 {
					t.Errorf("text %q, want %q", e.Text, want)
				}
			}
			target.Auth = &Auth{Keys: []string{key}, Certificates: []string{key + ".pub"}}
			_, err = Dial(testContext(t), target)
			if e := wantError(t, err, KindAuth, StageAuth); !strings.Contains(e.Text, "it is a plain key") {
				t.Errorf("text %q", e.Text)
			}
		})
	}
}

// TestAgentOrder has twenty keys in the agent and a server that looks at six.
func TestAgentOrder(t *testing.T) {
	s := sshtest.OpenSSH(t, sshtest.Config("MaxAuthTries 6"))
	right := rawKey(t, s.KeyFile)
	var keys []any
	for range 19 {
		keys = append(keys, newKey(t))
	}
	socket := keyAgent(t, nil, append(keys, right)...)
	pub := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(pub, ssh.MarshalAuthorizedKey(s.Signer.PublicKey()), 0o644); err != nil {
		t.Fatal(err)
	}
	target := realTarget(t, s)
	target.Auth = &Auth{AgentSocket: socket, Keys: []string{pub}}
	defer target.Auth.Close()
	mustDial(t, target)
	unordered := target
	unordered.Auth = &Auth{AgentSocket: socket}
	defer unordered.Auth.Close()
	_, err := Dial(testContext(t), unordered)
	e := wantError(t, err, KindAuth, StageAuth)
	if !strings.Contains(e.Text, "Too many authentication failures") || strings.Count(e.Text, "SHA256:") != 6 {
		t.Errorf("text %q", e.Text)
	}
}

// pickyAgent says no to one key and counts what it signs at once.
type pickyAgent struct {
	agent.Agent
	no       string
	together chan struct{} // two signatures meet here
}

func (a *pickyAgent) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if string(key.Marshal()) == a.no {
		return nil, errors.New("no")
	}
	if a.together != nil {
		select {
		case a.together <- struct{}{}:
		case <-a.together:
		case <-time.After(20 * time.Second):
			return nil, errors.New("alone")
		}
	}
	return a.Agent.Sign(key, data)
}

// TestAgentParallel signs for two hosts at once, and goes on with another key
// where the agent does not want to sign with the first.
func TestAgentParallel(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1", "h2"}})
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: privateKey(t, w)}); err != nil {
		t.Fatal(err)
	}
	w.auth = &Auth{AgentSocket: serveAgent(t, &pickyAgent{Agent: ring, together: make(chan struct{})})}
	defer w.auth.Close()
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

	s := sshtest.OpenSSH(t)
	first := newKey(t)
	if err := ring.Add(agent.AddedKey{PrivateKey: first}); err != nil {
		t.Fatal(err)
	}
	pub := mustSigner(t, first).PublicKey()
	allow(t, s, string(ssh.MarshalAuthorizedKey(pub)))
	file := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(file, ssh.MarshalAuthorizedKey(pub), 0o644); err != nil {
		t.Fatal(err)
	}
	target := realTarget(t, s)
	target.Auth = &Auth{AgentSocket: serveAgent(t, &pickyAgent{Agent: ring, no: string(pub.Marshal())}), Keys: []string{file, s.KeyFile}}
	defer target.Auth.Close()
	c := mustDial(t, target)
	if got := c.Facts().Keys; len(got) != 1 || !strings.Contains(got[0], s.KeyFile) {
		t.Errorf("logged in by %v", got)
	}
}

// token is an agent whose keys live on a FIDO token (PROTOCOL.u2f).
type token struct {
	agent.Agent
	ed      ed25519.PrivateKey
	ec      *ecdsa.PrivateKey
	counter atomic.Uint32
	now     atomic.Int32 // signatures being made
	most    atomic.Int32
}

const application = "ssh:"

func (k *token) List() ([]*agent.Key, error) {
	ed := ssh.Marshal(struct{ Type, Key, App string }{ssh.KeyAlgoSKED25519, string(k.ed.Public().(ed25519.PublicKey)), application})
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	ec := ssh.Marshal(struct{ Type, Curve, Point, App string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(point), application})
	return []*agent.Key{{Format: ssh.KeyAlgoSKED25519, Blob: ed, Comment: "token"}, {Format: ssh.KeyAlgoSKECDSA256, Blob: ec, Comment: "old token"}}, nil
}

func (k *token) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	now := k.now.Add(1)
	defer k.now.Add(-1)
	k.most.Store(max(k.most.Load(), now))
	flags := append([]byte{1}, binary.BigEndian.AppendUint32(nil, k.counter.Add(1))...) // the user was there
	app, message := sha256.Sum256([]byte(application)), sha256.Sum256(data)
	signed := slices.Concat(app[:], flags, message[:])
	if key.Type() == ssh.KeyAlgoSKED25519 {
		return &ssh.Signature{Format: key.Type(), Blob: ed25519.Sign(k.ed, signed), Rest: flags}, nil
	}
	digest := sha256.Sum256(signed)
	r, s, err := ecdsa.Sign(rand.Reader, k.ec, digest[:])
	if err != nil {
		return nil, err
	}
	return &ssh.Signature{Format: key.Type(), Blob: ssh.Marshal(struct{ R, S *big.Int }{r, s}), Rest: flags}, nil
}

// TestToken logs in to sshd with keys on a token, which is touched for one host
// after the other.
func TestToken(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := &token{Agent: agent.NewKeyring(), ed: newKey(t), ec: ec}
	list, err := key.List()
	if err != nil {
		t.Fatal(err)
	}
	const hosts = 5
	for _, k := range list {
		t.Run(k.Format, func(t *testing.T) {
			s := sshtest.OpenSSH(t, sshtest.MaxStartups("100"))
			allow(t, s, k.String()+"\n")
			var told []string
			a := &Auth{AgentSocket: serveAgent(t, key), KeyAlgorithms: []string{k.Format}}
			a.Touch = func(_ context.Context, host, key string, n, total int) {
				if told = append(told, host); n != len(told) || total < n || total > hosts || !strings.HasPrefix(key, k.Format+" SHA256:") {
					t.Errorf("touch %d of %d for %s with %s", n, total, host, key)
				}
			}
			defer a.Close()
			var wg sync.WaitGroup
			for i := range hosts {
				target := realTarget(t, s)
				target.Auth, target.Name = a, "web"+string(rune('1'+i))
				wg.Go(func() {
					c, err := Dial(testContext(t), target)
					if err != nil {
						t.Error(err)
						return
					}
					c.Close()
				})
			}
			wg.Wait()
			slices.Sort(told)
			if got := strings.Join(told, " "); got != "web1 web2 web3 web4 web5" {
				t.Errorf("touched for %s", got)
			}
		})
	}
	if n := key.most.Load(); n != 1 {
		t.Errorf("%d touches wanted at once", n)
	}
}

// TestSteps logs in to sshd by a key and then a password.
func TestSteps(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t, sshtest.Password("secret"), sshtest.Config("AuthenticationMethods publickey,password"))
	target := realTarget(t, s)
	for pw, ok := range map[string]bool{"secret": true, "wrong": false} {
		target.Auth = &Auth{Keys: []string{s.KeyFile}, Password: func(context.Context) (string, error) { return pw, nil }}
		c, err := Dial(testContext(t), target)
		if ok && err != nil {
			t.Error(err)
		}
		if err == nil {
			c.Close()
			continue
		}
		e := wantError(t, err, KindAuth, StageAuth)
		if !strings.Contains(e.Text, "tried ssh-ed25519 SHA256:") || !strings.HasSuffix(e.Text, "; tried password; the host allows password") {
			t.Errorf("text %q", e.Text)
		}
	}
	target.Auth = &Auth{Keys: []string{s.KeyFile}}
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindAuth, StageAuth); !strings.HasSuffix(e.Text, "; the host allows password") {
		t.Errorf("text %q", e.Text)
	}
}

// TestPrepareAsks asks for what nobody else has, and fails only where no other way
// is left.
func TestPrepareAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Config{Names: []string{"h1"}})
	locked := encrypt(t, w, "right")
	socket := keyAgent(t, nil, privateKey(t, w))
	empty := keyAgent(t, nil)
	asked := 0
	wrong := onePassphrase(&asked, "wrong")
	for name, c := range map[string]struct {
		auth  *Auth
		asked int
		ok    bool
	}{
		"held by the agent": {&Auth{Keys: []string{locked}, AgentSocket: socket, Passphrase: wrong, IdentitiesOnly: true}, 0, true},
		"not held":          {&Auth{Keys: []string{locked}, AgentSocket: empty, Passphrase: wrong, IdentitiesOnly: true}, 3, false},
		"another key":       {&Auth{Keys: []string{locked, w.KeyFile}, Passphrase: wrong, IdentitiesOnly: true}, 3, true},
	} {
		asked = 0
		err := c.auth.Prepare(testContext(t))
		if (err == nil) != c.ok || asked != c.asked {
			t.Errorf("%s: %v, asked %d times", name, err, asked)
		}
		if c.ok {
			w.auth = c.auth
			mustDial(t, w.target(t, "h1")).Close()
		}
		c.auth.Close()
	}
}

// TestMuteAgent has an agent that never lists its keys: one login waits for it,
// and those that have another key log in.
func TestMuteAgent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent")
	ln, err := net.Listen("unix", path) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w := newWorld(t, lab.Config{N: 20, Prefix: "h"})
	w.auth = &Auth{AgentSocket: path, Keys: []string{w.KeyFile}}
	defer w.auth.Close()
	w.limits.Total = 30 * time.Second
	began := time.Now()
	for _, h := range w.Hosts() {
		mustDial(t, w.target(t, h.Name)).Close()
	}
	if took := time.Since(began); took > 4*maxAgentWait {
		t.Errorf("took %v", took)
	}
	_, err = w.auth.agentKeys(testContext(t))
	if err == nil || err.Error() != "agent: no answer" {
		t.Errorf("error %v", err)
	}
}
