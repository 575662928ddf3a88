package hostkeys

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// reason checks a key and gives the reason of refusal, "" if it is accepted.
func reason(t *testing.T, p *Policy, addr string, key ssh.PublicKey) Reason {
	t.Helper()
	err := p.Check(addr, nil, key)
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Check(%s) = %T, want *Error", addr, err)
	}
	host := hostOf(addr)
	if strings.Contains(e.Text(), host) || strings.Contains(e.Error(), host) {
		t.Errorf("the host's name %s stands in %q", host, e.Error())
	}
	return e.Reason
}

func TestCheckStrict(t *testing.T) {
	one, two, stolen, shared := fakeKey(1), fakeKey(2), fakeKey(3), fakeKey(4)
	rsa := rsaKey(t)
	file := knownHosts(t,
		"web1,10.0.0.1 "+authorizedKey(one),
		"web1 "+authorizedKey(rsa),
		hashName("web2")+" "+authorizedKey(one),
		hashName("[web2]:2222")+" "+authorizedKey(two),
		"*.example.org,!bad.example.org "+authorizedKey(shared),
		"@revoked elsewhere "+authorizedKey(stolen),
		"web3 "+authorizedKey(stolen),
		"::1 "+authorizedKey(one),
		"[::1]:2222 "+authorizedKey(two),
		"old ssh-dss "+encode(dsaBlob()))
	before := readText(t, file)
	p := &Policy{Index: load(t, file), File: file}
	if err := p.Index.Problems(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr string
		key  ssh.PublicKey
		want Reason
	}{
		{"web1:22", one, ""},
		{"WEB1:22", one, ""},
		{"web1", rsa, ""},
		{"10.0.0.1:22", one, ""},
		{"10.0.0.1:22", rsa, ReasonChanged}, // known by a key of another type
		{"web1:22", two, ReasonChanged},
		{"web1:2222", one, ""}, // the name without its port has this key
		{"web1:2222", two, ReasonUnknown},
		{"web2:22", one, ""},
		{"web2:22", two, ReasonChanged},
		{"web2:2222", two, ""},
		{"web2:2222", one, ReasonChanged}, // the name without its port has it, but this port has its own
		{"web2:2222", fakeKey(9), ReasonChanged},
		{"web4:22", one, ReasonUnknown},
		{"a.example.org:22", shared, ""},
		{"a.example.org:22", one, ReasonChanged},
		{"bad.example.org:22", shared, ReasonUnknown},
		{"web3:22", stolen, ReasonRevoked},
		{"elsewhere:22", stolen, ReasonRevoked},
		{"[::1]:22", one, ""},
		{"[::1]:2222", two, ""},
		{"[::1]:2222", one, ReasonChanged},
		{"[::1]:2222", fakeKey(9), ReasonChanged},
		{"old:22", one, ReasonUnknown}, // a key that cannot be checked speaks for nobody
	} {
		if got := reason(t, p, c.addr, c.key); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.addr, ssh.FingerprintSHA256(c.key), got, c.want)
		}
	}
	if readText(t, file) != before {
		t.Error("a strict policy wrote to known_hosts")
	}
	off := &Policy{Mode: InsecureOff, Index: p.Index, File: file}
	if got := reason(t, off, "web1:22", two); got != "" {
		t.Errorf("insecure-off refused a changed key: %s", got)
	}
	if got := reason(t, off, "web1:22", stolen); got != ReasonRevoked {
		t.Errorf("insecure-off and a revoked key: %q", got)
	}
}

func TestZeroPolicyIsStrict(t *testing.T) {
	if got := reason(t, new(Policy), "web1:22", fakeKey(1)); got != ReasonUnknown {
		t.Errorf("the zero policy says %q", got)
	}
}

func TestErrorTexts(t *testing.T) {
	file := knownHosts(t, "web1 "+authorizedKey(fakeKey(1)), "@revoked * "+authorizedKey(fakeKey(3)))
	p := &Policy{Index: load(t, file)}
	print := func(n int) string { return ssh.FingerprintSHA256(fakeKey(n)) + " (ssh-ed25519" }
	for _, c := range []struct {
		addr         string
		key          int
		text, detail string
		reason       string
	}{
		{"web9:22", 1, "host key is not in known_hosts", "got " + print(1) + ")", "unknown"},
		{"web1:22", 2, "host key changed", "known " + print(1) + ", " + file + ":1), got " + print(2) + ")", "changed"},
		{"web1:22", 3, "host key is revoked", "revoked " + print(3) + ", " + file + ":2), got " + print(3) + ")", "revoked"},
	} {
		var e *Error
		if !errors.As(p.Check(c.addr, nil, fakeKey(c.key)), &e) {
			t.Fatalf("%s: no *Error", c.addr)
		}
		if e.Text() != c.text || e.Detail() != c.detail || e.Error() != c.text+": "+c.detail || e.HostKeyReason() != c.reason {
			t.Errorf("%s %s: %s\n%s", c.addr, e.HostKeyReason(), e.Text(), e.Detail())
		}
	}
}

