package hostkeys

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func pinKey(t *testing.T, seed byte) ssh.PublicKey {
	t.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPins(t *testing.T) {
	right, wrong := pinKey(t, 'a'), pinKey(t, 'b')
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(right)))
	for _, form := range []string{line, ssh.FingerprintSHA256(right)} {
		p, err := ParsePins([]string{form})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check("web01:22", nil, right); err != nil {
			t.Errorf("pin %s refuses its own key: %v", form, err)
		}
		err = p.Check("web01:22", nil, wrong)
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Reason != ReasonChanged {
			t.Fatalf("pin %s says %v to another key, want changed", form, err)
		}
		for _, want := range []string{ssh.FingerprintSHA256(right), ssh.FingerprintSHA256(wrong)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("refusal %q does not name %s", err, want)
			}
		}
	}
	p, err := ParsePins([]string{line})
	if err != nil {
		t.Fatal(err)
	}
	if algos := p.Algorithms("web01:22"); len(algos) != len(preference) || algos[0] != ssh.KeyAlgoED25519 {
		t.Errorf("algorithms %v, want %s first of all", algos, ssh.KeyAlgoED25519)
	}
	for _, bad := range []string{"", "ssh-ed25519", "SHA256:short", "MD5:00:11", "-oProxyCommand=x"} {
		if _, err := ParsePins([]string{bad}); err == nil {
			t.Errorf("ParsePins takes %q", bad)
		}
	}
}
