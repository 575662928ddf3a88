package sshpool

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestLog tells at level debug what a connection agreed on, or why there is none.
func TestLog(t *testing.T) {
	w, target := one(t, "")
	var text bytes.Buffer
	target.Log = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mustDial(t, target)
	for _, want := range []string{"address=" + target.addr(), "kex=mlkem768x25519-sha256", "hostkey=ssh-ed25519", "gcm@openssh.com"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("log %q does not hold %q", &text, want)
		}
	}
	w.Close()
	text.Reset()
	if _, err := Dial(testContext(t), target); err == nil || !strings.Contains(text.String(), "connection refused") {
		t.Errorf("error %v, log %q", err, &text)
	}
}

// TestPrepare asks for passphrases before there is a connection.
func TestPrepare(t *testing.T) {
	w, target := one(t, "")
	asked := 0
	target.Auth = &Auth{Keys: []string{encrypt(t, w, "open")}, Passphrase: onePassphrase(&asked, "open")}
	if err := target.Auth.Prepare(testContext(t)); err != nil || asked != 1 {
		t.Fatalf("asked %d times, %v", asked, err)
	}
	mustDial(t, target)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
