package hostkeys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) {
	if file := os.Getenv("HOSTKEYS_TEST_APPEND"); file != "" {
		os.Exit(appendChild(file))
	}
	goleak.VerifyTestMain(m)
}

// fakeKey is an ed25519 key of which nobody has the private part.
func fakeKey(n int) ssh.PublicKey {
	var raw [32]byte
	binary.BigEndian.PutUint64(raw[:], uint64(n))
	return sshKey(ed25519.PublicKey(raw[:]))
}

func sshKey(public any) ssh.PublicKey {
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	return key
}

// authority is a key that can sign, made from a number.
func authority(n byte) ssh.Signer {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		panic(err)
	}
	return signer
}

func rsaKey(t testing.TB) ssh.PublicKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return sshKey(&key.PublicKey)
}

func ecdsaKey(t testing.TB) ssh.PublicKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sshKey(&key.PublicKey)
}

// knownHosts writes a file of the given lines.
func knownHosts(t testing.TB, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "known_hosts")
	text := ""
	if len(lines) > 0 {
		text = strings.Join(lines, "\n") + "\n"
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func load(t testing.TB, files ...string) *Index {
	t.Helper()
	x, err := Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func readText(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func encode(blob []byte) string { return base64.StdEncoding.EncodeToString(blob) }

// dsaBlob has the shape of a DSA key.
func dsaBlob() []byte {
	return ssh.Marshal(struct {
		Name       string
		P, Q, G, Y *big.Int
	}{keyDSA, big.NewInt(7), big.NewInt(3), big.NewInt(2), big.NewInt(4)})
}