func TestAlgorithms(t *testing.T) {
	ed, rsa, ec := fakeKey(1), rsaKey(t), ecdsaKey(t)
	x := load(t, knownHosts(t,
		"ed "+authorizedKey(ed),
		"rsa "+authorizedKey(rsa),
		hashName("hashed")+" "+authorizedKey(ec),
		hashName("hashed")+" "+authorizedKey(rsa),
		"both "+authorizedKey(rsa), "both "+authorizedKey(ec),
		"[port]:2222 "+authorizedKey(ec),
		"@cert-authority *.example.org "+authorizedKey(ed),
		"rsa.example.org "+authorizedKey(rsa),
		"old ssh-dss "+encode(dsaBlob())))
	const (
		e, c, s5, s2 = ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256
		cert         = ssh.CertAlgoED25519v01
	)
	for _, k := range []struct {
		addr  string
		first []string
	}{
		{"ed:22", []string{e, c}},
		{"rsa:22", []string{s5, s2, e}},
		{"hashed:22", []string{c, s5, s2, e}},
		{"both:22", []string{c, s5, s2, e}},
		{"port:2222", []string{c, e}},
		{"rsa:2222", []string{s5, s2, e}},
		{"rsa.example.org:22", append(slices.Clone(certPreference), s5, s2, e)},
		{"x.example.org:22", append(slices.Clone(certPreference), e)},
		{"old:22", []string{e, c}},
	} {
		got := x.Algorithms(k.addr)
		if len(got) < len(k.first) || !slices.Equal(got[:len(k.first)], k.first) {
			t.Errorf("%s: %v, want first %v", k.addr, got, k.first)
		}
		for _, algo := range got {
			if !slices.Contains(ssh.SupportedAlgorithms().HostKeys, algo) {
				t.Errorf("%s: %s is not supported by the library, or insecure", k.addr, algo)
			}
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(got))); len(sorted) != len(got) {
			t.Errorf("%s: doubles in %v", k.addr, got)
		}
	}
	for _, addr := range []string{"none:22", "port:22", "none:2222"} {
		if got := x.Algorithms(addr); got != nil {
			t.Errorf("%s: %v, want nil", addr, got)
		}
	}
	if got := (&Policy{Mode: InsecureOff, Index: x}).Algorithms("rsa:22"); got != nil {
		t.Errorf("insecure-off orders algorithms: %v", got)
	}
	if got := DefaultAlgorithms(); got[0] != e || slices.Contains(got, cert) {
		t.Errorf("defaults are %v", got)
	}
}

// TestMinRSA refuses short keys also where they are known, pinned or approved, and
// asks nothing of other types.
func TestMinRSA(t *testing.T) {
	short, ed := rsaKey(t), fakeKey(1)
	index := load(t, knownHosts(t, "web1 "+authorizedKey(short), "web1 "+authorizedKey(ed)))
	pins, err := ParsePins([]string{authorizedKey(short), authorizedKey(ed)})
	if err != nil {
		t.Fatal(err)
	}
	for least, want := range map[int]Reason{0: "", 2048: "", 2049: ReasonCert} {
		for _, mode := range []Mode{Strict, AcceptNew, InsecureOff} {
			p := &Policy{Mode: mode, Index: index, MinRSA: least}
			if got := reason(t, p, "web1:22", short); got != want {
				t.Errorf("%v, %d bits: %q, want %q", mode, least, got, want)
			}
			if got := reason(t, p, "web1:22", ed); got != "" {
				t.Errorf("%v, %d bits, Ed25519: %q", mode, least, got)
			}
		}
		pins.MinRSA = least
		if err := pins.Check("web1:22", nil, short); (err != nil) != (want != "") {
			t.Errorf("pinned, %d bits: %v", least, err)
		}
	}
	p := &Policy{File: filepath.Join(t.TempDir(), "known_hosts"), MinRSA: 4096}
	if refused, err := p.Add([]HostKey{{Addr: "web2:22", Key: short}}); err != nil || refused[0] == nil || refused[0].Error() != "host key is too short: 2048 bits, at least 4096 are required, got "+ssh.FingerprintSHA256(short)+" (ssh-rsa)" {
		t.Errorf("approved: %v, %v", refused, err)
	}
}
