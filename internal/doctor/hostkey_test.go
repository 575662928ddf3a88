package doctor

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAcceptedKey tells by which line a key is known that was accepted.
func TestAcceptedKey(t *testing.T) {
	host, other, authority := newSigner(t), newSigner(t), newSigner(t)
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	line := func(names string, key ssh.PublicKey) string {
		return names + " " + string(ssh.MarshalAuthorizedKey(key))
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	text := line("web01", host.PublicKey()) + line("[web02]:2222", host.PublicKey()) + line("web03", other.PublicKey()) +
		line("@cert-authority web04", authority.PublicKey()) + line("[web06]:2222", other.PublicKey()) + line("web06", host.PublicKey())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := hostkeys.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	target := sshpool.Target{HostKeys: &hostkeys.Policy{Index: index, Mode: hostkeys.InsecureOff}}
	for _, c := range []struct {
		addr  string
		key   ssh.PublicKey
		state string
		place string
	}{
		{"web01:22", host.PublicKey(), "known", ":1"},
		{"web01:2222", host.PublicKey(), "known", ":1"}, // good for every port
		{"web02:2222", host.PublicKey(), "known", ":2"},
		{"web03:22", host.PublicKey(), "changed", ":3"},
		{"web04:22", cert, "certificate", ":4"},
		{"web05:22", host.PublicKey(), "unknown", ""},
		{"web06:22", host.PublicKey(), "known", ":6"},
		{"web06:2222", host.PublicKey(), "changed", ":5"}, // this port has a key of its own
	} {
		k := acceptedKey(target, c.addr, c.key, true)
		if k.State != c.state || !strings.HasSuffix(strings.Join(k.Places, " "), c.place) || k.Fingerprint != ssh.FingerprintSHA256(host.PublicKey()) {
			t.Errorf("%s: %+v, want %s by line %s", c.addr, k, c.state, c.place)
		}
	}
	if k := acceptedKey(target, "web01:22", host.PublicKey(), false); k.State != "accepted" {
		t.Errorf("new: %+v", k)
	}
	if k := acceptedKey(sshpool.Target{HostKeys: &hostkeys.Policy{}}, "web01:22", host.PublicKey(), true); k.State != "unknown" {
		t.Errorf("without an index: %+v", k)
	}
}
