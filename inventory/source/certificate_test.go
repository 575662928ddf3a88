package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// authority is a certificate authority of a test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.cert, a.key = a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	return a
}

// sign makes a certificate, that of the authority itself if there is none yet.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, with := a.cert, a.key
	if parent == nil {
		parent, with = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// serve starts a server with a certificate for 127.0.0.1 that ends at a time.
func (a *authority) serve(t *testing.T, until time.Time) *origin {
	o := &origin{}
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		(*o.answer.Load())(w, r)
	}))
	cert, key := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
	})
	o.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
	o.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up
	o.StartTLS()
	t.Cleanup(o.Close)
	return o
}

// trusting gives options with which only the authority is believed.
func (a *authority) trusting(cache string) Options {
	pool := x509.NewCertPool()
	if a != nil {
		pool.AddCert(a.cert)
	}
	return Options{Remote: Remote{
		CacheDir: cache, MaxAge: -1,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}}
}

// TestCertificates fetches by https, and wants an error, and no copy, where the
// server does not prove who it is.
func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	good, old := a.serve(t, time.Now().Add(time.Hour)), a.serve(t, time.Now().Add(-time.Hour))
	good.says("hosts: {a: }\n")
	old.says("hosts: {stolen: }\n")
	cache := t.TempDir()
	r := mustLoad(t, a.trusting(cache), good.URL+"/inv?token=hush")
	if got := names(r.Inventory.Hosts()); len(got) != 1 || got[0] != "a" {
		t.Errorf("hosts %v", got)
	}
	refuse := func(o Options, url, want, way string) {
		t.Helper()
		_, err := Load(t.Context(), o, url)
		var failed *Error
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) || !strings.Contains(failed.Way, way) || strings.Contains(err.Error()+failed.Way, "hush") {
			t.Errorf("%s: %v (%+v), want %s (%s)", url, err, failed, want, way)
		}
	}
	shown := good.URL + "/inv?...: fetch inventory: "
	var nobody *authority
	refuse(nobody.trusting(""), good.URL+"/inv?token=hush", shown+"tls: failed to verify certificate: x509: certificate signed by unknown authority", "SSL_CERT_FILE=FILE")
	refuse(nobody.trusting(cache), good.URL+"/inv?token=hush", shown+"tls: failed to verify", "SSL_CERT_FILE=FILE names the certificates of authorities to trust; the copy of "+time.Now().Format(time.DateOnly))
	refuse(nobody.trusting(cache), good.URL+"/inv?token=hush", shown, " is used with --inventory-age 1h")
	refuse(a.trusting(cache), old.URL, "certificate has expired", "renew the certificate of the server, or set the clock")
	refuse(a.trusting(cache), strings.Replace(good.URL, "127.0.0.1", "localhost", 1), "x509: ", "the name that the certificate is for")
	if old.asked.Load() != 0 {
		t.Error("asked a server that is not known")
	}
}

// TestRedirectsFromTLS follows redirects that stay protected, and no others.
func TestRedirectsFromTLS(t *testing.T) {
	a := newAuthority(t)
	o, other := a.serve(t, time.Now().Add(time.Hour)), a.serve(t, time.Now().Add(time.Hour))
	plain := newOrigin(t)
	plain.says("hosts: {stolen: }\n")
	other.says("hosts: {moved: }\n")
	to := func(url string) {
		o.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusFound) })
	}
	to(other.URL)
	if r := mustLoad(t, a.trusting(""), o.URL); fmt.Sprint(names(r.Inventory.Hosts())) != "[moved]" {
		t.Errorf("hosts %v", names(r.Inventory.Hosts()))
	}
	to(plain.URL + "/x?token=hush") // of this machine itself, where http is allowed else
	_, err := Load(t.Context(), a.trusting(""), o.URL)
	if want := o.URL + ": fetch inventory: redirected from https to " + plain.URL + "/x?..."; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if plain.asked.Load() != 0 {
		t.Error("asked over http")
	}
}
