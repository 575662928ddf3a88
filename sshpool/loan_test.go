package sshpool

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"fleet/internal/sshtest"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lets has a server let a key in, besides its own.
func lets(t *testing.T, s *sshtest.Server, key ssh.PublicKey) {
	t.Helper()
	f, err := os.OpenFile(s.Dir+"/authorized_keys", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(ssh.MarshalAuthorizedKey(key)); err != nil {
		t.Fatal(err)
	}
}

// sshTo is a command that logs in at s as ssh does on a host; options come first.
func sshTo(s *sshtest.Server, command string, options ...string) string {
	return fmt.Sprintf("ssh %s -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s -o IdentityFile=none -l %s -p %d %s %s",
		strings.Join(options, " "), s.KnownHosts, s.User, s.Port, s.Addresses[0], shellQuote(command))
}

// TestLoan has a hostile host use what it was lent in every way that it has: it
// gets to the one host, once, and nowhere else, though the key is let in there.
func TestLoan(t *testing.T) {
	t.Parallel()
	seed := mustDial(t, realTarget(t, sshtest.OpenSSH(t)))
	goal, other := sshtest.OpenSSH(t), sshtest.OpenSSH(t)
	key := newSigner(t)
	lets(t, goal, key.PublicKey())
	lets(t, other, key.PublicKey())
	loan := &KeyLoan{}
	// try lends the key as change has it, and runs a command on the host.
	try := func(command string, change func(*LentKey)) (said, refused string) {
		k := &LentKey{Signer: key, User: goal.User, HostKey: goal.HostKey, Until: time.Now().Add(time.Minute), Bound: true}
		if change != nil {
			change(k)
		}
		takeBack := loan.Lend(k)
		defer takeBack()
		var out bytes.Buffer
		if _, err := seed.Run(testContext(t), Command{Text: command + " 2>&1", Lend: loan, Stdout: &out}); err != nil {
			t.Fatal(err)
		}
		return out.String(), loan.Refused(k)
	}
	if said, refused := try(sshTo(goal, "echo here"), nil); said != "here\n" || refused != "" {
		t.Errorf("the login that it is for: %q, %s", said, refused)
	}
	for _, c := range []struct {
		name, command string
		change        func(*LentKey)
		refused       string
	}{
		{"another host", sshTo(other, "echo here"), nil, ""},
		{"another host, and no need to prove which", sshTo(other, "echo here"), func(k *LentKey) { k.Bound = false }, ""},
		{"another user", sshTo(goal, "echo here"), func(k *LentKey) { k.User = "somebody" }, errOtherLogin.Error()},
		{"too late", sshTo(goal, "echo here"), func(k *LentKey) { k.Until = time.Now().Add(-time.Second) }, "asked to log in too late"},
		{"a second time", sshTo(goal, "true") + " && " + sshTo(goal, "echo here"), nil, "asked to log in more than once"},
		{"from a third host", sshTo(goal, sshTo(other, "echo here"), "-A"), nil, "its agent was asked to go on to a third host"},
	} {
		said, refused := try(c.command, c.change)
		if !strings.Contains(said, "Permission denied (publickey)") || strings.Contains(said, "here") || refused != c.refused {
			t.Errorf("%s: says %q, refused %q, want %q", c.name, said, refused, c.refused)
		}
	}
	// The key is shown to nobody who does not say which host it is for.
	if said, refused := try("ssh-add -l", nil); !strings.Contains(said, "no identities") || refused == "" {
		t.Errorf("ssh-add: %q, %q", said, refused)
	}
	if said, _ := try("ssh-add -D; ssh-add -x </dev/null; ssh-add -l", func(k *LentKey) { k.Bound = false }); !strings.Contains(said, "fleet (ED25519)") {
		t.Errorf("ssh-add: %q", said)
	}
}

// talkTo is a program that talks to the loan.
func talkTo(t *testing.T, loan *KeyLoan) agent.ExtendedAgent {
	t.Helper()
	here, there := net.Pipe()
	over := make(chan struct{})
	go func() {
		defer close(over)
		loan.serve(there)
	}()
	t.Cleanup(func() {
		here.Close()
		<-over
	})
	return agent.NewClient(here)
}

// loginData is what is signed at a login.
func loginData(session, user string, key ssh.PublicKey, hostKey ssh.PublicKey) []byte {
	b := appendString(nil, session)
	b = append(b, 50)
	method := "publickey"
	if hostKey != nil {
		method = "publickey-hostbound-v00@openssh.com"
	}
	b = appendString(appendString(appendString(b, user), "ssh-connection"), method)
	b = append(b, 1)
	b = appendString(appendString(b, key.Type()), string(key.Marshal()))
	if hostKey != nil {
		b = appendString(b, string(hostKey.Marshal()))
	}
	return b
}

func binding(host ssh.Signer, session string, forwarding bool) []byte {
	sig, err := host.Sign(rand.Reader, []byte(session))
	if err != nil {
		panic(err)
	}
	b := appendString(appendString(appendString(nil, string(host.PublicKey().Marshal())), session), string(ssh.Marshal(sig)))
	if forwarding {
		return append(b, 1)
	}
	return append(b, 0)
}

// TestLoanProofs forges what ssh does not.
func TestLoanProofs(t *testing.T) {
	key, host, evil := newSigner(t), newSigner(t), newSigner(t)
	forged := binding(evil, "s1", false)
	forged = append(appendString(nil, string(host.PublicKey().Marshal())), forged[4+binary.BigEndian.Uint32(forged):]...)
	const bind = "session-bind@openssh.com"
	for _, c := range []struct {
		name  string
		binds [][]byte
		data  []byte
		bound bool
		want  bool
	}{
		{"a login", [][]byte{binding(host, "s1", false)}, loginData("s1", "me", key.PublicKey(), nil), true, true},
		{"a login bound to the host", [][]byte{binding(host, "s1", false)}, loginData("s1", "me", key.PublicKey(), host.PublicKey()), true, true},
		{"no proof", nil, loginData("s1", "me", key.PublicKey(), nil), true, false},
		{"no proof, and none needed", nil, loginData("s1", "me", key.PublicKey(), nil), false, true},
		{"a forged proof", [][]byte{forged}, loginData("s1", "me", key.PublicKey(), nil), true, false},
		{"the proof of another host", [][]byte{binding(evil, "s1", false)}, loginData("s1", "me", key.PublicKey(), nil), false, false},
		{"another session", [][]byte{binding(host, "s1", false)}, loginData("s2", "me", key.PublicKey(), nil), true, false},
		{"passed on", [][]byte{binding(host, "s1", true)}, loginData("s1", "me", key.PublicKey(), nil), true, false},
		{"two proofs", [][]byte{binding(host, "s1", false), binding(evil, "s2", false)}, loginData("s1", "me", key.PublicKey(), nil), true, false},
		{"another user", [][]byte{binding(host, "s1", false)}, loginData("s1", "root", key.PublicKey(), nil), true, false},
		{"bound to another host", [][]byte{binding(host, "s1", false)}, loginData("s1", "me", key.PublicKey(), evil.PublicKey()), true, false},
		{"no login at all", [][]byte{binding(host, "s1", false)}, []byte("a certificate request"), true, false},
		{"a login and more", [][]byte{binding(host, "s1", false)}, append(loginData("s1", "me", key.PublicKey(), nil), 0), true, false},
	} {
		loan := &KeyLoan{}
		k := &LentKey{Signer: key, User: "me", HostKey: host.PublicKey(), Until: time.Now().Add(time.Minute), Bound: c.bound}
		loan.Lend(k)
		a := talkTo(t, loan)
		for _, b := range c.binds {
			a.Extension(bind, b) //nolint:errcheck // what counts is what is signed after
		}
		sig, err := a.Sign(key.PublicKey(), c.data)
		if (err == nil) != c.want || loan.Used(k) != c.want {
			t.Errorf("%s: %v, used %v, want %v", c.name, err, loan.Used(k), c.want)
		}
		if err == nil && key.PublicKey().Verify(c.data, sig) != nil {
			t.Errorf("%s: a wrong signature", c.name)
		}
	}
}

// TestLoginKey gives what signs for one more login, of the key that logged in: from
// a file or an agent; none where that was no key.
func TestLoginKey(t *testing.T) {
	s := sshtest.OpenSSH(t, sshtest.Password("geheim"))
	target := realTarget(t, s)
	raw, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]*Auth{
		"file":     {Keys: []string{s.KeyFile}},
		"agent":    {AgentSocket: keyAgent(t, nil, *key.(*ed25519.PrivateKey))},
		"password": {Password: func(context.Context) (string, error) { return "geheim", nil }},
	} {
		target.Auth = auth
		t.Cleanup(func() { auth.Close() })
		c := mustDial(t, target)
		got := c.LoginKey()
		if name == "password" {
			if got != nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if got == nil || !bytes.Equal(got.PublicKey().Marshal(), s.Signer.PublicKey().Marshal()) {
			t.Fatalf("%s: %v", name, got)
		}
		sig, err := got.Sign(rand.Reader, []byte("data"))
		if err != nil || got.PublicKey().Verify([]byte("data"), sig) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
