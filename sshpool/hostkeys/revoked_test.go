package hostkeys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func newAuthority(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// issued is a host certificate for a key.
func issued(t *testing.T, by ssh.Signer, key ssh.PublicKey, serial uint64, id string) *ssh.Certificate {
	t.Helper()
	cert := &ssh.Certificate{Key: key, Serial: serial, KeyId: id, CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, by); err != nil {
		t.Fatal(err)
	}
	return cert
}

// keygen runs ssh-keygen and gives what it writes; it may end with status 1.
func keygen(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ssh-keygen", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && args[0] == "-Q") {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// randomSpec is what ssh-keygen makes a list of: the first three keys, and serial
// numbers alone, in runs, and few or many of them.
func randomSpec(seed uint64) string {
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	spec := fmt.Sprintf("key: %s\nsha1: %s\nsha256: %s\nid: id%d\nid: id%d\nserial: %d\n", authorizedKey(fakeKey(1)), authorizedKey(fakeKey(2)),
		authorizedKey(fakeKey(3)), r.IntN(70), r.IntN(70), uint64(1<<40+r.IntN(10)))
	for n := 1; n < 70; n += 1 + r.IntN(1+int(seed)*3) {
		if r.IntN(4) == 0 {
			spec += fmt.Sprintf("serial: %d-%d\n", n, n+1+r.IntN(6))
		} else {
			spec += fmt.Sprintf("serial: %d\n", n)
		}
	}
	return spec
}

// TestRevokedOracle asks ssh-keygen -Q which keys and certificates are revoked by
// lists that it made.
func TestRevokedOracle(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, other := newAuthority(t), newAuthority(t)
	var shown []ssh.PublicKey
	var files []string
	add := func(key ssh.PublicKey) {
		shown = append(shown, key)
		files = append(files, file(fmt.Sprintf("k%d.pub", len(shown)), authorizedKey(key)+"\n"))
	}
	for n := 1; n <= 5; n++ {
		add(fakeKey(n))
	}
	add(one.PublicKey())
	for n := range uint64(70) {
		add(issued(t, one, fakeKey(9), n, fmt.Sprint("id", n)))
	}
	for n := range uint64(10) {
		add(issued(t, other, fakeKey(9), n*5, fmt.Sprint("id", n*5)))
		add(issued(t, one, fakeKey(int(n)), 1<<40+n, "far"))
	}
	ca := file("ca.pub", authorizedKey(one.PublicKey())+"\n")
	revoked := 0
	for seed := range uint64(8) {
		spec := randomSpec(seed)
		if seed == 7 {
			spec = "key: " + authorizedKey(other.PublicKey()) + "\nkey: " + authorizedKey(fakeKey(9)) + "\n"
		}
		list := filepath.Join(dir, "krl")
		args := []string{"-k", "-q", "-f", list, "-z", "3", file("spec", spec)}
		if seed != 7 {
			args = append([]string{"-s", ca}, args...)
		}
		keygen(t, args...)
		rev, err := LoadRevoked(list)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		answers := strings.Split(strings.TrimSpace(keygen(t, append([]string{"-Q", "-f", list}, files...)...)), "\n")
		if len(answers) != len(shown) {
			t.Fatalf("%d answers to %d files: %q", len(answers), len(files), answers)
		}
		for i, answer := range answers {
			want := strings.HasSuffix(answer, "REVOKED")
			if want {
				revoked++
			}
			if got := rev.has(shown[i]); got != want {
				t.Errorf("seed %d: %v, ssh-keygen says %s\n%s", seed, got, answer, spec)
			}
		}
	}
	if revoked < 100 {
		t.Errorf("only %d answers of revoked: the lists ask too little", revoked)
	}
}

// TestRevoked refuses what a list has, in every mode, also where it is known and
// where it is pinned, and what a list's authority signed.
func TestRevoked(t *testing.T) {
	authority := newAuthority(t)
	list := filepath.Join(t.TempDir(), "revoked")
	text := "# stolen\n\n" + authorizedKey(fakeKey(1)) + " web1\n" + authorizedKey(authority.PublicKey()) + "\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	revoked, err := LoadRevoked(list)
	if err != nil {
		t.Fatal(err)
	}
	index := load(t, knownHosts(t, "web1 "+authorizedKey(fakeKey(1)), "web2 "+authorizedKey(fakeKey(2))))
	cert := issued(t, authority, fakeKey(2), 1, "x")
	for _, mode := range []Mode{Strict, AcceptNew, InsecureOff} {
		p := &Policy{Mode: mode, Index: index, Revoked: revoked}
		for _, c := range []struct {
			addr string
			key  ssh.PublicKey
			want Reason
		}{
			{"web1:22", fakeKey(1), ReasonRevoked},
			{"web9:22", fakeKey(1), ReasonRevoked},
			{"web2:22", fakeKey(2), ""},
			{"web2:22", cert, ReasonRevoked},
		} {
			if got := reason(t, p, c.addr, c.key); got != c.want {
				t.Errorf("%v: %s: %q, want %q", mode, c.addr, got, c.want)
			}
		}
		var e *Error
		if !errors.As(p.Check("web1:22", nil, fakeKey(1)), &e) || e.Text() != "host key is revoked" || !strings.HasPrefix(e.Detail(), "revoked in "+list+", got SHA256:") {
			t.Errorf("%v", e)
		}
	}
	if refused, err := (&Policy{File: filepath.Join(t.TempDir(), "known_hosts"), Revoked: revoked}).Add([]HostKey{{Addr: "web3:22", Key: fakeKey(1)}}); err != nil || refused[0] == nil || refused[0].Reason != ReasonRevoked {
		t.Errorf("approved: %v, %v", refused, err)
	}
	pins, err := ParsePins([]string{authorizedKey(fakeKey(1))})
	if err != nil {
		t.Fatal(err)
	}
	pins.Revoked = revoked
	var e *Error
	if !errors.As(pins.Check("web1:22", nil, fakeKey(1)), &e) || e.Reason != ReasonRevoked {
		t.Errorf("pinned: %v", e)
	}
}

// TestRevokedDamaged reads nothing out of lists that are not whole: an error, as
// with ssh, which then accepts no host.
func TestRevokedDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadRevoked(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{
		authorizedKey(fakeKey(1)) + "\nnot a key\n": "line 2 is no public key",
		krlMagic:                      errKRL.Error(),
		krlMagic + "\x00\x00\x00\x02": "unknown version 2",
		krlMagic + "\x00\x00\x00\x01" + strings.Repeat("\x00", 32) + "\x63\x00\x00\x00\x00":                                      "unknown section 99",
		krlMagic + "\x00\x00\x00\x01" + strings.Repeat("\x00", 32) + "\xff\x00\x00\x00\x0a\x00\x00\x00\x01x\x01\x00\x00\x00\x00": `unknown critical extension "x"`,
	} {
		write([]byte(text))
		if _, err := LoadRevoked(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	spec := filepath.Join(dir, "spec")
	if err := os.WriteFile(spec, []byte("serial: 1-3\nserial: 9\nid: a\nkey: "+authorizedKey(fakeKey(1))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "ca.pub")
	if err := os.WriteFile(ca, []byte(authorizedKey(newAuthority(t).PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keygen(t, "-s", ca, "-k", "-q", "-f", path, spec)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for cut := len(krlMagic); cut < len(whole); cut++ {
		write(whole[:cut])
		if _, err := LoadRevoked(path); err != nil {
			bad++
		}
	}
	if most := len(whole) - len(krlMagic); bad < most-3 { // between sections a shorter list is one too
		t.Errorf("%d of %d cut lists were refused", bad, most)
	}
	write(append(bytes.Clone(whole), 0))
	if _, err := LoadRevoked(path); err == nil {
		t.Error("a list with more behind it was taken")
	}
}
