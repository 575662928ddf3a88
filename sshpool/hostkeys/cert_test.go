package hostkeys

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var certNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// certify makes a good host certificate for web1.example.org and lets change spoil it.
func certify(t *testing.T, ca ssh.Signer, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	cert := &ssh.Certificate{
		Key:             fakeKey(100),
		CertType:        ssh.HostCert,
		KeyId:           "test",
		ValidPrincipals: []string{"web1", "web1.example.org"},
		ValidAfter:      uint64(certNow.Add(-time.Hour).Unix()),
		ValidBefore:     uint64(certNow.Add(time.Hour).Unix()),
	}
	if change != nil {
		change(cert)
	}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCheckCertificate(t *testing.T) {
	ca, other, revoked := authority(1), authority(2), authority(3)
	x := load(t, knownHosts(t,
		"@cert-authority *.example.org "+authorizedKey(ca.PublicKey()),
		"@cert-authority *.example.org "+authorizedKey(revoked.PublicKey()),
		"@revoked * "+authorizedKey(revoked.PublicKey()),
		"@revoked * "+authorizedKey(fakeKey(101)),
		"pinned.example.org "+authorizedKey(fakeKey(100))))
	p := &Policy{Index: x, Now: func() time.Time { return certNow }}
	expired := func(c *ssh.Certificate) { c.ValidBefore = uint64(certNow.Unix()) }
	for _, c := range []struct {
		name   string
		addr   string
		ca     ssh.Signer
		change func(*ssh.Certificate)
		want   Reason
		text   string
	}{
		{"good", "web1.example.org:22", ca, nil, "", ""},
		{"upper case", "Web1.Example.ORG:22", ca, nil, "", ""},
		{"other port", "web1.example.org:2222", ca, nil, "", ""},
		{"any principal", "web2.example.org:22", ca, func(c *ssh.Certificate) { c.ValidPrincipals = nil }, "", ""},
		{"for ever", "web1.example.org:22", ca, func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, "", ""},
		{"wrong principal", "web2.example.org:22", ca, nil, ReasonCert, "for other names"},
		{"wildcard principal", "web2.example.org:22", ca, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"*"} }, ReasonCert, "for other names"},
		{"expired", "web1.example.org:22", ca, expired, ReasonCert, "expired"},
		{"early", "web1.example.org:22", ca, func(c *ssh.Certificate) { c.ValidAfter = uint64(certNow.Unix() + 1) }, ReasonCert, "not valid yet"},
		{"user certificate", "web1.example.org:22", ca, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }, ReasonCert, "not a host certificate"},
		{"critical option", "web1.example.org:22", ca, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "x"} }, ReasonCert, "critical options"},
		{"unknown authority", "web1.example.org:22", other, nil, ReasonCert, "unknown authority"},
		{"authority of others", "web1:22", ca, nil, ReasonUnknown, "not in known_hosts"},
		{"revoked authority", "web1.example.org:22", revoked, nil, ReasonRevoked, "authority of the host certificate is revoked"},
		{"revoked key", "web1.example.org:22", ca, func(c *ssh.Certificate) { c.Key = fakeKey(101) }, ReasonRevoked, "revoked"},
		{"bad, but the key is known", "pinned.example.org:22", ca, expired, "", ""},
		{"of others, but the key is known", "pinned.example.org:22", other, nil, "", ""},
		{"bad, and another key is known", "pinned.example.org:22", ca, func(c *ssh.Certificate) { c.Key = fakeKey(102) }, ReasonChanged, "changed"},
	} {
		cert := certify(t, c.ca, c.change)
		for _, mode := range []Mode{Strict, AcceptNew} {
			if p := (&Policy{Mode: mode, Index: x, Now: p.Now}); mode == Strict || c.want != ReasonUnknown {
				if got := reason(t, p, c.addr, cert); got != c.want {
					t.Errorf("%s, %s: %q, want %q", c.name, mode, got, c.want)
				}
				if err := p.Check(c.addr, nil, cert); err != nil && !strings.Contains(err.(*Error).Text(), c.text) {
					t.Errorf("%s: text %q", c.name, err.(*Error).Text())
				}
			}
		}
	}
}

