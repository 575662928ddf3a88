package trust

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func writeKey(t *testing.T, file string, private any) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVouched(t *testing.T) {
	print := ssh.FingerprintSHA256
	text := strings.Join([]string{
		"# of the datacenter",
		"",
		print(fakeKey(1)),
		"256 " + print(fakeKey(2)) + " root@somewhere (ED25519)",
		"web1,10.0.0.1 " + print(fakeKey(3)) + " (ED25519)",
		strings.TrimSpace(string(ssh.MarshalAuthorizedKey(fakeKey(4)))) + " comment",
		strings.TrimSpace(line("web2,[web3]:2222", fakeKey(5))),
		strings.TrimSpace(line("@revoked *", fakeKey(6))),
		print(fakeKey(6)),
		"web4 " + print(fakeKey(7)),
		print(fakeKey(7)),
	}, "\n")
	v, err := ParseVouched("list", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host, addr string
		key        int
		want       bool
	}{
		{"any", "any:22", 1, true},
		{"any", "any:22", 2, true},
		{"web1", "192.0.2.1:22", 3, true}, // by its name in the inventory
		{"x", "10.0.0.1:2222", 3, true},   // by its address, on any port
		{"web2", "web2:22", 3, false},     // of somebody else
		{"any", "any:22", 4, true},
		{"x", "web2:22", 5, true},
		{"web3", "192.0.2.3:2222", 5, true},
		{"web3", "192.0.2.3:22", 5, false},
		{"web1", "web1:22", 5, false},
		{"any", "any:22", 6, false}, // vouched for and revoked: revoked
		{"web5", "web5:22", 7, true},
		{"any", "any:22", 8, false},
	} {
		k := Key{Host: c.host, Addr: c.addr, Key: fakeKey(c.key)}
		if got := v.Has(&k); got != c.want {
			t.Errorf("%s (%s) with key %d: %v, want %v", c.host, c.addr, c.key, got, c.want)
		}
	}
}

func TestVouchedErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "no key and no fingerprint",
		"# nothing\n":        "no key and no fingerprint",
		"SHA256:short":       "list:1: not a SHA256 fingerprint",
		"\nMD5:aa:bb:cc":     "list:2: neither",
		"web1 ssh-ed25519 x": "list:1: neither",
		"a b " + ssh.FingerprintSHA256(fakeKey(1)): "list:1: a fingerprint stands first",
	} {
		if _, err := ParseVouched("list", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestVouchedKeygen reads what ssh-keygen -l prints.
func TestVouchedKeygen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	write(t, file, line("web1", fakeKey(1))+line("web2", fakeKey(2)))
	out, err := exec.Command("ssh-keygen", "-lf", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseVouched("keygen", string(out))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{1: true, 2: true, 3: false} {
		if got := v.Has(&Key{Host: "h", Addr: "h:22", Key: fakeKey(n)}); got != want {
			t.Errorf("key %d: %v, want %v", n, got, want)
		}
	}
}

func FuzzVouched(f *testing.F) {
	f.Add(ssh.FingerprintSHA256(fakeKey(1)))
	f.Add("web1 " + ssh.FingerprintSHA256(fakeKey(2)))
	f.Add(line("web1", fakeKey(3)))
	stranger := &Key{Host: "h", Addr: "h:22", Key: fakeKey(999)}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVouched("list", text)
		if err != nil {
			return
		}
		if v.Has(stranger) && !strings.Contains(text, strings.TrimPrefix(stranger.Fingerprint(), "SHA256:")) &&
			!strings.Contains(text, strings.Fields(line("", stranger.Key))[1]) {
			t.Errorf("%q vouches for a key that is not in it", text)
		}
	})
}

func TestSharedKeys(t *testing.T) {
	key := func(host, daemon string, n int) Key {
		return Key{Host: host, Daemon: daemon, Key: fakeKey(n), State: Known}
	}
	shared := SharedKeys([]Key{
		key("a", "10.0.0.1:22", 1), key("alias", "10.0.0.1:22", 1), key("port", "10.0.0.1:2222", 1),
		key("b", "10.0.0.2:22", 2), key("c", "10.0.0.3:22", 2), key("c2", "10.0.0.3:23", 2),
		key("v6", "[::1]:22", 3), key("v6b", "[::2]:22", 3),
		key("via1", "j1:22 > 10.0.0.9:22", 4), key("via2", "j2:22 > 10.0.0.9:22", 4),
	})
	var got []string
	for _, s := range shared {
		got = append(got, strings.Join(s.Hosts, ","))
	}
	if want := "b,c,c2 v6,v6b via1,via2"; strings.Join(got, " ") != want {
		t.Errorf("shared by %v, want %s", got, want)
	}
	if shared[0].Addresses != 2 {
		t.Errorf("%d addresses, want 2", shared[0].Addresses)
	}
}

func TestHostsShort(t *testing.T) {
	var names []string
	for n := range 300 {
		names = append(names, "host-"+string(rune('a'+n%26))+strings.Repeat("x", n%7))
	}
	short := View{Short: true}.Hosts(names)
	if len(short) > 200 || !strings.Contains(short, " and ") || !strings.HasSuffix(short, " more") {
		t.Errorf("%d bytes: %s", len(short), short)
	}
	if whole := (View{}).Hosts(names); strings.Contains(whole, " more") {
		t.Errorf("cut without a terminal: %s", whole)
	}
}
