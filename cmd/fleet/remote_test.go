package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An inventory comes by https from a server whose certificate SSL_CERT_FILE
// vouches for, and from no other.
func TestInventoryByTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hosts: [web1, web2]\n") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	bundle := filepath.Join(dir, "authorities.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}
	fleet := func(trusted, url string) (stdout, stderr string, status int) {
		cmd := exec.Command("fleet", "hosts", "-o", "folded", "-i", url)
		var out, told strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &told
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "SSL_CERT_FILE="+trusted, "SSL_CERT_DIR="+filepath.Join(dir, "none"), "NO_PROXY=*")
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), told.String(), cmd.ProcessState.ExitCode()
	}
	if stdout, stderr, status := fleet(bundle, server.URL+"/a?token=hush"); stdout != "web[1-2]\n" || stderr != "" || status != exitOK {
		t.Errorf("got %q and %q, exit status %d", stdout, stderr, status)
	}
	stdout, stderr, status := fleet("/dev/null", server.URL+"/b?token=hush")
	want := "fleet: " + server.URL + "/b?...: fetch inventory: tls: failed to verify certificate: x509: certificate signed by unknown authority\n" +
		"fleet: hint: SSL_CERT_FILE=FILE names the certificates of authorities to trust\n"
	if stdout != "" || stderr != want || status != exitUsage {
		t.Errorf("got %q and %q, exit status %d, want %q", stdout, stderr, status, want)
	}
	if _, stderr, _ := fleet(bundle, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)); !strings.Contains(stderr, "the name that the certificate is for") {
		t.Errorf("got %q for a name that is not in the certificate", stderr)
	}
}