func TestCheckCertificateForged(t *testing.T) {
	ca := authority(1)
	p := &Policy{
		Index: load(t, knownHosts(t, "@cert-authority * "+authorizedKey(ca.PublicKey()))),
		Now:   func() time.Time { return certNow },
	}
	forged := certify(t, authority(2), nil)
	forged.SignatureKey = ca.PublicKey() // claims the authority without its signature
	stretched := certify(t, ca, nil)
	stretched.ValidPrincipals = append(stretched.ValidPrincipals, "web9") // after signing
	weak := certify(t, ca, nil)
	weak.Signature.Format = ssh.KeyAlgoRSA
	unsigned := certify(t, ca, nil)
	unsigned.Signature = nil
	for _, c := range []struct {
		addr string
		cert *ssh.Certificate
		text string
	}{
		{"web1:22", forged, "host certificate has a wrong signature"},
		{"web9:22", stretched, "host certificate has a wrong signature"},
		{"web1:22", weak, "host certificate is signed by an unsafe algorithm"},
		{"web1:22", unsigned, "host certificate is signed by an unsafe algorithm"},
	} {
		var e *Error
		if err := p.Check(c.addr, nil, c.cert); !errors.As(err, &e) || e.Reason != ReasonCert || e.Text() != c.text {
			t.Errorf("%v, want %s", err, c.text)
		}
	}
}

// TestCheckPlainUnderAuthority: an authority's hosts are never new.
func TestCheckPlainUnderAuthority(t *testing.T) {
	file := knownHosts(t, "@cert-authority *.example.org "+authorizedKey(authority(1).PublicKey()))
	before := readText(t, file)
	p := &Policy{Mode: AcceptNew, Index: load(t, file), File: file}
	for _, addr := range []string{"web1.example.org:22", "web1.example.org:2222"} {
		if got := reason(t, p, addr, fakeKey(1)); got != ReasonCert {
			t.Errorf("%s: %q, want %q", addr, got, ReasonCert)
		}
	}
	if got := readText(t, file); got != before {
		t.Errorf("known_hosts grew:\n%s", got)
	}
}

func TestCertErrorDetail(t *testing.T) {
	ca := authority(1)
	file := knownHosts(t, "@cert-authority * "+authorizedKey(ca.PublicKey()))
	p := &Policy{Index: load(t, file), Now: func() time.Time { return certNow }}
	err := p.Check("web2:22", nil, certify(t, ca, nil))
	want := `host certificate is for other names: principals "web1", "web1.example.org", authority ` +
		ssh.FingerprintSHA256(ca.PublicKey()) + " (ssh-ed25519, " + file + ":1), got " +
		ssh.FingerprintSHA256(fakeKey(100)) + " (ssh-ed25519-cert-v01@openssh.com)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestCAAlgorithms takes certificates that were signed by what is allowed only.
func TestCAAlgorithms(t *testing.T) {
	ca := authority(1)
	x := load(t, knownHosts(t, "@cert-authority *.example.org "+authorizedKey(ca.PublicKey())))
	for _, c := range []struct {
		allowed []string
		want    Reason
	}{{nil, ""}, {[]string{"rsa-sha2-512", "ssh-ed25519"}, ""}, {[]string{"rsa-sha2-512"}, ReasonCert}, {[]string{}, ReasonCert}} {
		p := &Policy{Index: x, Now: func() time.Time { return certNow }, CAAlgorithms: c.allowed}
		if got := reason(t, p, "web1.example.org:22", certify(t, ca, nil)); got != c.want {
			t.Errorf("%q: %q, want %q", c.allowed, got, c.want)
		}
	}
}
